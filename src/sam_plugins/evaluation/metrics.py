"""How well a mask answers: intersection over union, over all pixels or along the border."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.masks import mask_iou
from sam_plugins.types import Box, Size

__all__ = [
    "band_width",
    "boundary_band",
    "boundary_iou",
    "crop_boundary_iou",
    "crop_iou",
    "crop_overlap",
    "iou",
]

Mask = NDArray[np.bool_]


def iou(prediction: Mask, target: Mask, ignore: Mask | None = None) -> float:
    """Intersection over union of two masks.

    Parameters
    ----------
    prediction, target
        (H, W) bool.
    ignore
        (H, W) bool; pixels of unknown truth, left out of both areas.

    Returns
    -------
    Between 0 and 1; 0 if both are empty.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _same_shape(prediction, target, ignore)
    if ignore is not None:
        prediction, target = prediction & ~ignore, target & ~ignore
    return mask_iou(prediction, target)


def crop_iou(
    prediction: Mask,
    prediction_box: Box,
    target: Mask,
    target_box: Box,
    ignore: Mask | None = None,
) -> float:
    """Intersection over union of two masks that are given as crops of one image.

    The same number as `iou` of the whole masks, at the cost of the crops.

    Parameters
    ----------
    prediction, target
        (h, w) bool, each of the size of its box; False outside it.
    prediction_box, target_box
        xyxy in the image, x1 and y1 exclusive; a box without area is an empty mask.
    ignore
        (H, W) bool over the whole image.

    Returns
    -------
    Between 0 and 1; 0 if both are empty.
    """
    if ignore is not None:
        prediction = prediction & ~_cut(ignore, prediction_box, (0, 0))
        target = target & ~_cut(ignore, target_box, (0, 0))
    shared = crop_overlap(prediction, prediction_box, target, target_box)
    union = int(np.count_nonzero(prediction)) + int(np.count_nonzero(target)) - shared
    return shared / union if union else 0.0


def crop_overlap(first: Mask, first_box: Box, second: Mask, second_box: Box) -> int:
    """How many pixels two masks share that are given as crops of one image.

    Parameters
    ----------
    first, second
        (h, w) bool, each of the size of its box; False outside it.
    first_box, second_box
        xyxy in the image, x1 and y1 exclusive. Only where they overlap is anything looked at.
    """
    x0, y0 = (max(first_box[i], second_box[i]) for i in (0, 1))
    x1, y1 = (min(first_box[i], second_box[i]) for i in (2, 3))
    if x0 >= x1 or y0 >= y1:
        return 0
    common = (x0, y0, x1, y1)
    both = _cut(first, common, first_box[:2]) & _cut(second, common, second_box[:2])
    return int(np.count_nonzero(both))


def boundary_iou(
    prediction: Mask, target: Mask, ignore: Mask | None = None, *, dilation: float = 0.02
) -> float:
    """Intersection over union of the masks' inner border bands.

    Boundary IoU of Cheng et al. (CVPR 2021): sensitive to the outline where plain IoU of a large
    object is not.

    Parameters
    ----------
    prediction, target
        (H, W) bool.
    ignore
        (H, W) bool; pixels left out.
    dilation
        Width of the band as a fraction of the image's diagonal; 0.02 in the paper, and at least
        one pixel.

    Returns
    -------
    Between 0 and 1; 0 if both are empty.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _same_shape(prediction, target, ignore)
    width = band_width((prediction.shape[0], prediction.shape[1]), dilation)
    return iou(boundary_band(prediction, width), boundary_band(target, width), ignore)


def crop_boundary_iou(
    prediction: Mask,
    prediction_box: Box,
    target: Mask,
    target_box: Box,
    size: Size,
    ignore: Mask | None = None,
    *,
    dilation: float = 0.02,
) -> float:
    """Boundary IoU of two masks that are given as crops of one image.

    The same number as `boundary_iou` of the whole masks, at the cost of the crops: what lies
    around a crop is outside the mask, and so is what lies beyond the image.

    Parameters
    ----------
    prediction, target
        (h, w) bool, each of the size of its box; False outside it.
    prediction_box, target_box
        xyxy in the image, x1 and y1 exclusive, inside it; a box without area is an empty mask.
    size
        (H, W) of the image, which sets the width of the band.
    ignore
        (H, W) bool over the whole image; pixels left out.
    dilation
        As in `boundary_iou`.

    Returns
    -------
    Between 0 and 1; 0 if both are empty.
    """
    width = band_width(size, dilation)
    return crop_iou(
        boundary_band(prediction, width),
        prediction_box,
        boundary_band(target, width),
        target_box,
        ignore,
    )


def band_width(size: Size, dilation: float = 0.02) -> int:
    """Width in pixels of the border band in an image of (H, W) `size`: at least one."""
    return max(1, round(dilation * math.hypot(*size)))


def boundary_band(mask: Mask, width: int) -> Mask:
    """Pixels of a mask that lie within `width` pixels (chessboard) of its outside.

    What lies beyond the image counts as outside.

    Parameters
    ----------
    mask
        (H, W) bool.
    width
        Pixels.

    Returns
    -------
    (H, W) bool, a part of `mask`.
    """
    distance = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    band: Mask = mask & (distance <= width)
    return band


def _cut(array: Mask, box: Box, origin: tuple[int, int]) -> Mask:
    """The part of `array`, whose first pixel lies at xy `origin`, that a box shows."""
    x0, y0, x1, y1 = box
    return array[y0 - origin[1] : y1 - origin[1], x0 - origin[0] : x1 - origin[0]]


def _same_shape(prediction: Mask, target: Mask, ignore: Mask | None) -> None:
    shapes: list[tuple[int, ...]] = [prediction.shape, target.shape]
    if ignore is not None:
        shapes.append(ignore.shape)
    if len(set(shapes)) > 1:
        raise ValueError(f"Masks are compared at one shape (H, W), found {shapes}.")
