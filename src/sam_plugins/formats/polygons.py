"""Masks as rings with few corners, for programs whose polygons know no holes and no second part.

Holes and parts are joined to a ring by slits without width, see `bridges`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError
from sam_plugins.formats.bridges import Corners, joined_ring
from sam_plugins.formats.outlines import Outline, fill_rings, mask_outlines
from sam_plugins.masks import mask_iou
from sam_plugins.types import Box

__all__ = ["SimplifiedPolygons", "simplified_polygons"]

_LEAST_IOU = 0.985
_FINEST = 0.25
"""Tolerances below are none: the next thing tried is the exact outline."""
_MOST_HOLES = 200
_PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class SimplifiedPolygons:
    """A mask as rings.

    Parameters
    ----------
    rings
        (N, 2) float64 xy each, corners of pixels of the whole image, closed by themselves; that of
        the largest part first.
    area_lost
        Pixels of parts that are missing and of holes that are filled, as a share of the mask's
        own, at most 1. What simplification alone changes is not counted.
    """

    rings: tuple[Corners, ...]
    area_lost: float


def simplified_polygons(
    crop: NDArray[np.bool_],
    box: Box,
    *,
    tolerance: float = 1.0,
    holes: Literal["bridge", "drop"] = "bridge",
    parts: Literal["split", "largest", "bridge"] = "split",
    min_area: float = 0.0,
) -> SimplifiedPolygons:
    """A mask as rings with few corners, each of which is a corner of its exact outline.

    Parameters
    ----------
    crop, box
        (h, w) bool and its xyxy in the image.
    tolerance
        How far in pixels the outline may move (Douglas and Peucker). It is lowered for a part whose
        ring would cross itself or share less than 0.98 with it (IoU), down to the exact outline.
    holes
        Join them to the outline by a slit, or fill them.
    parts
        A ring for each part, for the largest only, or one for all of them, joined by slits.
    min_area
        Smaller parts and holes, in pixels, are left out. The largest part never is, and of more
        than 200 holes of one part the largest are kept.

    Raises
    ------
    ImageError
        If the crop does not fit its box, or the tolerance is no number of at least 0.
    """
    if crop.shape != (box[3] - box[1], box[2] - box[0]):
        raise ImageError(f"A mask of {crop.shape} does not fit box {box}.")
    if not 0 <= tolerance < math.inf:
        raise ImageError(f"tolerance must be a number of at least 0 pixels, found {tolerance}.")
    outlines = [(_area(o), o) for o in mask_outlines(crop, (box[0], box[1]))]
    outlines.sort(key=lambda known: -known[0])
    total = sum(area for area, _ in outlines)
    kept = [o for n, (area, o) in enumerate(outlines) if n == 0 or area >= min_area]
    if parts == "largest":
        kept = kept[:1]
    lost = total - sum(_area(o) for o in kept)
    rings = []
    for outline in kept:
        shown = _with_holes(outline, min_area if holes == "bridge" else math.inf)
        lost += _area(shown) - _area(outline)
        whole = len(outlines) == 1 and shown is outline
        exterior, *inner = _simplified(shown, tolerance, crop if whole else None, box)
        rings.append(joined_ring([exterior, *inner]))
    if parts == "bridge" and rings:
        rings = [joined_ring(rings)]
    return SimplifiedPolygons(tuple(rings), min(lost / total, 1.0) if total else 0.0)


def _with_holes(outline: Outline, least: float) -> Outline:
    holes = [hole for hole in outline.holes if -_signed(hole) >= least]
    if len(holes) > _MOST_HOLES:
        holes = sorted(holes, key=_signed)[:_MOST_HOLES]
    return outline if len(holes) == len(outline.holes) else Outline(outline.exterior, tuple(holes))


def _area(outline: Outline) -> float:
    return _signed(outline.exterior) + sum(_signed(hole) for hole in outline.holes)


def _signed(ring: NDArray[np.int64]) -> float:
    x, y = ring.T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _simplified(
    outline: Outline, tolerance: float, mask: NDArray[np.bool_] | None, box: Box
) -> list[Corners]:
    """The exterior and the holes; `mask` is what they show in `box`, where that is known."""
    exact = [ring.astype(np.float64) for ring in (outline.exterior, *outline.holes)]
    if mask is None:
        (x0, y0), (x1, y1) = outline.exterior.min(0).tolist(), outline.exterior.max(0).tolist()
        box = (x0, y0, x1, y1)
    while tolerance >= _FINEST:
        rings = [_fewer_corners(ring, tolerance) for ring in exact]
        if min(len(ring) for ring in rings) >= 3 and not _cross(rings):
            if mask is None:
                mask = fill_rings(exact, box)
            if mask_iou(fill_rings(rings, box), mask) >= _LEAST_IOU:
                return rings
        tolerance /= 2
    return exact


def _fewer_corners(ring: Corners, tolerance: float) -> Corners:
    """Douglas-Peucker, all pieces of one level at once."""
    first = int(np.lexsort((ring[:, 1], ring[:, 0]))[0])
    line = np.concatenate((ring[first:], ring[: first + 1]))
    far = int(np.argmax(np.hypot(*(line - line[0]).T)))
    kept = np.array((0, far, len(line) - 1))
    while True:
        piece = np.searchsorted(kept, np.arange(len(line) - 1), side="right") - 1
        start = line[kept[:-1]]
        along = line[kept[1:]] - start
        length = np.maximum(np.hypot(*along.T), 1e-12)
        away, towards = line[:-1] - start[piece], (along / length[:, None])[piece]
        reach = np.clip((away * towards).sum(1), 0, length[piece])
        distance = np.hypot(*(away - towards * reach[:, None]).T)
        furthest = np.maximum.reduceat(distance, kept[:-1])
        found = np.flatnonzero((distance == furthest[piece]) & (distance > tolerance))
        if not len(found):
            fewer: Corners = line[kept[:-1]]
            return fewer
        _, each = np.unique(piece[found], return_index=True)
        kept = np.sort(np.concatenate((kept, found[each])))


def _cross(rings: Sequence[Corners]) -> bool:
    """Whether two edges of the rings cross each other."""
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.argsort(low[:, 1], kind="stable")
    start, end, low, high = start[order], end[order], low[order], high[order]
    # Only edges that begin before an edge ends can meet it.
    last = np.searchsorted(low[:, 1], high[:, 1], side="right")
    counts = last - np.arange(len(start)) - 1
    begin = 0
    while begin < len(counts):
        stop = begin + max(
            int(np.searchsorted(np.cumsum(counts[begin:]), _PAIRS_AT_ONCE, side="right")), 1
        )
        one = np.repeat(np.arange(begin, min(stop, len(counts))), counts[begin:stop])
        offset = np.cumsum(counts[begin:stop]) - counts[begin:stop]
        other = one + 1 + np.arange(len(one)) - np.repeat(offset, counts[begin:stop])
        near = (low[one, 0] <= high[other, 0]) & (low[other, 0] <= high[one, 0])
        one, other = one[near], other[near]
        a, b, c, d = start[one], end[one], start[other], end[other]
        apart = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
        if apart.any():
            return True
        begin = stop
    return False


def _side(a: Corners, b: Corners, c: Corners) -> NDArray[np.float64]:
    ab, ac = b - a, c - a
    turn: NDArray[np.float64] = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    return turn
