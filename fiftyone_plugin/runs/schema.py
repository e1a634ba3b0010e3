"""The fields that a run writes, declared so that FiftyOne's App shows and filters them."""

from typing import Any

from fiftyone_plugin.fields import (
    MASK_ATTRIBUTES,
    MODEL_ID,
    PROMPT_ID,
    RUN_ID,
    reason_field,
    run_field,
    status_field,
)
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.values import Mode

__all__ = ["declare"]

_COUNTS = ("area", "components", "holes")
_YES_OR_NO = ("touches_border",)


def declare(dataset: Any, run: Run) -> None:
    """Declare the fields of a run, and the attributes of its labels, where they are not yet.

    Nothing changes where they are, and several processes may do it at once.
    """
    import fiftyone.core.fields as fof
    import fiftyone.core.labels as fol

    field = run.config.label_field
    video = run.config.mode is Mode.VIDEO
    add = dataset.add_frame_field if video else dataset.add_sample_field
    beside = dataset.get_field_schema(flat=True)
    schema = dataset.get_frame_field_schema(flat=True) if video else beside
    if field not in schema:
        add(field, fof.EmbeddedDocumentField, embedded_doc_type=fol.Detections)
    for name in (status_field(field), reason_field(field), run_field(field)):
        if name not in beside:
            dataset.add_sample_field(name, fof.StringField)
    kinds: dict[str, Any] = dict.fromkeys((PROMPT_ID, RUN_ID, MODEL_ID), fof.StringField)
    for name in MASK_ATTRIBUTES:
        kinds[name] = fof.FloatField
    kinds.update(dict.fromkeys(_COUNTS, fof.IntField))
    kinds.update(dict.fromkeys(_YES_OR_NO, fof.BooleanField))
    for name, kind in kinds.items():
        path = f"{field}.detections.{name}"
        if path not in schema:
            add(path, kind)
