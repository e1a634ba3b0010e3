"""Labels of YOLO segmentation: a text file for each picture, a line for each object.

``class x1 y1 x2 y2 ...``: corners of a closed line, x relative to the width of the picture and y to
its height; (0, 0) is the corner of the first pixel and (1, 1) that of the last. A line knows
neither holes nor a second part: they are joined to it by slits without width, see `bridges`. Our
own lines are exact: reading them gives the same pixels. Programs that draw the outline as well as
what is inside (OpenCV) see up to a pixel more around it.

``class x y width height`` is a box, (x, y) its centre. Either may end with a confidence, as
programs that predict write it.
"""

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
from sam_plugins.formats.ring_runs import rings_to_rle
from sam_plugins.formats.rle import rle_to_crop, rle_to_runs, runs_to_rle
from sam_plugins.formats.strangers import check_file_name
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import Rle, Size

__all__ = ["MOST_CLASSES", "YoloObject", "to_yolo_labels", "write_yolo_labels", "yolo_label_name"]

FloatBox: TypeAlias = tuple[float, float, float, float]

MOST_CLASSES = 10**6
_DIGITS = 8
"""An edge is off by 0.0002 px in a picture of 20,000 px: pixels are half a pixel away from it."""
_BOX_DIGITS = 10


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class YoloObject:
    """One line.

    Parameters
    ----------
    class_index
        Of the names in ``data.yaml``, from 0.
    box
        xyxy in pixels of the picture, x1 and y1 exclusive. That of the mask where there is one;
        what it is then does not matter to the writer. A line of a box has it to within a
        hundred-thousandth of a pixel.
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
        If an object has no pixels, a mask that is damaged or of another size, or a class or
        confidence that cannot be; or if the tolerance is no number of at least 0.
    """
    lines, ious = [], []
    for number, each in enumerate(objects):
        try:
            line, iou = _line(each, size, tolerance)
        except (DatasetError, ImageError) as error:
            raise DatasetError(f"Object {number} cannot be a line of labels: {error}") from error
        lines.append(line + "\n")
        ious.append(iou)
    return "".join(lines), tuple(ious)


def _line(each: YoloObject, size: Size, tolerance: float) -> tuple[str, float]:
    if not 0 <= each.class_index < MOST_CLASSES:
        raise DatasetError(f"its class must be 0 to {MOST_CLASSES - 1}, found {each.class_index}.")
    if each.confidence is not None and not 0 <= each.confidence <= 1:
        raise DatasetError(f"its confidence must be 0 to 1, found {each.confidence}.")
    end = [] if each.confidence is None else [repr(float(each.confidence))]
    if each.segmentation is None:
        return " ".join([str(each.class_index), *_box_texts(each.box, size), *end]), 1.0
    if tuple(each.segmentation["size"]) != tuple(size):
        raise DatasetError(
            f"its mask is for {each.segmentation['size']}, the picture is {list(size)}."
        )
    ring = _ring(each.segmentation, tolerance)
    iou = 1.0
    if tolerance > 0:
        whole = runs_to_rle(rle_to_runs(each.segmentation), size)
        iou = float(coco_mask.iou([rings_to_rle([ring], size)], [whole], [0])[0, 0])
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


def write_yolo_labels(
    path: str | Path, objects: Iterable[YoloObject], size: Size, *, tolerance: float = 0.0
) -> tuple[float, ...]:
    """Write the labels of one picture, see `to_yolo_labels`; a reader never sees half of them.

    Returns
    -------
    For each object the IoU of what its line shows with its mask.

    Raises
    ------
    DatasetError
        As `to_yolo_labels`.
    OSError
        If the folder is missing or cannot be written.
    """
    text, ious = to_yolo_labels(objects, size, tolerance=tolerance)
    with whole_file(path) as partial:
        partial.write_text(text, "ascii", newline="\n")
    return ious


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
