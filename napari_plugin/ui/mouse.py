"""Clicks on the canvas: which of them are prompts. Dragging stays napari's."""

from collections.abc import Callable, Iterator
from typing import Any

from napari_plugin.session.annotator import Annotator

__all__ = ["CanvasClicks"]

_STILL = 4.0
"""Pixels of the screen that a click may move."""


class CanvasClicks:
    """Listens to a viewer's canvas and hands clicks to an annotator.

    A click adds a point, with Ctrl (Cmd) or the right button one of the background; with Shift it
    opens a kept object again, and after a button for kept objects it says which one is meant.
    Dragging moves the picture, turning the wheel zooms: so napari decides. While the active layer
    has a tool in hand, clicks are that tool's.

    Parameters
    ----------
    annotator
        Whose viewer it is.
    reopen
        Called with a place in the world.
    """

    def __init__(self, annotator: Annotator, reopen: Callable[[tuple[float, ...]], Any]) -> None:
        self._annotator = annotator
        self._reopen = reopen
        annotator.viewer.mouse_drag_callbacks.append(self._pressed)

    def close(self) -> None:
        """Listen no longer."""
        callbacks = self._annotator.viewer.mouse_drag_callbacks
        if self._pressed in callbacks:
            callbacks.remove(self._pressed)

    def _pressed(self, viewer: Any, event: Any) -> Iterator[None]:
        annotator = self._annotator
        tools = annotator.tools
        if tools.picking is None and (not tools.prompting or tools.drawing is not None):
            return
        if annotator.tools.blocked_by is not None or event.button not in (1, 2):
            return
        start = tuple(float(v) for v in event.pos)
        place = tuple(float(v) for v in event.position)
        modifiers = {str(getattr(m, "name", m)).lower() for m in event.modifiers}
        button = event.button
        yield
        moved = False
        while event.type == "mouse_move":
            moved = moved or _apart(start, event.pos) > _STILL
            yield
        if moved:
            return
        if annotator.tools.picking is not None:
            annotator.tools.pick(place)
        elif "shift" in modifiers:
            self._reopen(place)
        elif button == 2 or modifiers & {"control", "ctrl", "meta"}:
            annotator.tools.click(place, "background")
        else:
            annotator.tools.click(place, annotator.tools.sign)


def _apart(first: tuple[float, ...], second: Any) -> float:
    return max(abs(float(a) - float(b)) for a, b in zip(first, second, strict=True))
