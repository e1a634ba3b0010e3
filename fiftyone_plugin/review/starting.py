"""The mask that a label holds, as what clicks correct."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.errors import LabelChangedError, ReviewError
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.review.corrections import CHANGED, Corrections
from sam_plugins import Refined
from sam_plugins.evaluation import crop_overlap
from sam_plugins.formats import crop_to_rle, rle_to_crop
from sam_plugins.types import Rle, Size

__all__ = ["Changed", "Start", "read_start"]


@dataclass(frozen=True, slots=True)
class Changed:
    """What an answer changes of the mask it began with, in pixels."""

    added: int
    removed: int

    def __bool__(self) -> bool:
        return self.added > 0 or self.removed > 0


@dataclass(frozen=True, slots=True)
class Start:
    """A label's mask as it is now.

    Parameters
    ----------
    mask
        Run lengths of the whole picture.
    mark
        A hash of the mask: another one, and somebody has changed it meanwhile.
    field, label_id
        Of the label.
    label_mark
        `mark_of` the label that it was read from.
    """

    mask: Rle
    mark: str
    field: str
    label_id: str
    label_mark: str

    def changed_by(self, refined: Refined) -> Changed:
        """What an answer changes of it."""
        crop, box = rle_to_crop(self.mask)
        both = crop_overlap(crop, box, refined.crop, refined.box)
        return Changed(int(refined.crop.sum()) - both, int(crop.sum()) - both)


def read_start(said: Mapping[str, Any], corrections: Corrections, size: Size) -> Start | None:
    """The mask that the panel names to begin with, read anew from the sample.

    Parameters
    ----------
    said
        `start`: null, or `field` and `label_id` of a label, and `mark`, which the answer that is
        shown was given with; "" where none was given yet.
    corrections
        Of the sample.
    size
        (H, W) of the picture.

    Raises
    ------
    LabelChangedError
        If the label has another mask by now.
    ReviewError
        If that is not what was sent, the label is gone, or has no mask.
    SampleError
        If the mask cannot be read.
    """
    named = said.get("start")
    if named is None:
        return None
    parts = ("field", "label_id", "mark")
    if not isinstance(named, Mapping) or not all(isinstance(named.get(n), str) for n in parts):
        raise ReviewError(
            f"Expected the field, label_id and mark of a label to start from, found "
            f"{str(named)[:80]}: choose the label again."
        )
    label, label_mark = corrections.label(named["field"], named["label_id"])
    found = mask_of(label, size)
    if found is None or not found[0].any():
        raise ReviewError(
            "This label has no mask in the picture to start from: choose to make its mask anew, "
            "and click on the object or draw a box."
        )
    mask = crop_to_rle(*found, size)
    mark = hashlib.sha256(str(mask["counts"]).encode()).hexdigest()[:16]
    if named["mark"] not in ("", mark):
        raise LabelChangedError(CHANGED)
    return Start(mask, mark, named["field"], named["label_id"], label_mark)
