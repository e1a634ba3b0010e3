"""What is known about one mask, and whether it is good enough to be written."""

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.values import Quality, RunConfig
from sam_plugins.masks import connected_components, mask_area
from sam_plugins.types import Box, Size

__all__ = ["measure_mask", "why_left_out"]


def measure_mask(
    crop: NDArray[np.bool_],
    box: Box,
    size: Size,
    *,
    predicted_iou: float | None = None,
    stability_score: float | None = None,
    box_iou_before: float | None = None,
    box_iou_after: float | None = None,
    outside_box: float | None = None,
) -> Quality:
    """Count pixels, pieces and holes, and see whether the mask reaches the picture's edge.

    Parameters
    ----------
    crop
        (h, w) bool, the pixels inside `box`.
    box
        xyxy in the picture, x1 and y1 exclusive.
    size
        (H, W) of the picture.
    predicted_iou, stability_score, box_iou_before, box_iou_after, outside_box
        What only the caller knows, as in `Quality`.
    """
    pieces = len(connected_components(crop)[1]) if crop.size else 0
    x0, y0, x1, y1 = box
    touches = crop.size > 0 and bool(
        (x0 == 0 and crop[:, 0].any())
        or (y0 == 0 and crop[0].any())
        or (x1 == size[1] and crop[:, -1].any())
        or (y1 == size[0] and crop[-1].any())
    )
    return Quality(
        predicted_iou=predicted_iou,
        stability_score=stability_score,
        area=mask_area(crop),
        components=pieces,
        holes=pieces - _pieces_less_holes(crop),
        touches_border=touches,
        box_iou_before=box_iou_before,
        box_iou_after=box_iou_after,
        outside_box=outside_box,
    )


def _pieces_less_holes(crop: NDArray[np.bool_]) -> int:
    """The Euler number of a mask whose pixels also hold together at corners.

    Counted from windows of two by two pixels (Gray, "Local properties of binary images in two
    dimensions", 1971): four times cheaper than looking for the holes themselves.
    """
    padded = np.pad(crop, 1).view(np.uint8)
    left, right = padded[:, :-1], padded[:, 1:]
    pairs = left + right
    windows = pairs[:-1] + pairs[1:]
    diagonal = (windows == 2) & (left[:-1] == right[1:])
    corners = np.count_nonzero(windows == 1) - np.count_nonzero(windows == 3)
    return int(corners - 2 * np.count_nonzero(diagonal)) // 4


def why_left_out(quality: Quality, config: RunConfig) -> str | None:
    """The sentence that says which threshold of the run a mask is below; None if it is above all.

    What is not known of a mask is not held against it, and a threshold of 0 keeps all: a model may
    predict less than that.
    """
    if quality.area < config.min_area:
        return (
            f"Its mask has {quality.area} pixels, and the run keeps those of at least "
            f"{config.min_area}: lower min_area to keep it."
        )
    limits = (
        ("predicted IoU", quality.predicted_iou, config.min_predicted_iou, "min_predicted_iou"),
        ("stability", quality.stability_score, config.min_stability, "min_stability"),
    )
    for what, value, least, name in limits:
        if least > 0 and value is not None and value < least:
            return (
                f"Its mask has a {what} of {value:.3f}, and the run keeps those of at least "
                f"{least:g}: lower {name} to keep it."
            )
    return None
