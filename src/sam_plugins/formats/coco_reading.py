"""COCO documents of anybody: read within bounds, and every mask checked before it is believed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.coco import COCO_IMAGE_KEYS, COCO_KEYS, CocoImage
from sam_plugins.formats.extras import other_keys
from sam_plugins.formats.rle import rle_area, rle_to_box, rle_to_runs, runs_to_rle
from sam_plugins.formats.strangers import read_json
from sam_plugins.types import Box, MaskRecord, Rle, Size

__all__ = ["coco_categories", "from_coco", "read_coco", "read_coco_document"]

_MOST_BYTES = 2**30
_MOST_PIXELS = 2**32 - 1
_FARTHEST = 2**20
_LONGEST = 2**23
"""Pixels along the outlines of one annotation: the COCO API takes a hundred bytes for each."""


def read_coco_document(path: str | Path, *, max_bytes: int = _MOST_BYTES) -> Any:
    """The JSON of a COCO document, for `from_coco` and `coco_categories`.

    Raises
    ------
    DatasetError
        If it is larger than `max_bytes` or no JSON.
    OSError
        If it cannot be opened.
    """
    return read_json(path, max_bytes, "a COCO document")


def read_coco(path: str | Path, *, max_bytes: int = _MOST_BYTES) -> list[CocoImage]:
    """Read a COCO document, our own or anybody's.

    Raises
    ------
    DatasetError
        If the file is larger than `max_bytes` or not a COCO document; see `from_coco`.
    OSError
        If it cannot be opened.
    """
    document = read_coco_document(path, max_bytes=max_bytes)
    try:
        return from_coco(document)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def coco_categories(document: Any) -> dict[int, str]:
    """Id -> name of the categories of a COCO document, in its order; empty if it has none.

    Raises
    ------
    DatasetError
        If a category has no whole number as its id, or no name, or two have the same id.
    """
    listed = document.get("categories") if isinstance(document, Mapping) else None
    if listed is not None and not isinstance(listed, list):
        raise DatasetError("'categories' of a COCO document must be a list.")
    found: dict[int, str] = {}
    for category in listed or []:
        identity = category.get("id") if isinstance(category, Mapping) else None
        if type(identity) is not int or not isinstance(category.get("name"), str):
            raise DatasetError(
                f"Each category needs a whole number 'id' and a 'name', found {str(category)[:80]}."
            )
        if identity in found:
            raise DatasetError(f"Two categories have the id {identity}; each needs its own.")
        found[identity] = category["name"]
    return found


def from_coco(document: Any) -> list[CocoImage]:
    """The pictures of a COCO document, in its order.

    Segmentations may be run lengths (compressed or not) or polygons. Area and box are computed
    from the pixels. Where a foreign document has no ``predicted_iou`` its ``score`` is taken,
    else 1.0; no ``stability_score`` is 1.0; no point is the centre of the box; no ``crop_box`` is
    the whole picture. Labels are kept where every annotation of a picture has one. Keys that
    nothing here has a place for are kept as extras: ``score``, an ``iscrowd`` that is not 0,
    whatever else.

    Raises
    ------
    DatasetError
        If a key is missing, an annotation names no picture or no category of the document, or a
        segmentation is damaged or has another size than its picture.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("images"), list):
        raise DatasetError("A COCO document needs a list 'images' and has none.")
    names = coco_categories(document)
    pictures: dict[int | str, CocoImage] = {}
    for image in document["images"]:
        identity, picture = _picture(image)
        if identity in pictures:
            raise DatasetError(f"Two pictures have the id {identity!r}; each needs its own.")
        pictures[identity] = picture
    annotations: dict[int | str, list[Mapping[str, Any]]] = {key: [] for key in pictures}
    for annotation in document.get("annotations") or []:
        named = annotation.get("image_id") if isinstance(annotation, Mapping) else None
        if not isinstance(named, int | str) or named not in pictures:
            raise DatasetError(
                f"An annotation names the picture {named!r}, which the document does not list."
            )
        annotations[named].append(annotation)
    return [_filled(pictures[key], annotations[key], names) for key in pictures]


