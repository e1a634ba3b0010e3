"""COCO documents: mask records to JSON and back.

One document holds any number of pictures. Boxes in it are XYWH as COCO has them, everywhere else
in this library xyxy. The keys of an annotation are COCO's, with the four that the SA-1B data set
adds: ``predicted_iou``, ``stability_score``, ``point_coords`` (a list of xy points) and
``crop_box`` (XYWH).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pycocotools import mask as coco_mask

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.outlines import mask_outlines
from sam_plugins.formats.rle import rle_area, rle_to_crop
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import Box, MaskRecord, Rle, Size

__all__ = ["CocoImage", "from_coco", "read_coco", "to_coco", "write_coco"]

Segmentation: TypeAlias = Literal["run_lengths", "polygons"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoImage:
    """One picture of a COCO document.

    Parameters
    ----------
    file_name
        As the document names it, usually relative to the document.
    size
        (H, W) in pixels.
    records
        Its masks.
    labels
        The label of each record in the label image that it comes from; empty if there is none.
    """

    file_name: str
    size: Size
    records: tuple[MaskRecord, ...]
    labels: tuple[int, ...] = ()


def to_coco(
    images: Sequence[CocoImage],
    info: Mapping[str, Any] | None = None,
    *,
    segmentation: Segmentation = "run_lengths",
) -> dict[str, Any]:
    """The COCO document of some pictures: a dict that `json.dumps` takes.

    Parameters
    ----------
    images
        Pictures with their records; ids count from 1 in this order. Where every record has a label
        and no two the same, annotations have their labels as ids. An annotation whose record has
        one has it as ``label`` as well.
    info
        Goes into the document's ``info``: model, settings, whatever tells where it came from.
    segmentation
        "run_lengths", or "polygons" for programs that know nothing else: along the edges of pixels,
        so that the COCO API makes the same mask of them. COCO's polygons have no holes: a mask with
        a hole, and one without pixels, has run lengths nevertheless.
    """
    annotations = [
        (number, record, label)
        for number, image in enumerate(images, 1)
        for record, label in zip(
            image.records, image.labels or (None,) * len(image.records), strict=True
        )
    ]
    labels = [label for _, _, label in annotations]
    own = len(set(labels)) == len(labels) and None not in labels
    return {
        "info": dict(info or {}),
        "images": [
            {
                "id": number,
                "file_name": image.file_name,
                "height": image.size[0],
                "width": image.size[1],
            }
            for number, image in enumerate(images, 1)
        ],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [
            _annotation(label if own else identity, number, record, segmentation)
            | ({} if label is None else {"label": label})
            for identity, (number, record, label) in enumerate(annotations, 1)
        ],
    }


def _annotation(
    identity: int | None, image_id: int, record: MaskRecord, segmentation: Segmentation
) -> dict[str, Any]:
    return {
        "id": identity,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": _polygons(record) if segmentation == "polygons" else _rle(record),
        "bbox": _xywh(record.box),
        "area": record.area,
        "predicted_iou": record.predicted_iou,
        "stability_score": record.stability_score,
        "point_coords": [list(record.point_coords)],
        "crop_box": _xywh(record.crop_box),
    }


def _rle(record: MaskRecord) -> dict[str, Any]:
    return dict(record.segmentation)


def _polygons(record: MaskRecord) -> list[list[int]] | dict[str, Any]:
    crop, (x0, y0, _, _) = rle_to_crop(record.segmentation)
    outlines = mask_outlines(crop, (x0, y0))
    if not outlines or any(outline.holes for outline in outlines):
        return _rle(record)
    return [outline.exterior.ravel().tolist() for outline in outlines]


def write_coco(
    path: str | Path,
    images: Sequence[CocoImage],
    info: Mapping[str, Any] | None = None,
    *,
    segmentation: Segmentation = "run_lengths",
) -> None:
    """Write a COCO document, see `to_coco`; a reader never sees half of it.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    with whole_file(path) as partial:
        document = to_coco(images, info, segmentation=segmentation)
        partial.write_text(json.dumps(document), "utf-8")


def read_coco(path: str | Path) -> list[CocoImage]:
    """Read a COCO document, our own or anybody's.

    Raises
    ------
    DatasetError
        If the file is not a COCO document; see `from_coco`.
    OSError
        If it cannot be opened.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise DatasetError(
            f"{path} must be a COCO document in JSON, and is not: {error}."
        ) from error
    try:
        return from_coco(document)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def from_coco(document: Any) -> list[CocoImage]:
    """The pictures of a COCO document, in its order.

    Segmentations may be run lengths (compressed or not) or polygons. Area and box are computed
    from the pixels. Where a foreign document has no ``predicted_iou`` its ``score`` is taken,
    else 1.0; no ``stability_score`` is 1.0; no point is the centre of the box; no ``crop_box`` is
    the whole picture. Labels are kept where every annotation of a picture has one.

    Raises
    ------
    DatasetError
        If a key is missing, an annotation names no picture of the document, or a segmentation is
        damaged or has another size than its picture.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("images"), list):
        raise DatasetError("A COCO document needs a list 'images' and has none.")
    sizes: dict[Any, Size] = {}
    records: dict[Any, list[MaskRecord]] = {}
    labels: dict[Any, list[int]] = {}
    names: dict[Any, str] = {}
    for image in document["images"]:
        try:
            identity, name = image["id"], str(image["file_name"])
            size = (int(image["height"]), int(image["width"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"Each picture needs 'id', 'file_name', 'height' and 'width', found {image!r}."
            ) from error
        if identity in sizes:
            raise DatasetError(f"Two pictures have the id {identity!r}; each needs its own.")
        sizes[identity], names[identity] = size, name
        records[identity], labels[identity] = [], []
    for annotation in document.get("annotations") or []:
        identity = annotation.get("image_id") if isinstance(annotation, Mapping) else None
        if identity not in sizes:
            raise DatasetError(
                f"An annotation names the picture {identity!r}, which the document does not list."
            )
        try:
            records[identity].append(_record(annotation, sizes[identity]))
            label = annotation.get("label")
            labels[identity] += [label] if type(label) is int and label > 0 else []
        except (ImageError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"Annotation {annotation.get('id')!r} of {names[identity]} cannot be read: {error}"
            ) from error
    return [
        CocoImage(
            file_name=names[key],
            size=sizes[key],
            records=tuple(records[key]),
            labels=tuple(labels[key]) if len(labels[key]) == len(records[key]) else (),
        )
        for key in sizes
    ]


def _record(annotation: Mapping[str, Any], size: Size) -> MaskRecord:
    rle = _as_rle(annotation.get("segmentation"), size)
    _, box = rle_to_crop(rle)
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
        parts = coco_mask.frPyObjects(segmentation, *size)
        merged = coco_mask.merge(parts)
        return {"size": list(size), "counts": merged["counts"].decode("ascii")}
    if not isinstance(segmentation, Mapping):
        raise ImageError("it needs a 'segmentation': run lengths or polygons.")
    rle = dict(segmentation)
    rle_area(rle)
    if tuple(rle["size"]) != size:
        raise ImageError(f"its segmentation is for {rle['size']}, the picture is {list(size)}.")
    if isinstance(rle["counts"], list):
        rle = coco_mask.frPyObjects(rle, *size)
    if isinstance(rle["counts"], bytes):
        rle["counts"] = rle["counts"].decode("ascii")
    return {"size": list(size), "counts": rle["counts"]}


def _xywh(box: Box) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def _xyxy(box_xywh: Sequence[float]) -> Box:
    x, y, width, height = (int(v) for v in box_xywh)
    return x, y, x + width, y + height
