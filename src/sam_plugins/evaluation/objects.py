"""A mask of one object in one image, known or predicted, and the pixels that masks share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.metrics import crop_overlap
from sam_plugins.types import Box

__all__ = ["Crop", "ScoredMask", "SharedPixels", "crops_of", "shared_pixels", "shared_within"]

Crop: TypeAlias = tuple[NDArray[np.bool_], Box]
"""(h, w) bool and the xyxy it covers, x1 and y1 exclusive; False outside it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScoredMask:
    """One object: what is known of it, or what a model says.

    Parameters
    ----------
    crop
        (h, w) bool, the mask inside `box`.
    box
        xyxy in the image, x1 and y1 exclusive. It may be wider than the mask.
    label
        Its class.
    score
        What predictions are ranked by: predicted IoU or confidence. Of no meaning for a known
        object.
    is_crowd
        A known region of many objects that nobody told apart, COCO's ``iscrowd``.
    id
        Names the object in what is said about it.

    Raises
    ------
    DatasetError
        If the crop has not the size of its box, or the score is not a number.
    """

    crop: NDArray[np.bool_]
    box: Box
    label: str = ""
    score: float = 1.0
    is_crowd: bool = False
    id: str = ""

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box
        if self.crop.dtype != np.bool_ or self.crop.shape != (y1 - y0, x1 - x0):
            raise DatasetError(
                f"The mask of object {self.id!r} must be bool of its box's size "
                f"{(y1 - y0, x1 - x0)}, found {self.crop.dtype} of {self.crop.shape}: cut it to "
                "its box."
            )
        if np.isnan(self.score):
            raise DatasetError(
                f"Object {self.id!r} has no number as its score: give predictions a confidence."
            )


@dataclass(frozen=True, slots=True, eq=False)
class SharedPixels:
    """The pairs of masks that share a pixel.

    Parameters
    ----------
    first, second
        (P,) int64 indices of the masks of each pair, in rising order.
    pixels
        (P,) int64, how many pixels they share.
    first_areas, second_areas
        (N,) and (M,) int64, pixels of every mask.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    pixels: NDArray[np.int64]
    first_areas: NDArray[np.int64]
    second_areas: NDArray[np.int64]

    @property
    def ious(self) -> NDArray[np.float64]:
        """(P,) intersection over union."""
        both = self.first_areas[self.first] + self.second_areas[self.second]
        iou: NDArray[np.float64] = self.pixels / (both - self.pixels)
        return iou

    @property
    def containments(self) -> NDArray[np.float64]:
        """(P,) intersection over the smaller of the two areas."""
        smaller = np.minimum(self.first_areas[self.first], self.second_areas[self.second])
        containment: NDArray[np.float64] = self.pixels / smaller
        return containment


def crops_of(masks: Sequence[ScoredMask]) -> list[Crop]:
    """The masks without what is known about them."""
    return [(mask.crop, mask.box) for mask in masks]


def shared_pixels(first: Sequence[Crop], second: Sequence[Crop]) -> SharedPixels:
    """What the masks of one list share with those of another, where their boxes overlap."""
    return _counted(first, second, _touching(_boxes(first), _boxes(second)))


def shared_within(masks: Sequence[Crop]) -> SharedPixels:
    """What the masks of one list share with each other; each pair once, the earlier mask first."""
    boxes = _boxes(masks)
    pairs = ((i, later[later > i]) for i, later in _touching(boxes, boxes))
    return _counted(masks, masks, pairs)


def _counted(
    first: Sequence[Crop],
    second: Sequence[Crop],
    pairs: Iterator[tuple[int, NDArray[np.int64]]],
) -> SharedPixels:
    found = [
        (i, j, pixels)
        for i, near in pairs
        for j in near.tolist()
        if (pixels := crop_overlap(*first[i], *second[j]))
    ]
    columns = np.array(found, np.int64).reshape(-1, 3).T
    return SharedPixels(columns[0], columns[1], columns[2], _areas(first), _areas(second))


def _touching(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """For every box of the first list, the indices of those of the second that overlap it."""
    for index, (x0, y0, x1, y1) in enumerate(first):
        yield (
            index,
            np.flatnonzero(
                (second[:, 0] < x1)
                & (second[:, 2] > x0)
                & (second[:, 1] < y1)
                & (second[:, 3] > y0)
            ),
        )


def _boxes(crops: Sequence[Crop]) -> NDArray[np.int64]:
    return np.array([box for _, box in crops], np.int64).reshape(-1, 4)


def _areas(crops: Sequence[Crop]) -> NDArray[np.int64]:
    return np.array([np.count_nonzero(crop) for crop, _ in crops], np.int64)
