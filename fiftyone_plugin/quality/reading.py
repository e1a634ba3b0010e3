"""A sample's Detections as what is judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.fields import PROMPT_ID, REVIEW
from fiftyone_plugin.geometry import FloatBox, relative_to_pixel_box
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.quality.judging import JudgedObject
from sam_plugins.types import Size

__all__ = ["ReadLabels", "boxes_by_id", "read_labels"]


@dataclass(frozen=True, slots=True, eq=False)
class ReadLabels:
    """The labels of one sample.

    Parameters
    ----------
    objects
        Those with a mask.
    labels
        Their FiftyOne labels, in the same order.
    without_mask, unreadable
        How many have none, and of how many it cannot be read.
    """

    objects: tuple[JudgedObject, ...]
    labels: tuple[Any, ...]
    without_mask: int
    unreadable: int


def boxes_by_id(sample: Any, box_field: str, size: Size) -> dict[str, FloatBox]:
    """The boxes of a field by the ids of their labels, xyxy float pixels; nothing if not named."""
    found = sample[box_field] if box_field and sample.has_field(box_field) else None
    labels = getattr(found, "detections", None) or ()
    return {
        label.id: relative_to_pixel_box(label.bounding_box, size)
        for label in labels
        if len(label.bounding_box or ()) == 4
    }


def read_labels(
    sample: Any, label_field: str, size: Size, given: Mapping[str, FloatBox]
) -> ReadLabels:
    """Read the Detections of a field.

    Parameters
    ----------
    sample
        A FiftyOne sample.
    label_field
        A field of Detections.
    size
        (H, W) of its picture.
    given
        Boxes by id of the label that asked. A label whose `prompt_id` is among them is measured
        against that box; otherwise its run's numbers hold; without those, its own bounding box.
    """
    objects, labels = [], []
    without_mask = unreadable = 0
    for label in _detections(sample, label_field):
        try:
            mask = mask_of(label, size)
        except SampleError:
            unreadable += 1
            continue
        if mask is None:
            without_mask += 1
            continue
        asked = given.get(str(label.get_attribute_value(PROMPT_ID, "")))
        review = label.get_attribute_value(REVIEW, None)
        objects.append(
            JudgedObject(
                label_id=label.id,
                label=label.label or "",
                mask=mask,
                given_box=asked or relative_to_pixel_box(label.bounding_box, size),
                box_iou=None if asked else _number(label, "box_iou_before"),
                outside_box=None if asked else _number(label, "outside_box"),
                worth=_part(label, "confidence") * _part(label, "stability_score"),
                accepted=review == "accepted",
                rejected=review == "rejected",
            )
        )
        labels.append(label)
    return ReadLabels(tuple(objects), tuple(labels), without_mask, unreadable)


def _detections(sample: Any, label_field: str) -> Iterator[Any]:
    found = sample[label_field]
    yield from (found.detections or ()) if found is not None else ()


def _number(label: Any, name: str) -> float | None:
    value = label.get_attribute_value(name, None)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return float(value) if usable else None


def _part(label: Any, name: str) -> float:
    """A number of 0 to 1; 1 where it is missing, which speaks neither for nor against."""
    value = _number(label, name)
    return 1.0 if value is None else min(max(value, 0.0), 1.0)
