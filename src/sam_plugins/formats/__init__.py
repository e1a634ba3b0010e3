"""Masks to files and back: COCO run lengths, COCO documents, label images, published records.

One file per format. Everything here is NumPy, Pillow, tifffile and pycocotools; nothing loads a
model.
"""

from sam_plugins.formats.coco import CocoImage, from_coco, read_coco, to_coco, write_coco
from sam_plugins.formats.label_image import (
    read_label_image,
    records_to_label_image,
    write_label_image,
)
from sam_plugins.formats.published import OutputMode, record_to_published
from sam_plugins.formats.rle import (
    crop_to_rle,
    mask_to_rle,
    rle_area,
    rle_to_crop,
    rle_to_mask,
    rle_to_runs,
    runs_to_rle,
)

__all__ = [
    "CocoImage",
    "OutputMode",
    "crop_to_rle",
    "from_coco",
    "mask_to_rle",
    "read_coco",
    "read_label_image",
    "record_to_published",
    "records_to_label_image",
    "rle_area",
    "rle_to_crop",
    "rle_to_mask",
    "rle_to_runs",
    "runs_to_rle",
    "to_coco",
    "write_coco",
    "write_label_image",
]
