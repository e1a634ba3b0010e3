"""Label images: every pixel belongs to one object or to none.

0 is background; object ``i`` of a list is ``i + 1``. PNG holds 65 535 objects, TIFF four billion.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from sam_plugins.errors import ImageError
from sam_plugins.formats.label_stack import label_image_objects
from sam_plugins.formats.rle import crop_to_rle, rle_to_crop
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import MaskRecord, Size

__all__ = [
    "label_image_to_records",
    "read_label_image",
    "records_to_label_image",
    "write_label_image",
]

Labels = NDArray[np.uint16] | NDArray[np.uint32]

_TIFF_SUFFIXES = (".tif", ".tiff")
_PNG_LIMIT = 2**16 - 1


def records_to_label_image(
    records: Sequence[MaskRecord], size: Size, *, best_on_top: bool = False
) -> Labels:
    """Give each pixel to one object; where masks overlap, the smaller object lies on top.

    Parameters
    ----------
    records
        Masks of one image; record ``i`` becomes label ``i + 1``. A mask that others cover
        completely has no pixel left. Of equal areas the higher predicted IoU lies on top.
    size
        (H, W) of the image.
    best_on_top
        The object with the higher predicted IoU lies on top instead; of equal ones the smaller.

    Returns
    -------
    (H, W) uint16, or uint32 for more than 65 535 records.

    Raises
    ------
    ImageError
        If a record belongs to an image of another size, or its encoding is damaged.
    """
    dtype = np.uint16 if len(records) <= _PNG_LIMIT else np.uint32
    labels = np.zeros(size, dtype)

    def depth(index: int) -> tuple[float, float, int]:
        area, score = -records[index].area, records[index].predicted_iou
        return (score, area, -index) if best_on_top else (area, score, -index)

    order = sorted(range(len(records)), key=depth)
    for index in order:
        rle = records[index].segmentation
        if tuple(rle["size"]) != tuple(size):
            raise ImageError(
                f"Record {index} belongs to an image of {rle['size']}, expected {list(size)}."
            )
        crop, (x0, y0, x1, y1) = rle_to_crop(rle)
        labels[y0:y1, x0:x1][crop] = index + 1
    return labels


def label_image_to_records(
    labels: NDArray[Any],
) -> tuple[tuple[MaskRecord, ...], tuple[int, ...]]:
    """The objects of a label image as records.

    Parameters
    ----------
    labels
        (H, W) integers or bool, 0 background, not negative.

    Returns
    -------
    records, labels
        In the order of the labels, and the label of each. Their scores are 1: nobody says how good
        they are; their point is the centre of the pixel of the mask that is nearest its centroid.

    Raises
    ------
    ImageError
        If `labels` is no such array.
    """
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "biu" or labels.min() < 0:
        raise ImageError(
            f"A label image must be (H, W) integers from 0, found {labels.dtype} {labels.shape}."
        )
    height, width = labels.shape
    records, numbers = [], []
    for label, crop, box in label_image_objects(labels):
        rows, columns = np.nonzero(crop)
        distance = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
        nearest = int(np.argmin(distance))
        records.append(
            MaskRecord(
                segmentation=crop_to_rle(crop, box, (height, width)),
                box=box,
                area=len(rows),
                predicted_iou=1.0,
                stability_score=1.0,
                point_coords=(float(box[0] + columns[nearest]), float(box[1] + rows[nearest])),
                crop_box=(0, 0, width, height),
            )
        )
        numbers.append(label)
    return tuple(records), tuple(numbers)


def write_label_image(path: str | Path, labels: NDArray[Any]) -> None:
    """Write a label image as PNG or TIFF, by the ending of `path`; never half a file.

    Parameters
    ----------
    path
        ``.png``, ``.tif`` or ``.tiff``.
    labels
        (H, W) of any integer type, not negative. Stored as uint16, or uint32 (TIFF only) when a
        label is greater than 65 535.

    Raises
    ------
    ImageError
        If the ending is another one, or the labels are not such an array or do not fit a PNG.
    OSError
        If the folder is missing or cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", *_TIFF_SUFFIXES):
        raise ImageError(f"A label image is written as .png, .tif or .tiff, found {path.name}.")
    if labels.ndim != 2 or labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ImageError(
            f"A label image must be (H, W) integers, found {labels.dtype} {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= 2**32:
        raise ImageError(f"Labels must be 0 to {2**32 - 1}, found {labels.min()}..{labels.max()}.")
    highest = int(labels.max())
    if suffix == ".png" and highest > _PNG_LIMIT:
        raise ImageError(f"A PNG holds labels up to {_PNG_LIMIT}, found {highest}: write a .tif.")
    stored = np.ascontiguousarray(labels, np.uint16 if highest <= _PNG_LIMIT else np.uint32)
    with whole_file(path) as partial:
        if suffix == ".png":
            PillowImage.fromarray(stored).save(partial)
        else:
            tifffile.imwrite(partial, stored, compression="zlib", photometric="minisblack")


def read_label_image(path: str | Path) -> Labels:
    """Read a label image that `write_label_image` or another program wrote.

    Returns
    -------
    (H, W) uint16, or uint32 where a label does not fit.

    Raises
    ------
    ImageError
        If it is not a single plane of integers.
    OSError
        If it cannot be opened.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in _TIFF_SUFFIXES:
            stored = tifffile.imread(path)
        else:
            with PillowImage.open(path) as image:
                stored = np.asarray(image)
    except (UnidentifiedImageError, tifffile.TiffFileError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as a label image: {error}.") from error
    if stored.ndim != 2 or not np.issubdtype(stored.dtype, np.integer) or stored.min() < 0:
        raise ImageError(
            f"{path} must be one plane of labels, found {stored.dtype} {stored.shape}: a colour "
            "picture of labels is not a label image."
        )
    if stored.max() <= _PNG_LIMIT:
        return stored.astype(np.uint16)
    return stored.astype(np.uint32)
