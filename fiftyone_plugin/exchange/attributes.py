"""What is known about a mask, beside its pixels, as JSON and back.

What comes from files is a stranger's: only plain values under plain names become attributes of a
Detection, and never one that FiftyOne or this plugin reads as something else, such as `mask_path`.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from fiftyone_plugin.fields import MASK_ATTRIBUTES, MODEL_ID, PROMPT_ID, REVIEW, RUN_ID, WRITTEN

__all__ = ["attributes_of", "checked_attributes", "checked_confidence", "checked_tags"]

_OWN = {
    *("id", "_id", "_cls", "label", "tags", "index", "bounding_box", "mask", "mask_path"),
    *("confidence", "instance", "attributes", "logits", "points", "area", WRITTEN),
}
_COUNTS = ("components", "holes")
_NUMBERS = ("stability_score", "box_iou_before", "box_iou_after", "outside_box")
_YES_OR_NO = ("touches_border", "reprompted")
_TEXTS = (PROMPT_ID, MODEL_ID, REVIEW)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MOST = 64
_LONGEST = 4096


def attributes_of(detection: Any) -> dict[str, Any]:
    """Attributes of a Detection that are JSON values, those without a value left out.

    Its area is that of the pixels and is not among them.
    """
    found = {}
    for name in detection._fields_ordered:
        if name in _OWN or name.startswith("_"):
            continue
        value = _plain(detection.get_field(name))
        if value is not None:
            found[name] = value
    return found


def checked_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a stranger's values that may become attributes of a Detection.

    Names have letters, digits and underscores; values are texts, numbers, yes or no, or lists of
    them; the plugin's own have their own type. Anything else is left out, and so is the run: it did
    not write what is imported.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if len(found) >= _MOST:
            break
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in {*_OWN, RUN_ID}:
            continue
        kept = _typed(name, value)
        if kept is not None:
            found[name] = kept
    return found


def checked_confidence(value: Any) -> float | None:
    """A stranger's score, or None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def checked_tags(value: Any) -> tuple[str, ...]:
    """A stranger's tags: texts, each once."""
    if not isinstance(value, list):
        return ()
    texts = [each for each in value[:_MOST] if isinstance(each, str) and 0 < len(each) <= 256]
    return tuple(dict.fromkeys(texts))


def _typed(name: str, value: Any) -> Any:
    if name in _COUNTS:
        return value if type(value) is int and 0 <= value < 2**53 else None
    if name in _NUMBERS:
        return checked_confidence(value)
    if name in _YES_OR_NO:
        return value if isinstance(value, bool) else None
    if name in _TEXTS:
        return value if isinstance(value, str) and len(value) <= 256 else None
    if name in MASK_ATTRIBUTES:
        return None
    return _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it: a scalar or a short list of them; None for anything else."""
    if isinstance(value, list | tuple):
        items = [_scalar(each) for each in list(value)[: _LONGEST + 1]]
        return items if len(items) <= _LONGEST and None not in items else None
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value:
        try:
            value.encode()
        except UnicodeError:
            return None
        return value
    return None
