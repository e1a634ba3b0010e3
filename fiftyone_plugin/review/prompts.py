"""What the panel sends about one object, as JSON, and what it means in pixels of the picture."""

import math
from collections.abc import Mapping
from typing import Any

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.geometry import clip_box, relative_to_pixel_box, relative_to_pixel_points
from sam_plugins import Interaction
from sam_plugins.types import Rle, Size

__all__ = ["MOST_POINTS", "read_interaction"]

MOST_POINTS = 256
"""Clicks on one object; each is a step of the model."""


def read_interaction(said: Mapping[str, Any], size: Size, mask: Rle | None = None) -> Interaction:
    """The prompts of one object.

    Parameters
    ----------
    said
        `points`: a list of [x, y, sign], x and y from 0 to 1 of the picture, sign 1 foreground and
        0 background. `box`: [x, y, width, height] likewise, or null. `answer`: which of several
        answers is meant, counted from the best, or null.
    size
        (H, W) of the picture.
    mask
        What the prompts correct, or None; with one, nothing need be said yet.

    Raises
    ------
    ReviewError
        If that is not what was sent, or nothing was said.
    """
    points = _points(said.get("points") or [], size)
    box = _box(said.get("box"), size)
    if not points and box is None and mask is None:
        raise ReviewError("Expected a click or a box, found neither: click on the object first.")
    answer = said.get("answer")
    if answer is not None and (not isinstance(answer, int) or isinstance(answer, bool)):
        raise ReviewError(f"Expected the number of an answer, found {answer!r}.")
    if answer is not None and not 0 <= answer < 3:
        raise ReviewError(f"Expected answer 0, 1 or 2, found {answer}: there are at most three.")
    return Interaction(points=points, box=box, mask=mask, answer=answer)


def _points(said: Any, size: Size) -> tuple[tuple[float, float, int], ...]:
    if not isinstance(said, list) or len(said) > MOST_POINTS:
        raise ReviewError(f"Expected a list of at most {MOST_POINTS} clicks.")
    signs = []
    for point in said:
        if not _numbers(point, 3) or point[2] not in (0, 1):
            raise ReviewError(
                f"Expected clicks as [x, y, sign] with sign 1 or 0, found {str(point)[:80]}."
            )
        if not (0 <= point[0] <= 1 and 0 <= point[1] <= 1):
            raise ReviewError(f"Expected clicks within 0 to 1, found one at {point[:2]}.")
        signs.append(int(point[2]))
    height, width = size
    pixels = relative_to_pixel_points([point[:2] for point in said], size).tolist()
    return tuple(
        (min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0), sign)
        for (x, y), sign in zip(pixels, signs, strict=True)
    )


def _box(said: Any, size: Size) -> tuple[float, float, float, float] | None:
    if said is None:
        return None
    if not _numbers(said, 4):
        raise ReviewError(f"Expected a box as [x, y, width, height], found {str(said)[:80]}.")
    box = clip_box(relative_to_pixel_box(said, size), size)
    if box is None:
        raise ReviewError("The box has no area inside the picture: draw it over the object.")
    return box


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(
            isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one)
            for one in value
        )
    )
