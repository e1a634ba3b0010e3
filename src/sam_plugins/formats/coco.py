"""COCO documents: mask records to JSON and back.

One document holds any number of pictures. Boxes in it are XYWH as COCO has them, everywhere else
in this library xyxy. The keys of an annotation are COCO's, with the four that the SA-1B data set
adds: ``predicted_iou``, ``stability_score``, ``point_coords`` (a list of xy points) and
``crop_box`` (XYWH).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sam_plugins.errors import DatasetError
from sam_plugins.formats.extras import with_extras
from sam_plugins.formats.outlines import mask_outlines
from sam_plugins.formats.rle import rle_to_crop
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import Box, MaskRecord, Size

__all__ = ["COCO_IMAGE_KEYS", "COCO_KEYS", "CocoImage", "to_coco", "write_coco"]

Segmentation: TypeAlias = Literal["run_lengths", "polygons"]

COCO_IMAGE_KEYS = ("id", "file_name", "height", "width")
COCO_KEYS = (
    "id",
    "image_id",
    "category_id",
    "segmentation",
    "bbox",
    "area",
    "predicted_iou",
    "stability_score",
    "point_coords",
    "crop_box",
    "label",
)

_OBJECT = "object"
"""The category of what has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoImage:
    """One picture of a COCO document.

    Parameters
    ----------
    file_name
        As the document names it, usually relative to the document. Where it comes from a stranger,
        `check_file_name` says whether it stays inside a folder.
    size
        (H, W) in pixels.
    records
        Its masks.
    labels
        The label of each record in the label image that it comes from; empty if there is none.
    categories
        The name of the category of each record, None where nobody says; empty if nobody says for
        any.
    extras
        What else is known about each record: name -> any JSON value, as ``{"score": 0.9,
        "iscrowd": 1, "attributes": {...}}``; empty if nothing is.
    about
        The same for the picture.
    """

    file_name: str
    size: Size
    records: tuple[MaskRecord, ...]
    labels: tuple[int, ...] = ()
    categories: tuple[str | None, ...] = ()
    extras: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def to_coco(
    images: Sequence[CocoImage],
    info: Mapping[str, Any] | None = None,
    *,
    segmentation: Segmentation = "run_lengths",
    categories: Mapping[int, str] | None = None,
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
    categories
        Id -> name, no two the same: those of the document, used or not. Names of records that are
        not among them get the next ids as they come. A record without one is an "object".

    Raises
    ------
    DatasetError
        If labels, categories or extras are not as many as records, an extra is no JSON value or
        has a name of the format (``iscrowd`` may be given), or two categories have the same name.
    """
    known = {name: identity for identity, name in (categories or {}).items()}
    if len(known) != len(categories or {}):
        raise DatasetError("Two categories have the same name; each needs its own.")
    facts = [
        (number, *fact) for number, image in enumerate(images, 1) for fact in _facts(image, known)
    ]
    labels = [label for _, _, label, _, _ in facts]
    own = len(set(labels)) == len(labels) and None not in labels
    annotations = []
    for identity, (number, record, label, category_id, extras) in enumerate(facts, 1):
        annotation = _annotation(record, segmentation) | ({} if label is None else {"label": label})
        head = {
            "id": label if own else identity,
            "image_id": number,
            "category_id": category_id,
            "iscrowd": 0,
        }
        annotations.append(with_extras(head | annotation, extras, COCO_KEYS))
    if not known:
        known = {_OBJECT: 1}
    return {
        "info": dict(info or {}),
        "images": [
            with_extras(
                {
                    "id": number,
                    "file_name": image.file_name,
                    "height": image.size[0],
                    "width": image.size[1],
                },
                image.about,
                COCO_IMAGE_KEYS,
            )
            for number, image in enumerate(images, 1)
        ],
        "categories": [{"id": identity, "name": name} for name, identity in known.items()],
        "annotations": annotations,
    }


def _facts(
    image: CocoImage, known: dict[str, int]
) -> list[tuple[MaskRecord, int | None, int, Mapping[str, Any]]]:
    """Record, label, category and extras; categories that are new are put into `known`."""
    count = len(image.records)
    lengths = {len(image.labels), len(image.categories), len(image.extras)} - {0}
    if lengths - {count}:
        raise DatasetError(
            f"{image.file_name} has {count} records: labels, categories and extras must be as "
            f"many or none, found {len(image.labels)}, {len(image.categories)} and "
            f"{len(image.extras)}."
        )
    found = []
    for place, record in enumerate(image.records):
        name = (image.categories[place] if image.categories else None) or _OBJECT
        category_id = known.setdefault(name, max(known.values(), default=0) + 1)
        label = image.labels[place] if image.labels else None
        found.append((record, label, category_id, image.extras[place] if image.extras else {}))
    return found


def _annotation(record: MaskRecord, segmentation: Segmentation) -> dict[str, Any]:
    return {
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
    categories: Mapping[int, str] | None = None,
) -> None:
    """Write a COCO document, see `to_coco`; a reader never sees half of it.

    Raises
    ------
    DatasetError
        As `to_coco`.
    OSError
        If the folder is missing or cannot be written.
    """
    with whole_file(path) as partial:
        document = to_coco(images, info, segmentation=segmentation, categories=categories)
        partial.write_text(json.dumps(document), "utf-8")


def _xywh(box: Box) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
