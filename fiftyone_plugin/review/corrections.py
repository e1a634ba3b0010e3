"""Masks that people asked for, written into a sample, and taken back."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import (
    JUDGED_ATTRIBUTES,
    MASK_ATTRIBUTES,
    MODEL_ID,
    REPROMPT_STORE,
    REPROMPTED,
)
from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.masking import measure_mask
from fiftyone_plugin.quality import LabelPlace, change_labels, push_label
from sam_plugins import Refined
from sam_plugins.types import Size

__all__ = ["Corrections", "detections_fields"]

MOST_KEPT = 20
MOST_KEPT_BYTES = 4 << 20
"""Former labels of one sample that can be gone back to; a document of MongoDB ends at 16 MB."""

_DIGITS = 9
"""Of box coordinates between 0 and 1: far below a pixel."""

_WRITTEN = (
    *("bounding_box", "mask", "mask_path", "confidence"),
    *(*MASK_ATTRIBUTES, *JUDGED_ATTRIBUTES, MODEL_ID, REPROMPTED),
)
"""What another mask changes of a label; the rest stays as it is."""


def detections_fields(dataset: Any) -> list[str]:
    """Fields of a dataset that hold Detections."""
    import fiftyone as fo

    schema = dataset.get_field_schema(ftype=fo.EmbeddedDocumentField)
    return [name for name, field in schema.items() if field.document_type is fo.Detections]


class Corrections:
    """Replaces and adds masks of one sample, and remembers what was there.

    What was there is kept beside the dataset, in FiftyOne's own store, so that it can be taken back
    after a restart, and goes with the dataset.

    Parameters
    ----------
    dataset
        A `fiftyone.Dataset`.
    sample_id
        Of one of its samples.
    """

    def __init__(self, dataset: Any, sample_id: str) -> None:
        from fiftyone.operators.store import ExecutionStore

        self._dataset = dataset
        self.sample_id = sample_id
        self._store = ExecutionStore.create(REPROMPT_STORE, dataset._doc.id)

    def label(self, field: str, label_id: str) -> Any:
        """A Detection of the sample as it is now.

        Raises
        ------
        ReviewError
            If there is none.
        """
        for one in self._labels(field):
            if one.id == label_id:
                return one
        raise _gone(field, label_id)

    def replace(
        self, field: str, label_id: str, refined: Refined, size: Size, model_id: str
    ) -> None:
        """Give a label another mask; its prompt id, class, tags and review stay.

        Raises
        ------
        ReviewError
            If there is no such label, or no mask.
        """
        import fiftyone as fo

        label = self.label(field, label_id)
        former = label.to_json()
        changed = fo.Detection.from_json(former)
        _write_mask(changed, refined, size, model_id)
        document = changed.to_dict()
        self._remember(field, label_id, former, _mask_hash(changed))
        path = f"{field}.detections"
        written = {f"{path}.$.{name}": document.get(name) for name in _WRITTEN}
        if not self._change(field, label_id, {"$set": written}):
            raise _gone(field, label_id)

    def add(self, field: str, label: str, refined: Refined, size: Size, model_id: str) -> str:
        """Add a label of a class; a field that does not exist yet is made.

        Returns
        -------
        The id of the label.

        Raises
        ------
        ReviewError
            If the field holds something else, the class is empty, or there is no mask.
        """
        import fiftyone as fo

        if not label.strip():
            raise ReviewError("Expected a class for the new label, found none: type one.")
        added = fo.Detection(label=label.strip())
        _write_mask(added, refined, size, model_id)
        self._make_field(field)
        self._labels(field)
        self._remember(field, added.id, None, _mask_hash(added))
        if not push_label(LabelPlace(self._dataset, field), self.sample_id, added.to_dict()):
            raise self._sample_gone()
        return str(added.id)

    def undo(self) -> str:
        """Take back what was done last to this sample.

        A label gets its former mask and what was known of that; what else was said of the label
        since, such as tags, stays.

        Returns
        -------
        The id of the label that is as it was, or is gone.

        Raises
        ------
        ReviewError
            If nothing is left to take back, or the label or the file of its mask is gone, or it
            has yet another mask by now: that stays.
        """
        import fiftyone as fo
        from bson import ObjectId

        kept = self._kept()
        if not kept:
            raise ReviewError("Nothing of this sample is left to take back.")
        last = kept.pop()
        field, label_id = last["field"], last["label_id"]
        now = next((one for one in self._labels(field) if one.id == label_id), None)
        path, file = f"{field}.detections", None
        if last["former"] is None:
            update: dict[str, Any] = {"$pull": {path: {"_id": ObjectId(label_id)}}}
        else:
            former = fo.Detection.from_json(last["former"])
            update, file = _put_back(f"{path}.$", former.to_dict()), former.mask_path
        problem = ""
        if now is not None and last.get("written", _mask_hash(now)) != _mask_hash(now):
            problem = "has another mask by now: that stays, and nothing was taken back."
        elif file and os.path.isabs(file) and not os.path.isfile(file):
            problem = f"had its mask in {file}, which is gone: the mask of now stays."
        elif now is None or not self._change(field, label_id, update):
            problem = "was deleted since: there is nothing to take back."
        self._store.set(self.sample_id, {"kept": kept})
        if problem:
            raise ReviewError(f"The label {label_id} of {field} {problem}")
        return str(label_id)

    @property
    def count(self) -> int:
        """How much can be taken back."""
        return len(self._kept())

    def _kept(self) -> list[dict[str, Any]]:
        value = self._store.get(self.sample_id) or {}
        return list(value.get("kept", []))

    def _remember(self, field: str, label_id: str, former: str | None, written: str) -> None:
        """Keep a label as it was, and a hash of the mask that it is about to get."""
        step = {"field": field, "label_id": label_id, "former": former, "written": written}
        kept = [*self._kept(), step][-MOST_KEPT:]
        while len(kept) > 1 and len(json.dumps(kept)) > MOST_KEPT_BYTES:
            del kept[0]
        self._store.set(self.sample_id, {"kept": kept})

    def _change(self, field: str, label_id: str, update: dict[str, Any]) -> bool:
        """Change one label where it is now; whether it is there."""
        from bson import ObjectId

        there = {f"{field}.detections": {"$elemMatch": {"_id": ObjectId(label_id)}}}
        return change_labels(LabelPlace(self._dataset, field), self.sample_id, update, there)

    def _labels(self, field: str) -> list[Any]:
        """The labels of a field as they are now."""
        if field not in detections_fields(self._dataset):
            raise ReviewError(
                f"Expected a field of Detections, found {field!r}, which this dataset does not "
                "have or which holds something else: choose another field."
            )
        try:
            sample = self._dataset[self.sample_id]
        except KeyError as error:
            raise self._sample_gone() from error
        sample.reload()
        return [] if sample[field] is None else list(sample[field].detections)

    def _sample_gone(self) -> ReviewError:
        return ReviewError(
            f"The sample {self.sample_id} is not in the dataset any more: open another."
        )

    def _make_field(self, field: str) -> None:
        import fiftyone as fo

        if self._dataset.has_sample_field(field):
            return
        if not field.isidentifier():
            raise ReviewError(
                f"Expected the name of a field in letters, digits and underscores, found {field!r}."
            )
        self._dataset.add_sample_field(
            field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
        )


def _gone(field: str, label_id: str) -> ReviewError:
    return ReviewError(
        f"Expected a label with the id {label_id} in {field}, found none: it was deleted or "
        "belongs to another sample. Choose the label again."
    )


def _mask_hash(label: Any) -> str:
    """Of a Detection's box and mask; the rest does not count."""
    box = [round(float(value), _DIGITS) for value in label.bounding_box or ()]
    mask = None if label.mask is None else np.asarray(label.mask) != 0
    shape = None if mask is None else mask.shape
    content = hashlib.sha256(json.dumps([box, shape, label.mask_path]).encode())
    content.update(b"" if mask is None else np.packbits(mask).tobytes())
    return content.hexdigest()[:16]


def _put_back(at: str, former: Mapping[str, Any]) -> dict[str, Any]:
    """The update that gives a label its former mask and what was known of that."""
    there = {f"{at}.{name}": former[name] for name in _WRITTEN if name in former}
    gone = {f"{at}.{name}": "" for name in _WRITTEN if name not in former}
    return {"$set": there, **({"$unset": gone} if gone else {})}


def _write_mask(label: Any, refined: Refined, size: Size, model_id: str) -> None:
    if not refined.crop.size:
        raise ReviewError("Nothing was found at these prompts: click elsewhere, or draw a box.")
    quality = measure_mask(refined.crop, refined.box, size, predicted_iou=refined.score)
    label.bounding_box = whole_to_relative_box(refined.box, size)
    label.mask_path = None
    label.mask = np.ascontiguousarray(refined.crop, dtype=bool)
    label.confidence = quality.predicted_iou
    for name in MASK_ATTRIBUTES:
        label[name] = getattr(quality, name)
    for name in JUDGED_ATTRIBUTES:
        if label.has_field(name):
            label[name] = None  # it was said of the former mask
    label[MODEL_ID] = model_id
    label[REPROMPTED] = True
