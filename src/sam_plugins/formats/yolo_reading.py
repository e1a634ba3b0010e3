"""Labels of YOLO segmentation that anybody wrote: masks and boxes, read within bounds.

What a line may be is said in `yolo_seg`.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.ring_runs import MOST_CROSSINGS, count_crossings, rings_to_rle
from sam_plugins.formats.rle import rle_to_box
from sam_plugins.formats.strangers import read_bytes
from sam_plugins.formats.yolo_seg import MOST_CLASSES, YoloObject
from sam_plugins.types import Size

__all__ = ["from_yolo_labels", "read_yolo_labels"]

_MOST_BYTES = 2**26
_MOST_OBJECTS = 100_000
_OUTSIDE = 1.0
"""How far, in widths and heights, an outline may reach over the border."""
_NUMBERS = re.compile(rb"[-+0-9.eE \t]*")


def from_yolo_labels(
    text: str | bytes, size: Size, *, class_count: int | None = None
) -> tuple[YoloObject, ...]:
    """The objects of one picture's labels, our own or anybody's.

    Parameters
    ----------
    text
        The lines; empty ones are passed over.
    size
        (H, W) of the picture. Any polygon may be in a line: a pixel belongs to it if its centre
        lies inside (even-odd rule); what reaches over the border of the picture is left out.
    class_count
        How many classes there are; None believes any number.

    Raises
    ------
    DatasetError
        If a line is no such line, with its number; or if there are more than 100,000, or outlines
        so long and winding that they would fill the memory.
    """
    content = text.encode() if isinstance(text, str) else text
    found: list[YoloObject] = []
    crossings = MOST_CROSSINGS
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not line.strip():
            continue
        try:
            if len(found) >= _MOST_OBJECTS:
                raise DatasetError(f"a file may have {_MOST_OBJECTS:,} objects, and has more.")
            class_index, values = _numbers(line, class_count)
            ring, confidence = _shape(values, size)
            if ring is None:
                found.append(_box_object(class_index, values, size, confidence))
                continue
            crossings -= count_crossings([ring], size)
            if crossings < 0:
                raise DatasetError("the outlines up to here are too long for a picture.")
            rle = rings_to_rle([ring], size)
        except (DatasetError, ImageError) as error:
            raise DatasetError(f"line {number} cannot be read: {error}") from error
        found.append(
            YoloObject(
                class_index=class_index,
                box=rle_to_box(rle),
                segmentation=rle,
                confidence=confidence,
            )
        )
    return tuple(found)


def _numbers(line: bytes, class_count: int | None) -> tuple[int, NDArray[np.float64]]:
    try:
        if not _NUMBERS.fullmatch(line):
            raise ValueError("a line has numbers and spaces only")
        values = np.array(line.split(), np.float64)
    except ValueError as error:
        raise DatasetError(
            f"it must be 'class x1 y1 x2 y2 ...' in numbers, found {line[:40]!r}: {error}."
        ) from error
    if len(values) < 5:
        raise DatasetError(
            f"it must have a class and a box or at least three corners, found {len(values)} "
            "numbers."
        )
    most = MOST_CLASSES if class_count is None else class_count
    if not 0 <= values[0] < most or values[0] != int(values[0]):
        raise DatasetError(f"its class must be 0 to {most - 1}, found {values[0]:g}.")
    return int(values[0]), values[1:]


def _shape(
    values: NDArray[np.float64], size: Size
) -> tuple[NDArray[np.float64] | None, float | None]:
    """The ring in pixels, None for a box, and the confidence."""
    confidence = None
    if len(values) % 2:
        confidence = float(values[-1])
        values = values[:-1]
        if not 0 <= confidence <= 1:
            raise DatasetError(f"its last number, a confidence, must be 0 to 1: {confidence:g}.")
    if not (np.abs(values - 0.5) <= 0.5 + _OUTSIDE).all():
        raise DatasetError(
            "its coordinates must be relative to width and height, between 0 and 1: pixels have "
            "to be divided by them."
        )
    if len(values) == 4:
        return None, confidence
    return values.reshape(-1, 2) * (size[1], size[0]), confidence


def _box_object(
    class_index: int, values: NDArray[np.float64], size: Size, confidence: float | None
) -> YoloObject:
    x, y, width, height = (values[:4] * (size[1], size[0], size[1], size[0])).tolist()
    if width < 0 or height < 0:
        raise DatasetError("the width and height of a box may not be negative.")
    return YoloObject(
        class_index=class_index,
        box=(x - width / 2, y - height / 2, x + width / 2, y + height / 2),
        confidence=confidence,
    )


def read_yolo_labels(
    path: str | Path,
    size: Size,
    *,
    class_count: int | None = None,
    max_bytes: int = _MOST_BYTES,
) -> tuple[YoloObject, ...]:
    """Read the labels of one picture, see `from_yolo_labels`. No objects are an empty file.

    Raises
    ------
    DatasetError
        As `from_yolo_labels`, or if the file is larger than `max_bytes`.
    OSError
        If it cannot be opened. Programs that train take a missing file for no objects.
    """
    content = read_bytes(path, max_bytes)
    try:
        return from_yolo_labels(content, size, class_count=class_count)
    except DatasetError as error:
        raise DatasetError(f"'{path}': {error}") from error
