"""What a new label takes over from the one that asked for it."""

import copy
from collections.abc import Mapping
from typing import Any

from fiftyone_plugin.fields import (
    JUDGED_ATTRIBUTES,
    MASK_ATTRIBUTES,
    MODEL_ID,
    PROMPT_ID,
    REVIEW_ATTRIBUTES,
    REVIEW_TAGS,
    RUN_ID,
    WRITTEN,
)

__all__ = ["SOURCE_CONFIDENCE", "carried_of", "copied"]

SOURCE_CONFIDENCE = "source_confidence"
"""Attribute of a new Detection: the confidence of the Detection that asked."""

_OWN = {
    *("id", "_id", "_cls", "bounding_box", "mask", "mask_path", "points", "confidence"),
    *(*MASK_ATTRIBUTES, *JUDGED_ATTRIBUTES, *REVIEW_ATTRIBUTES),
    *(PROMPT_ID, RUN_ID, MODEL_ID, WRITTEN),
}


def carried_of(label: Any, left_out: str = "") -> dict[str, Any]:
    """Copies of a label's name, tags, index, instance and attributes.

    Its place, its mask and what a run, a judgement or a review wrote about that mask stay behind,
    the tags of a review among it. Its confidence becomes `SOURCE_CONFIDENCE` where it is a number
    (a Keypoint has one per point).

    Parameters
    ----------
    label
        A FiftyOne Detection or Keypoint, which is not changed.
    left_out
        One more attribute that stays behind: the signs of points.
    """
    names = [name for name in label._fields_ordered if name not in _OWN and name != left_out]
    carried = {name: copied(label.get_field(name)) for name in names}
    carried["tags"] = [tag for tag in carried.get("tags") or () if tag not in REVIEW_TAGS]
    confidence = label.confidence
    if isinstance(confidence, int | float):
        carried[SOURCE_CONFIDENCE] = float(confidence)
    return carried


def copied(value: Any) -> Any:
    """A deep copy with the same ids.

    FiftyOne's lists and dicts, which know their document, become plain ones. Its documents are
    built anew: `copy.deepcopy` would give each a new id, and unlink what `instance` links.
    """
    if isinstance(value, Mapping):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [copied(each) for each in value]
    if hasattr(value, "_fields_ordered"):
        names = [name for name in value._fields_ordered if name != "_cls"]
        return type(value)(**{name: copied(value.get_field(name)) for name in names})
    return copy.deepcopy(value)
