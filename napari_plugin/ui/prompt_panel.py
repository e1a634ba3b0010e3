"""The panel for prompts and objects."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qtpy.QtWidgets import QLabel, QPushButton

from napari_plugin.session.annotator import Annotator
from napari_plugin.session.words import answer_words, object_words
from napari_plugin.ui.keys import KEYS
from napari_plugin.ui.rows import Panel, button, choice, choose, note, row
from napari_plugin.values import POLICIES

__all__ = ["PromptPanel"]


_PURPOSES: Mapping[str, str] = {
    "reopen": "open again",
    "delete": "delete",
    "merge": "merge with those that a scribble crosses",
    "split": "split",
}
"""What an object is clicked for, by the action."""


class PromptPanel(Panel):
    """Prompt, choose an answer, keep it; undo; and what can be done with kept objects.

    Parameters
    ----------
    annotator
        What the buttons act on.
    actions
        Name of an action of `KEYS` -> what it does.
    picks
        Name of an action on a kept object -> what is done with the place of the next click.
    """

    def __init__(
        self,
        annotator: Annotator,
        actions: Mapping[str, Callable[[], Any]],
        picks: Mapping[str, Callable[[Any], Any]],
    ) -> None:
        super().__init__()
        self._annotator = annotator
        self._picks = picks
        self.buttons: dict[str, QPushButton] = {}

        def made(name: str, text: str, *, checkable: bool = False) -> QPushButton:
            key, tip = KEYS[name]
            self.buttons[name] = button(
                f"{text} [{key}]",
                f"{tip.capitalize()} (key {key})",
                partial(self._pick, name) if name in picks else actions[name],
                checkable=checkable or name in picks,
            )
            return self.buttons[name]

        self.column.addLayout(row(made("prompting", "Prompt", checkable=True)))
        self.column.addLayout(
            row(
                made("background", "Background", checkable=True),
                made("box", "Box", checkable=True),
                made("scribble", "Scribble", checkable=True),
            )
        )
        self.answer: QLabel = note()
        self.answer.setMinimumHeight(2 * self.answer.fontMetrics().height())
        self.column.addWidget(self.answer)
        self.column.addLayout(row(made("next_answer", "Next answer"), made("discard", "Clear")))
        self.column.addLayout(row(made("accept", "Keep")))
        self.column.addLayout(row(made("undo", "Undo"), made("redo", "Redo")))
        self.policy = choice(
            [(policy.title, name) for name, policy in POLICIES.items()],
            "Whose a pixel is that belongs to an object already",
            self._set_policy,
        )
        self.form.addRow("Overlaps", self.policy)
        self.column.addWidget(
            note(
                "Kept objects: press a button, then click one. A key acts at once on the one that "
                "is under the mouse."
            )
        )
        self.column.addLayout(row(made("reopen", "Open"), made("delete", "Delete")))
        self.column.addLayout(row(made("merge", "Merge"), made("split", "Split")))
        self.objects: QLabel = note()
        self.column.addWidget(self.objects)

    def refresh(self) -> None:
        """Show how things are."""
        seen: Any = self._annotator
        choose(self.policy, seen.policy)
        self.buttons["prompting"].setChecked(seen.tools.prompting)
        self.buttons["background"].setChecked(seen.tools.sign == "background")
        self.buttons["box"].setChecked(seen.tools.drawing == "box")
        self.buttons["scribble"].setChecked(seen.tools.drawing == "scribble")
        self.buttons["next_answer"].setEnabled(bool(seen.draft))
        self.buttons["discard"].setEnabled(seen.has_draft)
        self.buttons["accept"].setEnabled(seen.has_draft)
        book = None if seen.target is None else seen.target.book
        self.buttons["undo"].setEnabled(book is not None and book.can_undo)
        self.buttons["redo"].setEnabled(book is not None and book.can_redo)
        for name in ("background", "box", "scribble"):
            self.buttons[name].setEnabled(seen.target is not None)
        picking = None if seen.tools.picking is None else seen.tools.picking[0]
        for name in self._picks:
            self.buttons[name].setEnabled(seen.target is not None)
            self.buttons[name].setChecked(picking == _PURPOSES[name])
        for label, text in ((self.answer, answer_words(seen)), (self.objects, object_words(seen))):
            if label.text() != text:
                label.setText(text)

    def _pick(self, name: str) -> None:
        self._annotator.tools.begin_picking(_PURPOSES[name], self._picks[name])

    def _set_policy(self) -> None:
        self._annotator.policy = self.policy.currentData()
