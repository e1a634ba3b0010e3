"""What becomes of the box that an object was asked with."""

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.geometry import FloatBox, clip_box, whole_box
from fiftyone_plugin.masking.measuring import measure_mask, why_left_out
from fiftyone_plugin.values import (
    AskedObject,
    BoxMode,
    MaskedObject,
    RunConfig,
    UnansweredObject,
)
from sam_plugins import MeasuredMask
from sam_plugins.masks import box_iou, mask_area
from sam_plugins.types import Box, Size

__all__ = ["NOTHING_FOUND", "cut_to", "given_box_of", "goes_on", "moved_out", "placed"]

NOTHING_FOUND = "The model found nothing there: ask with other points or another box."

_NEAR_PIXELS, _NEAR_FRACTION = 2.0, 0.02
"""A mask reaches a side that it comes this near to: pixels, or part of the box."""

_STEP_PIXELS, _STEP_FRACTION = 4.0, 0.2
"""How far a side is moved out: pixels, or part of the mean of the box's sides."""

_MOST_IOU_LOST = 0.05
_LEAST_KEPT = 0.8
"""A larger answer holds at least this part of the smaller one, or it is of something else."""


def given_box_of(asked: AskedObject, size: Size) -> FloatBox | None:
    """The part inside the picture of the box that a label gives, xyxy; None without a box."""
    box = asked.given_box
    if box is None and asked.prompt is not None and asked.prompt.box is not None:
        x0, y0, x1, y1 = asked.prompt.box.tolist()
        box = (x0, y0, x1, y1)
    return None if box is None else clip_box(box, size)


def moved_out(asked: FloatBox, found: Box, size: Size) -> FloatBox | None:
    """The box with those sides moved out that a mask reaches; None if it reaches none.

    Parameters
    ----------
    asked
        xyxy, inside the picture.
    found
        xyxy of the mask, not empty.
    size
        (H, W) of the picture, beyond which no side goes.
    """
    sides = np.array(asked)
    extent = np.tile(sides[2:] - sides[:2], 2)
    outward = np.array((-1, -1, 1, 1))
    edge = np.array((0, 0, size[1], size[0]), np.float64)
    near = np.maximum(_NEAR_PIXELS, _NEAR_FRACTION * extent)
    reached = (np.array(found) - sides) * outward >= -near
    reached &= sides != edge
    if not reached.any():
        return None
    furthest = np.maximum(sides * outward, np.array(found) * outward) * outward
    further = furthest + outward * max(_STEP_PIXELS, _STEP_FRACTION * float(extent.mean()))
    within = np.where(outward < 0, np.maximum(further, edge), np.minimum(further, edge))
    x0, y0, x1, y1 = np.where(reached, within, sides).tolist()
    return x0, y0, x1, y1


def goes_on(smaller: MeasuredMask, larger: MeasuredMask) -> bool:
    """Whether an answer to a larger box is the same object, and more of it.

    It is as sure of itself, holds what the smaller one holds and reaches further.
    """
    if larger.predicted_iou < smaller.predicted_iou - _MOST_IOU_LOST:
        return False
    shared = mask_area(cut_to(larger.crop, larger.box, smaller.box) & smaller.crop)
    return larger.area > smaller.area and shared >= _LEAST_KEPT * smaller.area


def cut_to(crop: NDArray[np.bool_], box: Box, wanted: Box) -> NDArray[np.bool_]:
    """The pixels of a mask inside another box, False where its own does not reach.

    Parameters
    ----------
    crop, box
        bool pixels and their xyxy.
    wanted
        xyxy.

    Returns
    -------
    (h, w) bool, h and w those of `wanted`.
    """
    result = np.zeros((wanted[3] - wanted[1], wanted[2] - wanted[0]), bool)
    x0, y0 = max(box[0], wanted[0]), max(box[1], wanted[1])
    x1, y1 = min(box[2], wanted[2]), min(box[3], wanted[3])
    if x0 < x1 and y0 < y1:
        part = crop[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        result[y0 - wanted[1] : y1 - wanted[1], x0 - wanted[0] : x1 - wanted[0]] = part
    return result


def placed(
    asked: AskedObject,
    crop: NDArray[np.bool_],
    box: Box,
    size: Size,
    config: RunConfig,
    *,
    first_box: Box,
    predicted_iou: float | None,
    stability_score: float | None,
) -> MaskedObject | UnansweredObject:
    """A mask as the object that is written, or why it is not.

    Parameters
    ----------
    asked
        What asked.
    crop, box
        The mask that is taken, cut to its box; (0, 0) where nothing was found.
    size
        (H, W) of the picture.
    config
        Its box mode and thresholds.
    first_box
        The box of the first answer, before any larger box was asked.
    predicted_iou, stability_score
        As in `Quality`.
    """
    if not crop.size:
        return UnansweredObject(prompt_id=asked.prompt_id, reason=NOTHING_FOUND)
    given = given_box_of(asked, size)
    whole = None if given is None else whole_box(given, size)
    before = after = outside = None
    if given is not None and whole is not None:
        inside = cut_to(crop, box, whole)
        ious = box_iou([given], [first_box, box])[0]
        before, after = float(ious[0]), float(ious[1])
        outside = 1 - mask_area(inside) / mask_area(crop)
        if config.box_mode is BoxMode.KEEP:
            crop, box = inside, whole
    if not crop.any():
        reason = (
            "The mask that the model found lies wholly outside the given box: correct the box, or "
            "let the run tighten boxes."
        )
        return UnansweredObject(prompt_id=asked.prompt_id, reason=reason)
    quality = measure_mask(
        crop,
        box,
        size,
        predicted_iou=predicted_iou,
        stability_score=stability_score,
        box_iou_before=before,
        box_iou_after=after,
        outside_box=outside,
    )
    reason_against = why_left_out(quality, config)
    if reason_against is not None:
        return UnansweredObject(prompt_id=asked.prompt_id, reason=reason_against)
    return MaskedObject(prompt_id=asked.prompt_id, crop=crop, box=box, quality=quality, asked=asked)
