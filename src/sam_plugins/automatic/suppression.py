"""Which masks are in each other's way: duplicates, cut off by their crop, at the border."""

from collections.abc import Sequence

from sam_plugins.masks import box_nms
from sam_plugins.types import Box, MaskRecord, Size

__all__ = ["is_cut_off", "suppress", "touches_border"]


def suppress(
    records: Sequence[MaskRecord], scores: Sequence[float], iou_threshold: float
) -> list[MaskRecord]:
    """Remove duplicates by their boxes, which end at their last pixel as in the published code.

    Parameters
    ----------
    records
        Masks of one image.
    scores
        One per record: of two that overlap too much the one with the higher score stays, of equal
        scores the earlier one.
    iou_threshold
        A record goes if its box has a *greater* IoU with that of a better one that stays.

    Returns
    -------
    Those that stay, best score first. Memory grows with the number of records, not its square.
    """
    boxes = [(x0, y0, x1 - 1, y1 - 1) for x0, y0, x1, y1 in (record.box for record in records)]
    return [records[int(i)] for i in box_nms(boxes, scores, iou_threshold)]


def is_cut_off(box: Box, crop_box: Box, size: Size, margin: int) -> bool:
    """Whether a mask comes near to an edge of its crop that is no edge of the image.

    Parameters
    ----------
    box, crop_box
        xyxy of mask and crop, x1 and y1 exclusive.
    size
        (H, W) of the whole image.
    margin
        Pixels; the published code has 20 and compares the mask's last pixel with the crop's
        exclusive end. 0 never says yes.
    """
    height, width = size
    ends = (box[0], box[1], box[2] - 1, box[3] - 1)
    return margin > 0 and any(
        abs(end - crop) <= margin < abs(end - image)
        for end, crop, image in zip(ends, crop_box, (0, 0, width, height), strict=True)
    )


def touches_border(box: Box, size: Size) -> bool:
    """Whether a mask has a pixel in the first or last row or column of an image of (H, W)."""
    return box[0] <= 0 or box[1] <= 0 or box[2] >= size[1] or box[3] >= size[0]
