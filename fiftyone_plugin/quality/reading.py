"""A sample's Detections as what is judged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.fields import PROMPT_ID, REVIEW
from fiftyone_plugin.geometry import FloatBox, relative_to_pixel_box
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.quality.judging import JudgedObject
from fiftyone_plugin.quality.tracking import Track
from sam_plugins.types import Size

__all__ = ["ReadLabels", "StoredMask", "boxes_by_id", "number_of", "read_labels", "stored_mask"]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class ReadLabels:
    """The labels of one sample or frame.

    Parameters
    ----------
    objects
        Those with a mask.
    documents
        Their labels as the database has them, in the same order.
    without_mask, unreadable
        How many have none, and of how many it cannot be read.
    """

    objects: tuple[JudgedObject, ...]
    documents: tuple[Document, ...]
    without_mask: int
    unreadable: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredMask:
    """What `mask_of` looks at of a Detection, without the cost of one."""

    id: str
    label: str | None
    bounding_box: Any
    mask: Any
    mask_path: str | None


def boxes_by_id(sample: Document, box_field: str, size: Size) -> dict[str, FloatBox]:
    """The boxes of a field by the ids of their labels, xyxy float pixels; nothing if not named."""
    return {
        str(label["_id"]): relative_to_pixel_box(label["bounding_box"], size)
        for label in _documents(sample, box_field)
        if len(label.get("bounding_box") or ()) == 4
    }


def read_labels(
    sample: Document, label_field: str, size: Size, given: Mapping[str, FloatBox]
) -> ReadLabels:
    """Read the Detections of a field.

    Parameters
    ----------
    sample
        A sample or frame as the database has it.
    label_field
        A field of Detections, as the document names it.
    size
        (H, W) of its picture.
    given
        Boxes by id of the label that asked. A label whose `prompt_id` is among them is measured
        against that box; otherwise its run's numbers hold; without those, its own bounding box.
    """
    objects, documents = [], []
    without_mask = unreadable = 0
    for label in _documents(sample, label_field):
        try:
            mask = mask_of(stored_mask(label), size)
        except SampleError:
            unreadable += 1
            continue
        if mask is None:
            without_mask += 1
            continue
        asked = given.get(str(label.get(PROMPT_ID)))
        objects.append(
            JudgedObject(
                label_id=str(label["_id"]),
                label=str(label.get("label") or ""),
                mask=mask,
                given_box=asked or relative_to_pixel_box(label["bounding_box"], size),
                box_iou=None if asked else number_of(label, "box_iou_before"),
                outside_box=None if asked else number_of(label, "outside_box"),
                worth=_part(label, "confidence") * _part(label, "stability_score"),
                accepted=label.get(REVIEW) == "accepted",
                rejected=label.get(REVIEW) == "rejected",
                track=_track(label),
            )
        )
        documents.append(label)
    return ReadLabels(tuple(objects), tuple(documents), without_mask, unreadable)


def _track(label: Document) -> Track | None:
    """What tells an object from others in a video: class and index, else its instance."""
    index, instance = label.get("index"), (label.get("instance") or {}).get("_id")
    if isinstance(index, int) and not isinstance(index, bool):
        return str(label.get("label")), index
    return None if instance is None else ("", str(instance))


def _documents(sample: Document, field: str) -> list[Document]:
    found = sample.get(field) if field else None
    return list((found or {}).get("detections") or ())


def stored_mask(label: Document) -> StoredMask:
    """A Detection as the database has it, for `mask_of`.

    Raises
    ------
    SampleError
        If what is stored as its mask is none.
    """
    from fiftyone.core.utils import deserialize_numpy_array

    stored = label.get("mask")
    try:
        mask = None if stored is None else deserialize_numpy_array(stored)
    except Exception as error:
        raise SampleError(f"The mask of label {label['_id']} cannot be read: {error}") from error
    name, path = label.get("label"), label.get("mask_path")
    return StoredMask(str(label["_id"]), name, label.get("bounding_box"), mask, path)


def number_of(label: Document, name: str) -> float | None:
    """A label's attribute as a number; None if it is none, or NaN."""
    value = label.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


def _part(label: Document, name: str) -> float:
    """A number of 0 to 1; 1 where it is missing, which speaks neither for nor against."""
    value = number_of(label, name)
    return 1.0 if value is None else min(max(value, 0.0), 1.0)
