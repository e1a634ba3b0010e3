"""Masks that people asked for, written into a sample, and taken back."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fiftyone_plugin.errors import LabelChangedError, ReviewError
from fiftyone_plugin.fields import (
    JUDGED_ATTRIBUTES,
    MASK_ATTRIBUTES,
    MODEL_ID,
    REPROMPTED,
    REVIEW,
    REVIEWED_BY,
)
from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.masking import measure_mask
from fiftyone_plugin.quality import LabelPlace, change_labels, push_label
from fiftyone_plugin.review.steps import Step, Steps
from sam_plugins import Refined
from sam_plugins.types import Size

__all__ = ["CHANGED", "Corrections", "detections_fields", "mark_of"]

CHANGED = (
    "Somebody has changed this mask since you began, and nothing was written: look at it as it is "
    "now, and accept again."
)

_DIGITS = 9
"""Of box coordinates between 0 and 1: far below a pixel."""

_MASK = ("bounding_box", "mask", "mask_path")
"""What a label's mask is, by which a change is noticed."""

_WRITTEN = (
    *(*_MASK, "confidence"),
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
    after a restart, and goes with the dataset. A label is written only if its box and mask are
    those that were looked at, in the same update that checks it.

    Parameters
    ----------
    dataset
        A `fiftyone.Dataset`.
    sample_id
        Of one of its samples.
    """

    def __init__(self, dataset: Any, sample_id: str) -> None:
        self._dataset = dataset
        self.sample_id = sample_id
        self._steps = Steps(dataset, sample_id)

    def label(self, field: str, label_id: str) -> tuple[Any, str]:
        """A Detection of the sample as it is now, and its mark.

        Raises
        ------
        ReviewError
            If there is none.
        """
        import fiftyone as fo

        document = self._document(field, label_id)
        if document is None:
            raise _gone(field, label_id)
        return fo.Detection.from_dict(document), mark_of(document)

    def replace(
        self,
        field: str,
        label_id: str,
        refined: Refined,
        size: Size,
        model_id: str,
        *,
        mark: str | None = None,
    ) -> None:
        """Give a label another mask; its prompt id, class, tags and review stay.

        Parameters
        ----------
        mark
            Of the label when it was looked at; None for whatever it holds now.

        Raises
        ------
        LabelChangedError
            If the label's box or mask is another one by now.
        ReviewError
            If there is no such label, or no mask.
        """
        import fiftyone as fo

        document = self._document(field, label_id)
        if document is None:
            raise _gone(field, label_id)
        if mark not in (None, mark_of(document)):
            raise LabelChangedError(CHANGED)
        former = fo.Detection.from_dict(document).to_json()
        changed = fo.Detection.from_json(former)
        _write_mask(changed, refined, size, model_id)
        new = changed.to_dict()
        step = self._steps.begin(field, label_id, former, _mask_hash(changed))
        written = {f"{field}.detections.$.{name}": new.get(name) for name in _WRITTEN}
        if not self._change(field, document, {"$set": written}):
            self._steps.strike(step)
            if self._document(field, label_id) is None:
                raise _gone(field, label_id)
            raise LabelChangedError(CHANGED)

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
        self._check(field)
        step = self._steps.begin(field, added.id, None, _mask_hash(added))
        if not push_label(LabelPlace(self._dataset, field), self.sample_id, added.to_dict()):
            self._steps.strike(step)
            raise self._sample_gone()
        return str(added.id)

    def undo(self) -> str:
        """Take back what was done last to this sample.

        A label gets its former mask and what was known of that; what else was said of the label
        since, such as tags, stays. A step is forgotten once it is taken back, and where its label
        is gone or has yet another mask.

        Returns
        -------
        The id of the label that is as it was, or is gone.

        Raises
        ------
        ReviewError
            If nothing is left to take back, or the label is gone or has yet another mask by now,
            which stays; or, and the step stays as well, if the file of the former mask is not
            there, or an added label was tagged or decided on.
        """
        import fiftyone as fo

        while (step := self._steps.last()) is not None:
            named = f"The label {step.label_id} of {step.field}"
            known = step.field in detections_fields(self._dataset)
            document = self._document(step.field, step.label_id) if known else None
            if document is None:
                self._steps.strike(step)
                raise ReviewError(f"{named} was deleted since: there is nothing to take back.")
            now = _mask_hash(fo.Detection.from_dict(document))
            former = None if step.former is None else fo.Detection.from_json(step.former)
            if step.written not in ("", now):
                self._steps.strike(step)
                if former is not None and _mask_hash(former) == now:
                    continue  # never carried out, or taken back by somebody else meanwhile
                raise ReviewError(
                    f"{named} has another mask by now: that stays, and nothing was taken back."
                )
            self._take_back(step, document, former, named)
            self._steps.strike(step)
            return step.label_id
        raise ReviewError("Nothing of this sample is left to take back.")

    @property
    def count(self) -> int:
        """How much can be taken back."""
        return self._steps.count

    def _take_back(self, step: Step, document: Mapping[str, Any], former: Any, named: str) -> None:
        """Put a label back that is as a step left it, or take it out if it was added."""
        path = f"{step.field}.detections"
        also: tuple[str, ...] = ()
        if former is None:
            said = _said_since(document)
            if said:
                raise ReviewError(
                    f"{named} was added here and {said} since, so it stays: take that back first, "
                    "or delete the label in the App."
                )
            update: dict[str, Any] = {"$pull": {path: {"_id": document["_id"]}}}
            also = ("tags", REVIEW)
        else:
            update, file = _put_back(f"{path}.$", former.to_dict()), former.mask_path
            if file and os.path.isabs(file) and not os.path.isfile(file):
                raise ReviewError(
                    f"{named} had its mask in {file}, which is not there: restore the file, or "
                    "connect its disk, and take back again. The mask of now stays until then."
                )
        if not self._change(step.field, document, update, also):
            raise ReviewError(
                f"{named} was changed at this moment, and nothing was taken back: look at it as it "
                "is now, and take back again."
            )

    def _change(
        self,
        field: str,
        document: Mapping[str, Any],
        update: dict[str, Any],
        also: Sequence[str] = (),
    ) -> bool:
        """Change one label if it holds the mask that it was read with; whether it did."""
        same = {name: document.get(name) for name in ("_id", *_MASK, *also)}
        there = {f"{field}.detections": {"$elemMatch": same}}
        return change_labels(LabelPlace(self._dataset, field), self.sample_id, update, there)

    def _document(self, field: str, label_id: str) -> dict[str, Any] | None:
        """A label as MongoDB holds it now; None if it is gone."""
        from bson import ObjectId

        self._check(field)
        where = {"_id": ObjectId(self.sample_id)}
        sample = self._dataset._sample_collection.find_one(where, {f"{field}.detections": 1})
        if sample is None:
            raise self._sample_gone()
        labels = (sample.get(field) or {}).get("detections") or ()
        return next((dict(one) for one in labels if str(one["_id"]) == label_id), None)

    def _check(self, field: str) -> None:
        """Refuse a field that holds no Detections."""
        if field not in detections_fields(self._dataset):
            raise ReviewError(
                f"Expected a field of Detections, found {field!r}, which this dataset does not "
                "have or which holds something else: choose another field."
            )

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


def mark_of(document: Mapping[str, Any]) -> str:
    """A hash of the box and mask of a label, as MongoDB holds it: another one, another mask."""
    box, mask, path = (document.get(name) for name in _MASK)
    content = hashlib.sha256(json.dumps([box, path], default=str).encode())
    content.update(mask if isinstance(mask, bytes) else repr(mask).encode())
    return content.hexdigest()[:16]


def _said_since(document: Mapping[str, Any]) -> str:
    """What somebody said of an added label; "" if nothing."""
    if verdict := document.get(REVIEW):
        return f"{verdict} by {document.get(REVIEWED_BY) or 'somebody'}"
    tags = ", ".join(map(str, document.get("tags") or ()))
    return f"tagged {tags}" if tags else ""


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
