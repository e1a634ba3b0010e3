"""Records in the form that the published automatic mask generator gives.

A dictionary per mask, for programs that were written for it. Its boxes are xywh and end *at* their
last pixel, so that width and height are one less than the number of columns and rows.
"""

from typing import Any, Literal, TypeAlias, get_args

from sam_plugins.errors import ImageError
from sam_plugins.formats.rle import rle_to_mask, rle_to_runs
from sam_plugins.types import Box, MaskRecord

__all__ = ["OutputMode", "record_to_published"]

OutputMode: TypeAlias = Literal["binary_mask", "coco_rle", "uncompressed_rle"]


def record_to_published(
    record: MaskRecord, output_mode: OutputMode = "binary_mask"
) -> dict[str, Any]:
    """One mask as a dictionary.

    Parameters
    ----------
    record
        A mask of everything-mode.
    output_mode
        What ``segmentation`` is: "binary_mask", (H, W) bool, of the size of the image, so convert
        one record at a time where memory matters; "coco_rle", counts as a string;
        "uncompressed_rle", counts as a list.

    Returns
    -------
    dict with ``segmentation``, ``area``, ``bbox`` (x, y, width - 1, height - 1; zeros for an empty
    mask), ``predicted_iou``, ``point_coords`` ([[x, y]]), ``stability_score`` and ``crop_box``
    (x, y, width, height).

    Raises
    ------
    ImageError
        If the output mode is unknown, or the record's encoding is damaged.
    """
    rle = record.segmentation
    segmentation: Any
    if output_mode == "binary_mask":
        segmentation = rle_to_mask(rle)
    elif output_mode == "coco_rle":
        segmentation = dict(rle)
    elif output_mode == "uncompressed_rle":
        segmentation = {"size": list(rle["size"]), "counts": rle_to_runs(rle).tolist()}
    else:
        raise ImageError(
            f"output_mode must be one of {', '.join(get_args(OutputMode))}, found {output_mode!r}."
        )
    x, y, width, height = _xywh(record.box)
    return {
        "segmentation": segmentation,
        "area": record.area,
        "bbox": [x, y, max(width - 1, 0), max(height - 1, 0)],
        "predicted_iou": record.predicted_iou,
        "point_coords": [list(record.point_coords)],
        "stability_score": record.stability_score,
        "crop_box": _xywh(record.crop_box),
    }


def _xywh(box: Box) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
