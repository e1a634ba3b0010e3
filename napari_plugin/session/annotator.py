"""`Annotator`: prompt, look, keep. The heart of the plugin, on a viewer and without Qt."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from napari_plugin.layers import ImageChoice
from napari_plugin.objects import Recovery
from napari_plugin.session.answers import Answer, Answers
from napari_plugin.session.draft import Draft, ids_of, state_of
from napari_plugin.session.found import FoundMasks
from napari_plugin.session.keeping import what_to_keep, write
from napari_plugin.session.layer_events import LayerEvents
from napari_plugin.session.preview import Preview
from napari_plugin.session.prompt_layers import PromptLayers
from napari_plugin.session.target import Preparation, Target
from napari_plugin.session.tools import Tools
from napari_plugin.session.view import located, looking_at
from napari_plugin.values import POLICIES, Plane, PlaneMask
from sam_plugins.errors import SamPluginsError

__all__ = ["Annotator", "Notify"]

Notify = Callable[[str, str], None]
"""Shows a sentence to the user: ("info" | "warning" | "error", sentence)."""

_VIEW_EVENTS = ("current_step", "order", "ndisplay")


class Annotator:
    """One picture being annotated. All methods are called on the thread of the window.

    Parameters
    ----------
    viewer
        A napari viewer, or its model.
    service
        Where the model works: `napari_plugin.service.ModelService`.
    notify
        Shows sentences.
    changed
        Called after everything that changes what the properties say.
    """

    def __init__(
        self,
        viewer: Any,
        service: Any,
        notify: Notify,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.viewer = viewer
        self.service = service
        self.notify = notify
        self.changed = changed
        self.target: Target | None = None
        self.prompts: PromptLayers | None = None
        self.preview: Preview | None = None
        self.answers: Answers | None = None
        self.draft = Draft()
        self.found = FoundMasks()
        """Masks that were found rather than prompted."""
        self.policy = "keep"
        self.tools = Tools(self)
        self.upcoming: Callable[[], list[Preparation]] = list
        """What else to prepare once the plane in view is."""
        self._ids: dict[int, int] = {}
        self._accepting = False
        self._events: LayerEvents | None = None

    # -- the picture --------------------------------------------------------------------------

    def open_image(
        self,
        layers: Sequence[Any],
        choice: ImageChoice,
        *,
        labels: Any | None = None,
        detail: str = "automatic",
    ) -> bool:
        """Begin to annotate; False and a sentence if that cannot be.

        What was kept before stays in its layer, and is known as before where image and layer are
        the same; prompts that were not kept are let go.
        """
        try:
            target = Target(
                self.viewer,
                layers,
                choice,
                labels=labels,
                detail=detail,
                warn=lambda sentence: self.notify("warning", sentence),
                former=self.target,
            )
        except SamPluginsError as error:
            self.notify("error", str(error))
            return False
        self.close_image()
        self.target = target
        self._events = LayerEvents(self, target)
        self.prompts = PromptLayers(
            self.viewer, len(target.shape), target.placed(), self._on_prompts
        )
        self.preview = Preview(self.viewer, target.place_crop, target.image.size)
        self.answers = Answers(self.service, target.pictures, self._on_answer, self._on_failed)
        for event in _VIEW_EVENTS:
            getattr(self.viewer.dims.events, event).connect(self._on_view)
        self._on_view()
        return True

    def close_image(self) -> None:
        """Stop annotating this picture; its objects stay, and its journal is closed cleanly."""
        if self.target is None:
            return
        for event in _VIEW_EVENTS:
            getattr(self.viewer.dims.events, event).disconnect(self._on_view)
        for part in (self._events, self.prompts, self.preview):
            if part is not None:
                part.close()
        if self.answers is not None:
            self.answers.forget()
        self.target.close()
        self.target = self.prompts = self.preview = self.answers = None
        self.tools.set_prompting(False)
        self.forget_draft()

    def restore(self, recovery: Recovery) -> bool:
        """Take up a session that ended without being saved; False and a sentence if it cannot."""
        target, settings = self.target, recovery.about.settings
        if target is None:
            return False
        try:
            target.take_picture(*target.choice_of(settings))
            draft = target.restore(recovery) or {}
            prompts, ids = Draft.from_json(draft.get("prompts", [])), ids_of(draft)
        except SamPluginsError as error:
            self.notify("error", str(error))
            return False
        self.policy = settings["policy"] if settings.get("policy") in POLICIES else self.policy
        target.note(policy=self.policy)
        self.forget_draft()
        self._ids = ids
        self._take(prompts, show=True)
        return True

    def model_changed(self) -> None:
        """Another model answers from now on: masks that are not kept are asked for again."""
        if self.answers is not None:
            self.answers.forget()
            self.answers.want(self.draft, self.plane)
            self.look()

    @property
    def plane(self) -> Plane | None:
        """The plane in view, or None if there is no picture or it is shown in 3-D."""
        if self.target is None:
            return None
        try:
            return self.target.image.plane(self.viewer.dims)
        except SamPluginsError:
            return None

    # -- prompts ------------------------------------------------------------------------------

    def next_answer(self) -> None:
        """Show the next of the ambiguous answers, of the objects on the plane in view."""
        plane = self.plane
        if plane is None or self.answers is None:
            return
        draft = self.draft
        for number, planes in self.draft.objects.items():
            known = self.answers.latest(number, plane)
            if plane in planes and known is not None and known.mask is not None:
                draft = draft.with_answer(number, plane, (known.answer + 1) % max(known.answers, 3))
        if draft == self.draft:
            self.notify("info", "There is no mask here to choose another answer for: click first.")
            return
        self._noted(self._state(), draft)
        self._take(draft, show=False)

    def discard(self) -> None:
        """Take back all prompts and all masks that were found and not kept."""
        self._accepting = False
        if not self.has_draft:
            return
        self.found.clear()
        self.set_draft(Draft(), {})

    # -- objects ------------------------------------------------------------------------------

    @property
    def open_ids(self) -> tuple[int, ...]:
        """Kept objects that are open again."""
        return tuple(sorted({*self._ids.values(), *self.found.ids.values()}))

    @property
    def is_waiting(self) -> bool:
        """Whether masks are on their way."""
        return self.answers is not None and self.answers.pending

    @property
    def has_draft(self) -> bool:
        """Whether there is anything to keep or to clear."""
        return bool(self.draft) or bool(self.found)

    def accept(self) -> bool:
        """Keep what is shown; when its masks are still on their way, as soon as they are there.

        Returns
        -------
        Whether something was kept now.
        """
        if self.target is None or self.answers is None:
            return False
        if self.target.problem:
            self.notify("error", self.target.problem)
            return False
        if not self.has_draft:
            self.notify("info", "There is nothing to keep yet: click on an object first.")
            return False
        # Asks for nothing, unless the model failed before.
        self.answers.want(self.draft, self.plane, again=True)
        if self.answers.pending:
            self._accepting = True
            self.changed()
            return False
        self._accepting = False
        items, left, problems = what_to_keep(
            self.draft, self.found, {**self._ids, **self.found.ids}, self.answers
        )
        for problem in problems:
            self.notify("warning", problem)
        if not items:
            return False
        ids = {number: i for number, i in self._ids.items() if number in left.objects}
        draft = self._state(), state_of(left, ids)
        try:
            lost = write(self.target, items, self.policy, draft)
        except SamPluginsError as error:
            self.notify("error", str(error))
            return False
        if lost:
            self.notify("info", f"{lost:,} pixels belong to other objects and stay theirs.")
        self.found.clear(left.objects)
        self._ids = ids
        self._take(left, show=True)
        return True

    def undo(self) -> None:
        """Take the last step back: a prompt, or what was kept, deleted, merged or split."""
        self._stepped("undo", "There is nothing to undo.")

    def redo(self) -> None:
        """Do again what was undone last."""
        self._stepped("redo", "There is nothing to do again.")

    def _stepped(self, which: Literal["undo", "redo"], nothing: str) -> None:
        if self.target is None:
            return
        self._accepting = False
        if self.target.problem:
            self.notify("error", self.target.problem)
            return
        step = getattr(self.target.book, which)()
        if step is None:
            self.notify("info", nothing)
            return
        getattr(self.target.log, which)()
        if step.draft is not None:
            self._ids = ids_of(step.draft)
            self._take(Draft.from_json(step.draft.get("prompts", [])), show=True)
        self.changed()

    # -- inside -------------------------------------------------------------------------------

    def set_draft(self, draft: Draft, ids: Mapping[int, int] | None = None) -> None:
        """Show other prompts, as one step that can be undone.

        Parameters
        ----------
        draft
            The prompts.
        ids
            Which kept objects they are about, by number; others are new.
        """
        before = self._state()
        self._ids = dict(self._ids if ids is None else ids)
        self._noted(before, draft)
        self._take(draft, show=True)

    def forget_draft(self) -> None:
        """Let go of all prompts and masks that were not kept."""
        self.found.clear()
        self.drop_prompts()

    @property
    def without_prompts(self) -> tuple[Any, Any]:
        """The prompts (JSON) now, and when there are none: for a step that takes them away."""
        return self._state(), state_of(Draft(), {})

    def drop_prompts(self) -> None:
        """Let go of the prompts; that is part of a step already."""
        self._ids = {}
        self._take(Draft(), show=True)

    def _state(self) -> dict[str, Any]:
        return state_of(self.draft, self._ids)

    def _noted(self, before: dict[str, Any], draft: Draft) -> None:
        if self.target is not None:
            self.target.book.note_draft(before, state_of(draft, self._ids))
            self.target.log.add()

    def _take(self, draft: Draft, *, show: bool) -> None:
        self.draft = draft
        self._accepting = self._accepting and bool(draft)
        self.found.keep_for(draft.objects)
        if show and self.prompts is not None:
            self.prompts.write(draft)
        if self.answers is not None:
            self.answers.want(draft, self.plane)
        self.refresh_preview()
        self.changed()

    def _on_prompts(self) -> None:
        """A prompt was drawn, moved, edited or deleted."""
        plane = self.plane
        if plane is None or self.prompts is None:
            return
        first = next((drawn for _, drawn, _ in self.draft.prompts()), plane)
        draft = self.prompts.read(first.rows, first.columns, self.draft)
        if draft == self.draft:
            return
        self._noted(self._state(), draft)
        self._take(draft, show=False)

    def _on_answer(self, answers: Sequence[Answer]) -> None:
        self.refresh_preview()
        if self._accepting:
            self.accept()
        else:
            for problem in dict.fromkeys(answer.problem for answer in answers if answer.problem):
                self.notify("warning", problem)
        self.changed()

    def _on_failed(self, error: Exception) -> None:
        self._accepting = False
        self.notify("error", str(error) or type(error).__name__)
        self.changed()

    def _on_view(self, event: Any = None) -> None:
        """Another slice, or another orientation, is in view."""
        if self.answers is not None:
            self.answers.want(self.draft, self.plane)
        self.refresh_preview()
        self.look()
        self.changed()

    def look(self) -> None:
        """Encode what is on screen, then what is next to it, in the background."""
        plane = self.plane
        if self.target is not None and plane is not None:
            where = looking_at(self.target.image, self.viewer)
            first, *others = self.target.preparations(plane, where)
            self.service.prepare([first, *self.upcoming(), *others])

    def refresh_preview(self) -> None:
        """Show the masks of the plane in view."""
        if self.preview is None or self.answers is None:
            return
        plane = self.plane
        masks: dict[int, PlaneMask] = {}
        if plane is not None:
            masks |= self.found.on(plane)
            for number, said in self.draft.objects.items():
                answer = self.answers.latest(number, plane) if plane in said else None
                if answer is not None and answer.mask is not None:
                    masks[number] = answer.mask
        self.preview.show(sorted(masks.items()))

    def locate(self, position: Sequence[float]) -> tuple[Plane, tuple[float, float]] | None:
        """The plane in view and the xy in it of a place in the world.

        None, and a sentence, if there is none.
        """
        if self.target is None:
            self.notify("info", "Choose an image first.")
            return None
        try:
            return located(self.target.image, self.viewer.dims, position, self.draft)
        except SamPluginsError as error:
            self.notify("warning", str(error))
            return None
