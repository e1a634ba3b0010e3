"""Keys: which there are, and how they reach the session whichever layer is active."""

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

__all__ = ["KEYS", "bind_keys", "unbind_keys"]

KEYS: Mapping[str, tuple[str, str]] = {
    "prompting": ("W", "start or stop prompting"),
    "background": ("H", "the next prompts: object or background"),
    "box": ("Shift+B", "draw a box"),
    "scribble": ("Shift+S", "draw a scribble"),
    "next_answer": ("G", "show the next of the answers"),
    "accept": ("K", "keep the object"),
    "discard": ("Q", "take all prompts back"),
    "undo": ("U", "undo"),
    "redo": ("Shift+U", "redo"),
    "reopen": ("Shift+E", "open the object under the mouse again"),
    "delete": ("Shift+D", "delete the object under the mouse"),
    "merge": ("Shift+M", "merge the objects that prompts touch"),
    "split": ("Shift+X", "split the object under the mouse, along a scribble if there is one"),
}
"""Action -> key, and what it does. None is one of napari's, whichever layer is active."""


def bind_keys(viewer: Any, dock: QWidget, actions: Mapping[str, Callable[[], Any]]) -> None:
    """Bind `KEYS`: on the canvas through the viewer, and in the dock widget.

    Parameters
    ----------
    viewer
        Its key bindings hold for every layer that does not use the key itself.
    dock
        Where the same keys work after a click on a button.
    actions
        Name of an action -> what to call.
    """
    for name, (key, _) in KEYS.items():
        viewer.bind_key(_for_napari(key), _pressed(actions[name]), overwrite=True)
        shortcut = QShortcut(QKeySequence(key), dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(actions[name])


def unbind_keys(viewer: Any) -> None:
    """Give the keys back to the viewer."""
    for key, _ in KEYS.values():
        viewer.bind_key(_for_napari(key), None)


def _for_napari(key: str) -> str:
    return key.replace("+", "-")


def _pressed(action: Callable[[], Any]) -> Callable[[Any], None]:
    def pressed(viewer: Any) -> None:
        action()

    return pressed