def _picture(image: Any) -> tuple[int | str, CocoImage]:
    """The id of a picture, and the picture without its masks."""
    try:
        identity, name = image["id"], str(image["file_name"])
        height, width = int(image["height"]), int(image["width"])
        if not isinstance(identity, int | str):
            raise TypeError
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"Each picture needs 'id', 'file_name', 'height' and 'width', found {str(image)[:200]}."
        ) from error
    if height < 1 or width < 1 or height * width > _MOST_PIXELS:
        raise DatasetError(f"{name} cannot have {height} x {width} pixels.")
    about = other_keys(image, COCO_IMAGE_KEYS)
    return identity, CocoImage(file_name=name, size=(height, width), records=(), about=about)


def _filled(
    picture: CocoImage, annotations: Sequence[Mapping[str, Any]], names: Mapping[int, str]
) -> CocoImage:
    records, labels, categories, extras = [], [], [], []
    for annotation in annotations:
        try:
            records.append(_record(annotation, picture.size))
            categories.append(_category(annotation, names))
        except (ImageError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DatasetError(
                f"Annotation {annotation.get('id')!r} of {picture.file_name} cannot be read: "
                f"{error}"
            ) from error
        label = annotation.get("label")
        labels += [label] if type(label) is int and label > 0 else []
        others = other_keys(annotation, COCO_KEYS)
        if others.get("iscrowd") == 0:
            del others["iscrowd"]
        extras.append(others)
    return replace(
        picture,
        records=tuple(records),
        labels=tuple(labels) if len(labels) == len(records) else (),
        categories=tuple(categories) if any(categories) else (),
        extras=tuple(extras) if any(extras) else (),
    )


def _category(annotation: Mapping[str, Any], names: Mapping[int, str]) -> str | None:
    identity = annotation.get("category_id")
    if identity is None or not names:
        return None
    if type(identity) is not int or identity not in names:
        raise DatasetError(f"its category {identity!r} is not among those of the document.")
    return names[identity]


def _record(annotation: Mapping[str, Any], size: Size) -> MaskRecord:
    rle = _as_rle(annotation.get("segmentation"), size)
    box = rle_to_box(rle)
    points = annotation.get("point_coords")
    x, y = points[0] if points else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    crop_box = annotation.get("crop_box")
    return MaskRecord(
        segmentation=rle,
        box=box,
        area=rle_area(rle),
        predicted_iou=float(annotation.get("predicted_iou", annotation.get("score", 1.0))),
        stability_score=float(annotation.get("stability_score", 1.0)),
        point_coords=(float(x), float(y)),
        crop_box=_xyxy(crop_box) if crop_box else (0, 0, size[1], size[0]),
    )


def _as_rle(segmentation: Any, size: Size) -> Rle:
    if isinstance(segmentation, list) and segmentation:
        parts = coco_mask.frPyObjects(_polygons(segmentation), *size)
        return {"size": list(size), "counts": coco_mask.merge(parts)["counts"].decode("ascii")}
    if not isinstance(segmentation, Mapping):
        raise ImageError("it needs a 'segmentation': run lengths or polygons.")
    rle = dict(segmentation)
    rle_area(rle)
    if tuple(rle["size"]) != size:
        raise ImageError(f"its segmentation is for {rle['size']}, the picture is {list(size)}.")
    if isinstance(rle["counts"], list):
        return runs_to_rle(rle_to_runs(rle), size)
    if isinstance(rle["counts"], bytes):
        rle["counts"] = rle["counts"].decode("ascii")
    return {"size": list(size), "counts": rle["counts"]}


def _polygons(values: Sequence[Any]) -> list[list[float]]:
    """Polygons that the COCO API, which trusts what it is given, can be given."""
    length = 0.0
    for each in values:
        corners = np.array(each, np.float64)
        if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
            raise ImageError("a polygon of it must be a list of x and y of at least three corners.")
        if not (np.abs(corners) <= _FARTHEST).all():
            raise ImageError("a polygon of it lies far outside the picture.")
        ring = corners.reshape(-1, 2)
        length += float(np.abs(ring - np.roll(ring, -1, axis=0)).max(axis=1).sum())
    if length > _LONGEST:
        raise ImageError(f"its polygons are longer than {_LONGEST:,} pixels.")
    return list(values)


def _xyxy(box_xywh: Sequence[float]) -> Box:
    x, y, width, height = (int(v) for v in box_xywh)
    return x, y, x + width, y + height
