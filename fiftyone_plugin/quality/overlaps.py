"""How many pixels the masks of one picture share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Box

__all__ = ["Crop", "Overlap", "overlaps_between", "overlaps_within"]

Crop = tuple[NDArray[np.bool_], Box]
"""(h, w) bool and the xyxy whole pixels it covers; False outside."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two masks that share at least one pixel.

    Parameters
    ----------
    first, second
        Their places in the lists that were given.
    iou
        Intersection over union.
    containment
        Intersection over the smaller of the two areas.
    """

    first: int
    second: int
    iou: float
    containment: float


def overlaps_within(masks: Sequence[Crop]) -> list[Overlap]:
    """Every pair of one list that shares a pixel, once, the earlier mask first."""
    return list(
        _overlaps(masks, masks, ((i, range(i + 1, len(masks))) for i in range(len(masks))))
    )


def overlaps_between(first: Sequence[Crop], second: Sequence[Crop]) -> list[Overlap]:
    """Every pair of a mask of one list and one of another that shares a pixel."""
    return list(_overlaps(first, second, ((i, range(len(second))) for i in range(len(first)))))


def _overlaps(
    first: Sequence[Crop], second: Sequence[Crop], pairs: Iterable[tuple[int, range]]
) -> Iterator[Overlap]:
    boxes = np.array([box for _, box in second], np.int64).reshape(-1, 4)
    areas = [int(np.count_nonzero(crop)) for crop, _ in second]
    for i, others in pairs:
        crop, (x0, y0, x1, y1) = first[i]
        near = boxes[others.start :]
        touching = (near[:, 0] < x1) & (near[:, 2] > x0) & (near[:, 1] < y1) & (near[:, 3] > y0)
        if not touching.any():
            continue
        area = int(np.count_nonzero(crop))
        for j in (np.flatnonzero(touching) + others.start).tolist():
            shared = _shared(crop, (x0, y0, x1, y1), *second[j])
            if shared:
                yield Overlap(
                    i, j, shared / (area + areas[j] - shared), shared / min(area, areas[j])
                )


def _shared(crop: NDArray[np.bool_], box: Box, other: NDArray[np.bool_], other_box: Box) -> int:
    x0, y0 = max(box[0], other_box[0]), max(box[1], other_box[1])
    x1, y1 = min(box[2], other_box[2]), min(box[3], other_box[3])
    here = crop[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    there = other[y0 - other_box[1] : y1 - other_box[1], x0 - other_box[0] : x1 - other_box[0]]
    return int(np.count_nonzero(here & there))
