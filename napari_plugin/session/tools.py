"""What clicks and drags on the canvas are: points, boxes, scribbles, or none of ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from napari_plugin.session.prompt_layers import Sign
from napari_plugin.values import Plane, PlaneMask, PromptSet

if TYPE_CHECKING:
    from napari_plugin.session.annotator import Annotator

__all__ = ["Tools"]

_MODES: Mapping[str, str] = {"box": "add_rectangle", "scribble": "add_path"}
_DRAWN_BY_MODE: Mapping[str, Literal["box", "scribble"]] = {
    "add_rectangle": "box",
    "add_path": "scribble",
}


class Tools:
    """The tool in hand, of one annotator.

    Parameters
    ----------
    annotator
        Whose viewer and prompts.
    """

    def __init__(self, annotator: "Annotator") -> None:
        self._annotator = annotator
        self.prompting = False
        """Whether clicks on the canvas are prompts."""
        self.picking: tuple[str, Callable[[Sequence[float]], Any]] | None = None
        """What the next click chooses an object for, in words, and what is done with it."""

    def set_prompting(self, on: bool) -> None:
        """Whether clicks on the canvas are prompts."""
        self.prompting = on and self._annotator.target is not None
        if on and not self.prompting:
            self._annotator.notify("info", "Choose an image first.")
        self.draw(None)

    @property
    def sign(self) -> Sign:
        """What the next drawn prompt says."""
        return self._annotator.prompts.sign if self._annotator.prompts is not None else "object"

    def set_sign(self, sign: Sign) -> None:
        """What the next drawn prompt says: "object" or "background"."""
        if self._annotator.prompts is not None:
            self._annotator.prompts.set_sign(sign)
            self._annotator.changed()

    @property
    def drawing(self) -> Literal["box", "scribble"] | None:
        """What a drag on the canvas draws, if anything."""
        shapes = self._annotator.prompts.drawn if self._annotator.prompts is not None else None
        if shapes is None or self._annotator.viewer.layers.selection.active is not shapes:
            return None
        return _DRAWN_BY_MODE.get(str(shapes.mode))

    def draw(self, kind: Literal["box", "scribble"] | None) -> None:
        """Let a drag draw a box or a scribble; None lets it move the picture."""
        if self._annotator.prompts is None or self._annotator.target is None:
            return
        if kind is None:
            if self._annotator.prompts.drawn is not None:
                self._annotator.prompts.drawn.mode = "pan_zoom"
            active = self._annotator.viewer.layers.selection.active
            if self.prompting and (active is None or self._annotator.prompts.holds(active)):
                self._annotator.viewer.layers.selection.active = self._annotator.target.layers[0]
        else:
            shapes = self._annotator.prompts.shapes
            self._annotator.viewer.layers.selection.active = shapes
            shapes.mode = _MODES[kind]
        self._annotator.changed()

    def click(self, position: Sequence[float], sign: Sign) -> bool:
        """A click at a place of the world; False and a sentence if it is no prompt there."""
        where = self._annotator.locate(position)
        if where is None or self._annotator.prompts is None:
            return False
        plane, xy = where
        number = self._owner(plane, xy)
        self._ask_ahead(number, plane, (*xy, 1 if sign == "object" else 0))
        self._annotator.prompts.set_number(number)
        self._annotator.prompts.add_point(plane, xy, sign)
        return True

    def _ask_ahead(self, number: int, plane: Plane, point: tuple[float, float, int]) -> None:
        """Ask for the mask before the point is drawn, which takes about as long."""
        draft, answers = self._annotator.draft, self._annotator.answers
        said = draft.get(number, plane)
        said = replace(said, points=(*said.points, point))
        if answers is not None:
            answers.want(draft.with_prompts(number, plane, said), plane)

    def begin_picking(self, purpose: str, act: Callable[[Sequence[float]], Any]) -> None:
        """Let the next click choose an object; the same once more lets it be."""
        same = self.picking is not None and self.picking[0] == purpose
        self.picking = None if same else (purpose, act)
        self._annotator.changed()

    def pick(self, position: Sequence[float]) -> None:
        """The click that was waited for, at a place of the world."""
        if self.picking is not None:
            _, act = self.picking
            self.picking = None
            act(position)
            self._annotator.changed()

    @property
    def blocked_by(self) -> str | None:
        """The name of the active layer, if it has a tool in hand that clicks belong to."""
        active = self._annotator.viewer.layers.selection.active
        if active is None or str(getattr(active, "mode", "pan_zoom")) == "pan_zoom":
            return None
        return str(active.name)

    def _owner(self, plane: Plane, xy: tuple[float, float]) -> int:
        """Whose a point is: the object whose box is around it, else the last one."""
        around = [
            ((box[2] - box[0]) * (box[3] - box[1]), number)
            for number, planes in self._annotator.draft.objects.items()
            for box in planes.get(plane, PromptSet()).boxes
            if box[0] - 0.5 <= xy[0] <= box[2] - 0.5 and box[1] - 0.5 <= xy[1] <= box[3] - 0.5
        ]
        if around:
            return min(around)[1]
        found = self._annotator.found
        for number, mask in found.on(plane).items():
            # Where an object was followed to, a click corrects it.
            if found.origins[number] == "propagated" and _covers(mask, xy):
                return number
        return max(self._annotator.draft.objects, default=1)


def _covers(mask: PlaneMask, xy: tuple[float, float]) -> bool:
    column, row = round(xy[0]) - mask.box[0], round(xy[1]) - mask.box[1]
    height, width = mask.crop.shape
    return 0 <= row < height and 0 <= column < width and bool(mask.crop[row, column])
