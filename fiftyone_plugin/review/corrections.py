"""Masks that people asked for, written into a sample, and taken back."""

import json
from typing import Any

import numpy as np

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import MASK_ATTRIBUTES, MODEL_ID, REPROMPT_STORE, REPROMPTED
from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.masking import measure_mask
from sam_plugins import Refined
from sam_plugins.types import Size

__all__ = ["Corrections", "detections_fields"]

MOST_KEPT = 20
MOST_KEPT_BYTES = 4 << 20
"""Former labels of one sample that can be gone back to; a document of MongoDB ends at 16 MB."""


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

    def replace(
        self, field: str, label_id: str, refined: Refined, size: Size, model_id: str
    ) -> None:
        """Give a label another mask; its prompt id, class, tags and review stay.

        Raises
        ------
        ReviewError
            If there is no such label, or no mask.
        """
        sample, detections = self._labels(field)
        label = next((one for one in detections if one.id == label_id), None)
        if label is None:
            raise ReviewError(
                f"Expected a label with the id {label_id} in {field}, found none: it was deleted "
                "or belongs to another sample. Choose the label again."
            )
        former = label.to_json()
        _write_mask(label, refined, size, model_id)
        self._remember(field, label_id, former)
        sample.save()

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
        sample, detections = self._labels(field)
        if sample[field] is None:
            sample[field] = fo.Detections(detections=[added])
        else:
            detections.append(added)
        self._remember(field, added.id, None)
        sample.save()
        return str(added.id)

    def undo(self) -> str:
        """Take back what was done last to this sample.

        Returns
        -------
        The id of the label that is as it was, or is gone.

        Raises
        ------
        ReviewError
            If nothing is left to take back, or the label is gone.
        """
        import fiftyone as fo

        kept = self._kept()
        if not kept:
            raise ReviewError("Nothing of this sample is left to take back.")
        last = kept.pop()
        sample, detections = self._labels(last["field"])
        at = next((i for i, one in enumerate(detections) if one.id == last["label_id"]), None)
        if at is not None and last["former"] is None:
            del detections[at]
        elif at is not None:
            detections[at] = fo.Detection.from_json(last["former"])
        sample.save()
        self._store.set(self.sample_id, {"kept": kept})
        if at is None:
            raise ReviewError(
                f"The label {last['label_id']} of {last['field']} was deleted since: there is "
                "nothing to take back."
            )
        return str(last["label_id"])

    @property
    def count(self) -> int:
        """How much can be taken back."""
        return len(self._kept())

    def _kept(self) -> list[dict[str, Any]]:
        value = self._store.get(self.sample_id) or {}
        return list(value.get("kept", []))

    def _remember(self, field: str, label_id: str, former: str | None) -> None:
        kept = [*self._kept(), {"field": field, "label_id": label_id, "former": former}]
        kept = kept[-MOST_KEPT:]
        while len(kept) > 1 and len(json.dumps(kept)) > MOST_KEPT_BYTES:
            del kept[0]
        self._store.set(self.sample_id, {"kept": kept})

    def _labels(self, field: str) -> tuple[Any, Any]:
        if field not in detections_fields(self._dataset):
            raise ReviewError(
                f"Expected a field of Detections, found {field!r}, which this dataset does not "
                "have or which holds something else: choose another field."
            )
        try:
            sample = self._dataset[self.sample_id]
        except KeyError as error:
            raise ReviewError(
                f"The sample {self.sample_id} is not in the dataset any more: open another."
            ) from error
        sample.reload()
        return sample, [] if sample[field] is None else sample[field].detections

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
    label[MODEL_ID] = model_id
    label[REPROMPTED] = True
