"""Evaluations as FiftyOne's custom runs: what was asked, what came out, and what was written.

A record is written before the labels are, so that what an evaluation leaves in a dataset has an
owner even after an accident.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError, RunError

__all__ = [
    "METHOD",
    "Record",
    "begin",
    "check_attributes",
    "check_key",
    "delete_evaluation",
    "finish",
    "list_evaluations",
    "load_evaluation",
    "or_none",
]

METHOD = "sam_plugins_evaluation"
"""What FiftyOne's runs of this kind say they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One evaluation.

    Parameters
    ----------
    key
        Its name among the dataset's runs.
    kind
        "masks", "prompts", "mistakes" or "groups".
    fields
        Whose labels were looked at, by their part: "truth_field", "prediction_field".
    settings
        As JSON values.
    writes
        Attributes that it writes into labels, by field.
    views
        Names of the views that it saves.
    """

    key: str
    kind: str
    fields: Mapping[str, str]
    settings: Mapping[str, Any]
    writes: Mapping[str, list[str]] = field(default_factory=dict)
    views: tuple[str, ...] = ()


def list_evaluations(dataset: Any) -> list[Record]:
    """The evaluations of a dataset, by name; records that cannot be read are left out."""
    dataset.reload()
    found = [_read(dataset, key) for key in dataset.list_runs(method=METHOD)]
    return [record for record in found if record is not None]


def load_evaluation(dataset: Any, key: str) -> dict[str, Any]:
    """What came out of an evaluation, as JSON values.

    Raises
    ------
    RunError
        If there is none of that name, or it did not come to its end.
    """
    known = [record.key for record in list_evaluations(dataset)]
    if key not in known:
        raise RunError(
            f"Expected an evaluation of {dataset.name!r}, found no {key!r}; there are: "
            f"{', '.join(known) or 'none'}."
        )
    results = dataset.load_run_results(key, cache=False)
    content = getattr(results, "content", None)
    if not isinstance(content, dict):
        raise RunError(f"The evaluation {key!r} did not come to its end: start it again.")
    return content


def check_key(dataset: Any, key: str, kind: str, *, overwrite: bool) -> None:
    """Refuse a name that is not free, unless it is of the same kind of evaluation.

    Raises
    ------
    RunError
        If it is no name, or that of another run; or that of an evaluation of another kind, and
        `overwrite` is not given.
    """
    if not key:
        return
    if not key.isidentifier():
        raise RunError(
            f"Expected letters, digits and underscores for the evaluation's name, found {key!r}."
        )
    dataset.reload()
    if key not in dataset.list_runs():
        return
    before = _read(dataset, key)
    if before is None:
        raise RunError(
            f"Expected a free name for the evaluation, found {key!r}, a run of something else: "
            "choose another."
        )
    if before.kind != kind and not overwrite:
        raise RunError(
            f"Expected a free name for the evaluation, found {key!r}, which is one of "
            f"{before.kind}: choose another, or agree to replace it."
        )


def check_attributes(
    dataset: Any, key: str, writes: Mapping[str, Iterable[str]], *, overwrite: bool
) -> None:
    """Refuse to write attributes that somebody else made.

    Raises
    ------
    FieldError
        If one is there, was not written by an evaluation of that name, and `overwrite` is not
        given.
    """
    records = list_evaluations(dataset) if writes else []
    own = {
        (name, attribute)
        for record in records
        if record.key == key
        for name, attributes in record.writes.items()
        for attribute in attributes
    }
    for name, attributes in writes.items():
        for attribute in attributes:
            path = f"{name}.detections.{attribute}"
            if overwrite or (name, attribute) in own or dataset.get_field(path) is None:
                continue
            raise FieldError(
                f"Expected the attribute {path!r} to be free, found one that this evaluation did "
                "not write: choose other names, or agree to replace it."
            )


def begin(dataset: Any, record: Record) -> None:
    """Write the record of an evaluation that is about to write; nothing without a name."""
    if not record.key:
        return
    config = dataset.init_run(
        method=METHOD,
        kind=record.kind,
        fields=dict(record.fields),
        settings=dict(record.settings),
        writes={name: list(attributes) for name, attributes in record.writes.items()},
        views=list(record.views),
    )
    dataset.register_run(record.key, config, overwrite=True)


def finish(dataset: Any, key: str, content: Mapping[str, Any]) -> None:
    """Keep what came out, JSON values, in the record; nothing without a name."""
    if key:
        results = dataset.init_run_results(key, content=dict(content))
        dataset.save_run_results(key, results, cache=False)


def delete_evaluation(dataset: Any, key: str) -> Record:
    """Delete an evaluation: its attributes, saved views and record. Masks and labels stay.

    Raises
    ------
    RunError
        If there is none of that name.
    """
    records = {record.key: record for record in list_evaluations(dataset)}
    if key not in records:
        raise RunError(
            f"Expected an evaluation of {dataset.name!r}, found no {key!r}; there are: "
            f"{', '.join(records) or 'none'}."
        )
    record = records.pop(key)
    shared = {
        (name, attribute)
        for other in records.values()
        for name, attributes in other.writes.items()
        for attribute in attributes
    }
    for name in record.views:
        if dataset.has_saved_view(name):
            dataset.delete_saved_view(name)
    paths = [
        f"{name}.detections.{attribute}"
        for name, attributes in record.writes.items()
        for attribute in attributes
        if (name, attribute) not in shared
        and dataset.get_field(f"{name}.detections.{attribute}") is not None
    ]
    if paths:
        dataset.delete_sample_fields(paths)
    dataset.delete_run(key)
    return record


def or_none(value: float) -> float | None:
    """A number for JSON: None in place of NaN."""
    return None if math.isnan(value) else float(value)


def _read(dataset: Any, key: str) -> Record | None:
    config = dataset.get_run_info(key).config
    if getattr(config, "method", None) != METHOD:
        return None
    try:
        return Record(
            key=key,
            kind=str(config.kind),
            fields=dict(config.fields),
            settings=dict(config.settings),
            writes={str(name): list(names) for name, names in dict(config.writes).items()},
            views=tuple(config.views),
        )
    except (AttributeError, TypeError, ValueError):
        return None
