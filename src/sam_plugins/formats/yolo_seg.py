"""Labels of YOLO segmentation: a text file for each picture, a line for each object.

``class x1 y1 x2 y2 ...``: corners of a closed line, x relative to the width of the picture and y to
its height; (0, 0) is the corner of the first pixel and (1, 1) that of the last. A line knows
neither holes nor a second part: they are joined to it by slits without width, see `bridges`. Our
own lines are exact: reading them gives the same pixels. Programs that draw the outline as well as
what is inside (OpenCV) see up to a pixel more around it.

``class x y width height`` is a box, (x, y) its centre. Either may end with a confidence, as
programs that predict write it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.bridges import joined_ring
from sam_plugins.formats.outlines import mask_outlines
from sam_plugins.formats.polygons import simplified_polygons
from sam_plugins.formats.ring_runs import MOST_CROSSINGS, count_crossings, rings_to_rle
from sam_plugins.formats.rle import rle_to_box, rle_to_crop
from sam_plugins.formats.strangers import check_file_name, read_bytes
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import Rle, Size

__all__ = [
    "YoloObject",
    "from_yolo_labels",
    "read_yolo_labels",
    "to_yolo_labels",
    "write_yolo_labels",
    "yolo_label_name",
]

FloatBox: TypeAlias = tuple[float, float, float, float]

_MOST_BYTES = 2**26
_MOST_OBJECTS = 100_000
_MOST_CLASSES = 10**6
_DIGITS = 8
"""An edge is off by 0.0002 px in a picture of 20,000 px: pixels are half a pixel away from it."""
_BOX_DIGITS = 10
_OUTSIDE = 1.0
"""How far, in widths and heights, an outline may reach over the border."""
_NUMBERS = re.compile(rb"[-+0-9.eE \t]*")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class YoloObject:
    """One line.

    Parameters
    ----------
    class_index
        Of the names in ``data.yaml``, from 0.
    box
        xyxy in pixels of the picture, x1 and y1 exclusive. That of the mask where there is one;
        what it is then does not matter to the writer.
    segmentation
        The mask as COCO run lengths of the whole picture; None if the line is a box.
    confidence
        Between 0 and 1; None if nobody says. Programs that train want lines without.
    """

    class_index: int
    box: FloatBox
    segmentation: Rle | None = None
    confidence: float | None = None


def to_yolo_labels(
    objects: Iterable[YoloObject], size: Size, *, tolerance: float = 0.0
) -> tuple[str, tuple[float, ...]]:
    """The text of one picture's labels.

    Parameters
    ----------
    objects
        In the order of their lines. Most programs want either masks or boxes in a file, not both.
    size
        (H, W) of the picture.
    tolerance
        0 writes every corner of every pixel edge. Otherwise an outline may move by so many pixels
        and has far fewer corners; holes and parts stay (of more than 200 holes of a part the
        largest), pixels along the border do not all.

    Returns
    -------
    text, ious
        And for each object the IoU of what its line shows with its mask: what is lost. It is 1.0
        for a box and with a tolerance of 0.

    Raises
    ------
    DatasetError
        If an object has no pixels, a mask of another size, or a class or confidence that cannot be.
    ImageError
        If a mask is damaged or the tolerance is no number of at least 0.
    """
    lines, ious = [], []
    for number, each in enumerate(objects):
        try:
            line, iou = _line(each, size, tolerance)
        except DatasetError as error:
            raise DatasetError(f"Object {number} cannot be a line of labels: {error}") from error
        lines.append(line + "\n")
        ious.append(iou)
    return "".join(lines), tuple(ious)


def _line(each: YoloObject, size: Size, tolerance: float) -> tuple[str, float]:
    if not 0 <= each.class_index < _MOST_CLASSES:
        raise DatasetError(f"its class must be 0 to {_MOST_CLASSES - 1}, found {each.class_index}.")
    if each.confidence is not None and not 0 <= each.confidence <= 1:
        raise DatasetError(f"its confidence must be 0 to 1, found {each.confidence}.")
    end = [] if each.confidence is None else [f"{each.confidence:.6g}"]
    if each.segmentation is None:
        return " ".join([str(each.class_index), *_box_texts(each.box, size), *end]), 1.0
    if tuple(each.segmentation["size"]) != tuple(size):
        raise DatasetError(
            f"its mask is for {each.segmentation['size']}, the picture is {list(size)}."
        )
    ring = _ring(each.segmentation, tolerance)
    iou = 1.0
    if tolerance > 0:
        shown = rings_to_rle([ring], size)
        iou = float(coco_mask.iou([shown], [each.segmentation], [0])[0, 0])
    return " ".join([str(each.class_index), *_ring_texts(ring, size), *end]), iou


def _ring(rle: Rle, tolerance: float) -> NDArray[np.float64]:
    crop, box = rle_to_crop(rle)
    if not crop.size:
        raise DatasetError("its mask has no pixels: leave it out.")
    if tolerance != 0:
        found = simplified_polygons(crop, box, tolerance=tolerance, holes="bridge", parts="bridge")
        return found.rings[0]
    parts = [
        joined_ring([ring.astype(np.float64) for ring in (outline.exterior, *outline.holes)])
        for outline in mask_outlines(crop, (box[0], box[1]))
    ]
    return joined_ring(sorted(parts, key=len, reverse=True))


def _ring_texts(ring: NDArray[np.float64], size: Size) -> list[str]:
    corners = ring.astype(np.int64)
    x = _relative(corners[:, 0], size[1])
    y = _relative(corners[:, 1], size[0])
    return [text for pair in zip(x, y, strict=True) for text in pair]


def _relative(places: NDArray[np.int64], whole: int) -> list[str]:
    """Shares of the whole, rounded up: who cuts off the fraction of a pixel finds the corner."""
    shares, which = np.unique(places, return_inverse=True)
    texts = []
    for share in (-(-shares * 10**_DIGITS // whole)).tolist():
        one, rest = divmod(share, 10**_DIGITS)
        texts.append(f"{one}.{rest:0{_DIGITS}d}".rstrip("0").rstrip("."))
    return [texts[index] for index in which.tolist()]


def _box_texts(box: FloatBox, size: Size) -> list[str]:
    height, width = size
    x0, y0, x1, y1 = box
    if not (-width <= x0 <= x1 <= 2 * width and -height <= y0 <= y1 <= 2 * height):
        raise DatasetError(f"its box must be x0, y0, x1, y1 near the picture, found {box}.")
    shares = (
        (x0 + x1) / 2 / width,
        (y0 + y1) / 2 / height,
        (x1 - x0) / width,
        (y1 - y0) / height,
    )
    return [f"{share:.{_BOX_DIGITS}f}".rstrip("0").rstrip(".") for share in shares]


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
    most = _MOST_CLASSES if class_count is None else class_count
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


def write_yolo_labels(
    path: str | Path, objects: Iterable[YoloObject], size: Size, *, tolerance: float = 0.0
) -> tuple[float, ...]:
    """Write the labels of one picture, see `to_yolo_labels`; a reader never sees half of them.

    Returns
    -------
    For each object the IoU of what its line shows with its mask.

    Raises
    ------
    DatasetError, ImageError
        As `to_yolo_labels`.
    OSError
        If the folder is missing or cannot be written.
    """
    text, ious = to_yolo_labels(objects, size, tolerance=tolerance)
    with whole_file(path) as partial:
        partial.write_text(text, "ascii", newline="\n")
    return ious


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


def yolo_label_name(image_name: str) -> str:
    """Where programs look for a picture's labels: "labels/a.txt" for "images/a.jpg".

    The last folder called "images" becomes "labels"; without one the labels lie beside the
    picture. Pictures that differ in their ending only would share a file.

    Raises
    ------
    DatasetError
        As `check_file_name`.
    """
    *folders, name = check_file_name(image_name).split("/")
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return "/".join([*folders, f"{Path(name).stem}.txt"])
