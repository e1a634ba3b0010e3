"""Masks on their way as the core's records, and what is known about them as keys of a document."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fiftyone_plugin.exchange.attributes import (
    checked_attributes,
    checked_confidence,
    checked_tags,
)
from fiftyone_plugin.exchange.values import ExchangedObject, ExchangedPicture
from sam_plugins.formats import rle_to_crop
from sam_plugins.types import MaskRecord, Size

__all__ = ["UNNAMED", "about_of", "extras_of", "object_of", "record_of"]

UNNAMED = "object"
"""The class of a label without one, where a format wants a name."""

_STABILITY = "stability_score"
_KEYS = {"score", "tags", "index", "attributes", "label_id", "unlabelled"}
_QUALITY = ("components", "holes", "touches_border", "box_iou_before", "box_iou_after")
_BESIDE = (*_QUALITY, "outside_box", "review", "prompt_id", "run_id", "model_id", "reprompted")


def record_of(each: ExchangedObject, size: Size) -> MaskRecord:
    """A mask as the core's formats take it; scores that nobody gave are 1."""
    stability = each.attributes.get(_STABILITY)
    return MaskRecord(
        segmentation=each.segmentation,
        box=each.box,
        area=each.area,
        predicted_iou=1.0 if each.confidence is None else each.confidence,
        stability_score=1.0 if stability is None else float(stability),
        point_coords=_inner_point(each),
        crop_box=(0, 0, size[1], size[0]),
    )


def extras_of(each: ExchangedObject) -> dict[str, Any]:
    """What the formats have no place for: quality and review by name, the rest in `attributes`."""
    found: dict[str, Any] = {"label_id": each.label_id} if each.label_id else {}
    if each.confidence is not None:
        found["score"] = each.confidence
    if each.label is None:
        found["unlabelled"] = True
    if each.tags:
        found["tags"] = list(each.tags)
    if each.index is not None:
        found["index"] = each.index
    found |= {name: each.attributes[name] for name in _BESIDE if name in each.attributes}
    rest = {k: v for k, v in each.attributes.items() if k not in (*_BESIDE, _STABILITY)}
    if rest:
        found["attributes"] = rest
    return found


def about_of(picture: ExchangedPicture) -> dict[str, Any]:
    """Which sample a picture is, so that its masks find it again; of a video, which frame."""
    frame = {"frame_number": picture.frame_number} if picture.frame_number else {}
    return {"sample_id": picture.sample_id, "filepath": str(picture.path), **frame}


def object_of(
    record: MaskRecord,
    label: str | None,
    extras: Mapping[str, Any],
    *,
    confidence: float | None,
    stability: float | None,
) -> ExchangedObject:
    """A record of a stranger's document; what is not as it should be is left out.

    Parameters
    ----------
    record
        Its pixels, checked.
    label
        Its class.
    extras
        The document's other keys.
    confidence, stability
        Where the document says them.
    """
    nested = extras.get("attributes")
    values: dict[str, Any] = dict(nested) if isinstance(nested, Mapping) else {}
    values |= {name: value for name, value in extras.items() if name not in _KEYS}
    if stability is not None:
        values[_STABILITY] = stability
    score = checked_confidence(extras.get("score"))
    index = extras.get("index")
    return ExchangedObject(
        label=None if extras.get("unlabelled") is True else label,
        segmentation=record.segmentation,
        box=record.box,
        area=record.area,
        confidence=confidence if score is None else score,
        attributes=checked_attributes(values),
        tags=checked_tags(extras.get("tags")),
        index=index if type(index) is int and abs(index) < 2**31 else None,
    )


def _inner_point(each: ExchangedObject) -> tuple[float, float]:
    """The pixel of a mask that is nearest its centroid, xy."""
    crop, (x0, y0, _, _) = rle_to_crop(each.segmentation)
    rows, columns = np.nonzero(crop)
    distance = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
    nearest = int(np.argmin(distance))
    return float(x0 + columns[nearest]), float(y0 + rows[nearest])
