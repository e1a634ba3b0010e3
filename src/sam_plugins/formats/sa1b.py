"""The format of the SA-1B data set: one JSON document for each picture.

::

    {"image": {"image_id", "width", "height", "file_name"},
     "annotations": [{"id", "segmentation", "bbox", "area", "predicted_iou", "stability_score",
                      "crop_box", "point_coords"}]}

Segmentations are compressed COCO run lengths of the whole picture. ``bbox`` and ``crop_box`` are
XYWH; as the published generator writes it, the width and height of ``bbox`` are one less than the
mask's columns and rows, those of ``crop_box`` are not. A key that is not in this list is an extra:
it is kept as it is.

Notes
-----
Kirillov et al. (2023), section 5 and the data set's own description.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.extras import other_keys, with_extras
from sam_plugins.formats.published import record_to_published
from sam_plugins.formats.rle import rle_area, rle_to_box, rle_to_runs, runs_to_rle
from sam_plugins.formats.strangers import check_file_name, read_json
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import Box, MaskRecord, Rle, Size

__all__ = ["Sa1bImage", "from_sa1b", "read_sa1b", "to_sa1b", "write_sa1b"]

SA1B_MOST_BYTES = 2**26
_LARGEST = 2**53
_IMAGE_KEYS = ("image_id", "width", "height", "file_name")
_KEYS = (
    "id",
    "segmentation",
    "bbox",
    "area",
    "predicted_iou",
    "stability_score",
    "crop_box",
    "point_coords",
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sa1bImage:
    """One picture with its masks.

    Parameters
    ----------
    image_id
        Its number in the data set.
    file_name
        Relative, with forward slashes; see `check_file_name`.
    size
        (H, W) in pixels.
    records
        Its masks.
    ids
        The number of each record, no two the same; empty: they count from 1.
    extras
        What else is known about each record: name -> any JSON value, as ``{"label": "cat"}``. No
        name may be one of the format's own. Empty: nothing is, and the document is in the
        published form.
    about
        The same for the picture.
    """

    image_id: int
    file_name: str
    size: Size
    records: tuple[MaskRecord, ...]
    ids: tuple[int, ...] = ()
    extras: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def to_sa1b(image: Sa1bImage) -> dict[str, Any]:
    """The document of one picture: a dict that `json.dumps` takes.

    Raises
    ------
    DatasetError
        If the file name leaves its folder, a record is damaged, of another size or has a score
        that is no number, ids or extras are not as many as records, or an extra has a name of the
        format.
    """
    count = len(image.records)
    ids = image.ids or tuple(range(1, count + 1))
    extras: tuple[Mapping[str, Any], ...] = image.extras or ({},) * count
    if len(ids) != count or len(set(ids)) != count or len(extras) != count:
        raise DatasetError(
            f"{image.file_name} has {count} records: it needs as many ids, each another, and as "
            f"many extras, found {len(set(ids))} ids and {len(extras)} extras."
        )
    height, width = image.size
    annotations = []
    for identity, record, extra in zip(ids, image.records, extras, strict=True):
        try:
            annotation = _annotation(_whole(identity, "id"), record, image.size)
            annotations.append(with_extras(annotation, extra, _KEYS))
        except (ImageError, DatasetError) as error:
            raise DatasetError(
                f"Annotation {identity} of {image.file_name} cannot be written: {error}"
            ) from error
    shown = {
        "image_id": _whole(image.image_id, "image_id"),
        "width": int(width),
        "height": int(height),
        "file_name": check_file_name(image.file_name),
    }
    return {"image": with_extras(shown, image.about, _IMAGE_KEYS), "annotations": annotations}


def _annotation(identity: int, record: MaskRecord, size: Size) -> dict[str, Any]:
    published = record_to_published(record, "coco_rle")
    published["segmentation"] = _segmentation(published["segmentation"], size)
    rle_area(published["segmentation"])
    _crop_box(published["crop_box"], size)
    for name in ("predicted_iou", "stability_score"):
        published[name] = _number(float(published[name]), name)
    x, y = record.point_coords
    published["point_coords"] = [[_number(float(v), "point_coords") for v in (x, y)]]
    return {"id": identity} | {name: published[name] for name in _KEYS[1:]}


def from_sa1b(document: Any) -> Sa1bImage:
    """The picture of a document, our own or anybody's.

    Box and area are those of the pixels; what the document says about them only has to be numbers.
    Keys that the format does not have become ``extras`` and ``about``.

    Raises
    ------
    DatasetError
        If a field is missing or is not what it should be, the file name leaves its folder, or a
        mask is damaged or of another size than the picture.
    """
    image = document.get("image") if isinstance(document, Mapping) else None
    annotations = document.get("annotations") if isinstance(document, Mapping) else None
    if not isinstance(image, Mapping) or not isinstance(annotations, list):
        raise DatasetError("It needs an 'image' and a list 'annotations', and has not both.")
    image_id, width, height = (_whole(image.get(name), name) for name in _IMAGE_KEYS[:3])
    if width < 1 or height < 1:
        raise DatasetError(f"width and height must be at least 1, found {width} and {height}.")
    file_name = check_file_name(image.get("file_name"))
    records, ids, extras = [], [], []
    for place, annotation in enumerate(annotations):
        if not isinstance(annotation, Mapping):
            raise DatasetError(f"Annotation number {place} must be an object with keys.")
        try:
            ids.append(_whole(annotation.get("id"), "id"))
            records.append(_record(annotation, (height, width)))
        except (ImageError, DatasetError) as error:
            raise DatasetError(
                f"Annotation number {place} (id {str(annotation.get('id'))[:40]}) cannot be read: "
                f"{error}"
            ) from error
        extras.append(other_keys(annotation, _KEYS))
    if len(set(ids)) != len(ids):
        raise DatasetError("Two annotations have the same id; each needs its own.")
    return Sa1bImage(
        image_id=image_id,
        file_name=file_name,
        size=(height, width),
        records=tuple(records),
        ids=tuple(ids),
        extras=tuple(extras) if any(extras) else (),
        about=other_keys(image, _IMAGE_KEYS),
    )


def _record(annotation: Mapping[str, Any], size: Size) -> MaskRecord:
    rle = _segmentation(annotation.get("segmentation"), size)
    bbox = _numbers(annotation.get("bbox"), 4, "bbox")
    if min(bbox[2:]) < 0 or _number(annotation.get("area"), "area") < 0:
        raise DatasetError("'bbox' and 'area' may not be negative in size.")
    points = annotation.get("point_coords")
    if not isinstance(points, list) or len(points) != 1:
        raise DatasetError("'point_coords' must be a list of one point [x, y].")
    x, y = _numbers(points[0], 2, "point_coords")
    return MaskRecord(
        segmentation=rle,
        box=rle_to_box(rle),
        area=rle_area(rle),
        predicted_iou=_number(annotation.get("predicted_iou"), "predicted_iou"),
        stability_score=_number(annotation.get("stability_score"), "stability_score"),
        point_coords=(x, y),
        crop_box=_crop_box(annotation.get("crop_box"), size),
    )


def _segmentation(value: Any, size: Size) -> Rle:
    if not isinstance(value, Mapping) or value.get("size") != list(size):
        found = value.get("size") if isinstance(value, Mapping) else type(value).__name__
        raise DatasetError(
            f"'segmentation' must be run lengths with the size of the picture, {list(size)}, found "
            f"{str(found)[:40]}."
        )
    rle = {"size": list(size), "counts": value.get("counts")}
    return rle if isinstance(rle["counts"], str) else runs_to_rle(rle_to_runs(rle), size)


def _crop_box(value: Any, size: Size) -> Box:
    x, y, width, height = (_whole(v, "crop_box") for v in _numbers(value, 4, "crop_box"))
    if not (0 <= x <= x + width <= size[1] and 0 <= y <= y + height <= size[0]):
        raise DatasetError(f"'crop_box' must lie inside the picture, found {value}.")
    return x, y, x + width, y + height


def _numbers(value: Any, count: int, name: str) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != count:
        raise DatasetError(f"'{name}' must be a list of {count} numbers.")
    return tuple(_number(v, name) for v in value)


def _number(value: Any, name: str) -> float:
    kind = type(value)
    if kind not in (int, float) or not -_LARGEST <= value <= _LARGEST:
        raise DatasetError(f"'{name}' must be a finite number, found {str(value)[:40]!r}.")
    return float(value)


def _whole(value: Any, name: str) -> int:
    number = _number(value, name)
    if number != int(number):
        raise DatasetError(f"'{name}' must be a whole number, found {number}.")
    return int(value)


def write_sa1b(path: str | Path, image: Sa1bImage) -> None:
    """Write the document of one picture, see `to_sa1b`; a reader never sees half of it.

    Raises
    ------
    DatasetError
        As `to_sa1b`.
    OSError
        If the folder is missing or cannot be written.
    """
    text = json.dumps(to_sa1b(image), allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text, "utf-8")


def read_sa1b(path: str | Path, *, max_bytes: int = SA1B_MOST_BYTES) -> Sa1bImage:
    """Read the document of one picture, see `from_sa1b`.

    Parameters
    ----------
    path
        A ``.json`` file.
    max_bytes
        Larger files are refused. Reading takes memory of up to fifty times a file's size, whatever
        the size of the picture.

    Raises
    ------
    DatasetError
        As `from_sa1b`, or if the file is too large or no JSON.
    OSError
        If it cannot be opened.
    """
    document = read_json(path, max_bytes, "an SA-1B document")
    try:
        return from_sa1b(document)
    except DatasetError as error:
        raise DatasetError(f"'{path}' cannot be read as SA-1B: {error}") from error
