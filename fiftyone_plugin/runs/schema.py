"""The fields that a run writes, declared so that FiftyOne's App shows and filters them."""

from collections.abc import Callable
from typing import Any

from fiftyone_plugin.fields import (
    MASK_ATTRIBUTES,
    MODEL_ID,
    PROMPT_ID,
    RUN_ID,
    asked_field,
    fields_beside,
)
from fiftyone_plugin.runs.lock import fields_locked
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.values import Mode

__all__ = ["declare", "declare_newer"]

_COUNTS = ("area", "components", "holes")
_YES_OR_NO = ("touches_border",)


def declare(dataset: Any, run: Run) -> None:
    """Declare the fields of a run, and the attributes of its labels, where they are not yet.

    Nothing changes where they are, and several processes may do it at once.

    Raises
    ------
    RunError
        If others change the dataset's fields all the time.
    """
    dataset.reload()
    if _missing(dataset, run):
        with fields_locked(dataset):
            for add, name, arguments in _missing(dataset, run):
                add(name, **arguments)


def declare_newer(dataset: Any, run: Run) -> None:
    """Declare what this version writes for a run that an older one has begun.

    Where nothing of the run is declared, it was deleted meanwhile, and nothing is.

    Raises
    ------
    RunError
        If others change the dataset's fields all the time.
    """
    dataset.reload()
    there = [name in dataset.get_field_schema() for name in fields_beside(run.config.label_field)]
    if any(there) and not all(there):
        declare(dataset, run)


def _missing(dataset: Any, run: Run) -> list[tuple[Callable[..., None], str, dict[str, Any]]]:
    """What is not declared yet: how, what, and as what."""
    import fiftyone.core.fields as fof
    import fiftyone.core.labels as fol

    field = run.config.label_field
    beside = dataset.get_field_schema(flat=True)
    add, schema = dataset.add_sample_field, beside
    if run.config.mode is Mode.VIDEO:
        add, schema = dataset.add_frame_field, dataset.get_frame_field_schema(flat=True)
    missing: list[tuple[Callable[..., None], str, dict[str, Any]]] = []
    if field not in schema:
        labels = {"ftype": fof.EmbeddedDocumentField, "embedded_doc_type": fol.Detections}
        missing.append((add, field, labels))
    for name in fields_beside(field):
        kind = fof.DictField if name == asked_field(field) else fof.StringField
        if name not in beside:
            missing.append((dataset.add_sample_field, name, {"ftype": kind}))
    kinds: dict[str, Any] = dict.fromkeys((PROMPT_ID, RUN_ID, MODEL_ID), fof.StringField)
    kinds.update(dict.fromkeys(MASK_ATTRIBUTES, fof.FloatField))
    kinds.update(dict.fromkeys(_COUNTS, fof.IntField))
    kinds.update(dict.fromkeys(_YES_OR_NO, fof.BooleanField))
    for name, kind in kinds.items():
        path = f"{field}.detections.{name}"
        if path not in schema:
            missing.append((add, path, {"ftype": kind}))
    return missing
