"""`Interaction`: all prompts of one object in order, and the steps in which a model is asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.errors import PromptError
from sam_plugins.formats import rle_to_crop
from sam_plugins.types import Rle

__all__ = ["Interaction", "Scribble", "Step", "interior_point"]

Point: TypeAlias = tuple[float, float, int]
Vertices: TypeAlias = tuple[tuple[float, float], ...]
Scribble: TypeAlias = tuple[Vertices, int]
"""A line drawn by hand, (x, y) in pixels of the whole image, and 1 foreground or 0 background."""

_POINTS_PER_SCRIBBLE = 8
_SCRIBBLE_SPACING = 12.0
"""Pixels between two points of a short scribble."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the model is asked at once, besides its own answer to the step before.

    Parameters
    ----------
    points
        (x, y, label) of this step and of all before.
    box
        xyxy, or None.
    """

    points: tuple[Point, ...]
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class Interaction:
    """All that was said about one object of one picture, in the order in which it was said.

    Parameters
    ----------
    points
        (x, y, label) in pixels of the whole image, 1 foreground and 0 background.
    box
        xyxy in pixels, or None.
    scribbles
        Lines drawn on the object or beside it.
    mask
        The object as another program or an earlier round left it, as COCO run lengths of the
        whole image: what the clicks correct.
    answer
        Which answer to the first step is meant, counted from the highest predicted IoU; None for
        what the model takes by itself.
    """

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    scribbles: tuple[Scribble, ...] = ()
    mask: Rle | None = None
    answer: int | None = None

    def scribbled(self) -> tuple[Point, ...]:
        """Points on the scribbles."""
        return tuple((x, y, label) for line, label in self.scribbles for x, y in along(line))

    def steps(self) -> tuple[Step, ...]:
        """The steps: what the object is first, then one point after the other.

        The first holds the box, the scribbles and a point well inside the given mask; where there
        is none of these, the first foreground point. Each further step adds one point, as in the
        published training by simulated clicks (paper, appendix A), where the model corrects its
        former answer.

        Raises
        ------
        PromptError
            If nothing says what the object is, but only what it is not.
        """
        base = list(self.scribbled())
        if self.mask is not None:
            base.insert(0, (*interior_point(self.mask), 1))
        rest = list(self.points)
        if self.box is None and not any(label == 1 for _, _, label in base):
            first = next((i for i, point in enumerate(rest) if point[2] == 1), None)
            if first is None:
                raise PromptError(
                    "Expected a point, a box or a scribble on the object, found only background "
                    "prompts: click on the object first, then beside it."
                )
            base.append(rest.pop(first))
        steps = [Step(tuple(base), self.box)]
        for point in rest:
            steps.append(Step((*steps[-1].points, point), self.box))
        return tuple(steps)


def along(vertices: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points evenly along a line: every 12 pixels, at most eight."""
    line = np.asarray(vertices, np.float64).reshape(-1, 2)
    if not len(line):
        return []
    lengths = np.hypot(*np.diff(line, axis=0).T)
    total = float(lengths.sum())
    if total == 0:
        return [(float(line[0, 0]), float(line[0, 1]))]
    count = min(max(math.ceil(total / _SCRIBBLE_SPACING), 2), _POINTS_PER_SCRIBBLE)
    where = (np.arange(count) + 0.5) / count * total
    reached = np.concatenate(([0.0], np.cumsum(lengths)))
    x, y = (np.interp(where, reached, line[:, axis]) for axis in (0, 1))
    return list(zip(x.tolist(), y.tolist(), strict=True))


def interior_point(mask: Rle | NDArray[Any]) -> tuple[float, float]:
    """The xy of the pixel of a mask that is farthest from its edge, in the whole image.

    Parameters
    ----------
    mask
        Run lengths, or (H, W) bool.

    Raises
    ------
    PromptError
        If the mask is empty.
    """
    if isinstance(mask, np.ndarray):
        crop, left, top = mask, 0, 0
    else:
        crop, (left, top, _, _) = rle_to_crop(mask)
    if not crop.any():
        raise PromptError("Expected a mask to start from, found an empty one.")
    depth = ndimage.distance_transform_edt(np.pad(crop, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return float(left + column), float(top + row)
