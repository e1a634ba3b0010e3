"""Telling a label that somebody has edited from one that is as the run wrote it."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiftyone_plugin.fields import REVIEW, RUN_ID, WRITTEN
from fiftyone_plugin.storage import MaskFiles

__all__ = ["edited", "mark_of", "of_run", "stays_or_mark"]

_DIGITS = 9
"""Of box coordinates between 0 and 1: beyond what an editor keeps, far below a pixel."""


def mark_of(label: Mapping[str, Any]) -> str:
    """A hash of a Detection's name, box and mask.

    Parameters
    ----------
    label
        As a dict that MongoDB takes or gives. Tags and attributes do not count: reviewing a label
        is not editing it.

    Returns
    -------
    16 hexadecimal digits.
    """
    box = [round(float(value), _DIGITS) for value in label.get("bounding_box") or ()]
    content = hashlib.sha256(json.dumps([label.get("label"), box]).encode())
    mask = label.get("mask")
    if mask is not None:
        content.update(_unpacked(bytes(mask)))
    content.update(str(label.get("mask_path") or "").encode())
    return content.hexdigest()[:16]


def of_run(label: Mapping[str, Any], run_id: str) -> bool:
    """Whether that run wrote the label."""
    return label.get(RUN_ID) == run_id


def edited(label: Mapping[str, Any], files: MaskFiles) -> bool:
    """Whether a label that a run wrote, or the file of its mask, has been changed since.

    A file that is gone does not count as a change: nobody's work is in it.
    """
    if label.get(WRITTEN) != mark_of(label):
        return True
    path = Path(label["mask_path"]) if label.get("mask_path") else None
    return path is not None and path.exists() and files.owns(path) and not files.unchanged(path)


def stays_or_mark(label: Mapping[str, Any], files: MaskFiles) -> str:
    """The mark of a label that a run wrote; "" where somebody has edited it or decided on it.

    Such a label stays, whatever the run finds when it is tried again.
    """
    return "" if label.get(REVIEW) or edited(label, files) else str(label[WRITTEN])


def _unpacked(mask: bytes) -> bytes:
    """What zlib holds: two versions of it may pack the same mask differently."""
    reader = zlib.decompressobj()
    try:
        unpacked = reader.decompress(mask, max_length=1 << 30)
    except zlib.error:
        return mask
    return unpacked
