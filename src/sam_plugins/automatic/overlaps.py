"""Masks that share no pixel."""

from collections.abc import Sequence
from dataclasses import replace

from sam_plugins.formats.label_image import records_to_label_image
from sam_plugins.formats.rle import crop_to_rle
from sam_plugins.masks import mask_area, mask_to_box
from sam_plugins.types import MaskRecord, Size

__all__ = ["without_overlaps"]


def without_overlaps(
    records: Sequence[MaskRecord],
    size: Size,
    *,
    best_on_top: bool = False,
    min_visible: float = 0.0,
) -> list[MaskRecord]:
    """Give each pixel to one mask and take it from the others.

    Parameters
    ----------
    records
        Masks of one image.
    size
        (H, W) of the image.
    best_on_top
        Of two masks the one with the higher predicted IoU keeps what they share; otherwise the
        smaller one, so that parts lie on their wholes.
    min_visible
        Leave out masks of which no more than this fraction can be seen: what is left of a mask
        around another is a ring, and no object.

    Returns
    -------
    In the order given, with segmentation, box and area of what can be seen of each; those of
    which nothing can be seen are left out. One label image is held, whatever the number of masks.
    """
    labels = records_to_label_image(records, size, best_on_top=best_on_top)
    seen = []
    for number, record in enumerate(records, 1):
        x0, y0, x1, y1 = record.box
        crop = labels[y0:y1, x0:x1] == number
        area = mask_area(crop)
        if not area or area <= min_visible * record.area:
            continue
        if area != record.area:
            left, top, right, bottom = mask_to_box(crop)
            box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
            rle = crop_to_rle(crop[top:bottom, left:right], box, size)
            record = replace(record, segmentation=rle, box=box, area=area)
        seen.append(record)
    return seen
