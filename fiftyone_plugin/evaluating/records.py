"""Evaluations as FiftyOne's custom runs: what was asked, what came out, and what was written.

A record is written before the labels are, so that what an evaluation leaves in a dataset has an
owner even after an accident.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError, RunError
from fiftyone_plugin.quality import delete_views
from fiftyone_plugin.runs import fields_locked

__all__ = [
    "METHOD",
    "Deleted",
    "Record",
    "attributes_of_others",
    "begin",
    "check_attributes",
    "check_key",
    "delete_evaluation",
    "find_evaluation",
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
    found
        Those of them that somebody else had made before, by field: they stay when it is deleted.
    views
        Names of the views that it saves.
    """

    key: str
    kind: str
    fields: Mapping[str, str]
    settings: Mapping[str, Any]
    writes: Mapping[str, list[str]] = field(default_factory=dict)
    found: Mapping[str, list[str]] = field(default_factory=dict)
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What the deletion of an evaluation took away, and what it left.

    Parameters
    ----------
    attributes
        Paths of attributes that are gone from the labels.
    views
        Names of saved views that are gone.
    kept
        Paths that the evaluation wrote to and that stay: others had made them before, or use them.
    """

    attributes: list[str]
    views: list[str]
    kept: list[str]


def list_evaluations(dataset: Any) -> list[Record]:
    """The evaluations of a dataset, by name; records that cannot be read are left out."""
    dataset.reload()
    found = [_read(dataset, key) for key in dataset.list_runs(method=METHOD)]
    return [record for record in found if record is not None]


def find_evaluation(dataset: Any, key: str) -> Record:
    """The evaluation of a name.

    Raises
    ------
    RunError
        If there is none, or it is one of FiftyOne's own.
    """
    records = {record.key: record for record in list_evaluations(dataset)}
    if key in records:
        return records[key]
    if key in dataset.list_evaluations():
        raise RunError(
            f"Expected an evaluation of sam-plugins, found {key!r}, one of FiftyOne's own: look "
            "at it in FiftyOne's panel Model Evaluation; dataset.delete_evaluation deletes it."
        )
    raise RunError(
        f"Expected an evaluation of {dataset.name!r}, found no {key!r}; there are: "
        f"{', '.join(records) or 'none'}."
    )


def load_evaluation(dataset: Any, key: str) -> dict[str, Any]:
    """What came out of an evaluation, as JSON values.

    Raises
    ------
    RunError
        If there is none of that name, or it did not come to its end.
    """
    find_evaluation(dataset, key)
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
    own = _pairs(record.writes for record in records if record.key == key)
    for name, attributes in writes.items():
        for attribute in attributes:
            path = _path(name, attribute)
            if overwrite or (name, attribute) in own or dataset.get_field(path) is None:
                continue
            raise FieldError(
                f"Expected the attribute {path!r} to be free, found one that this evaluation did "
                "not write: choose other names, or agree to replace it."
            )


def attributes_of_others(dataset: Any, writes: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Those of the attributes that somebody else made, by field; for a record's `found`.

    To be asked before they are declared. What an evaluation has found before it wrote stays
    somebody else's, however often it writes.
    """
    records = list_evaluations(dataset) if writes else []
    ours = _pairs(record.writes for record in records)
    theirs = _pairs(record.found for record in records)
    there = {pair for pair in _pairs([writes]) if dataset.get_field(_path(*pair)) is not None}
    return _by_field(there - (ours - theirs))


def begin(dataset: Any, record: Record) -> None:
    """Write the record of an evaluation that is about to write; nothing without a name.

    What one of the same name has written before stays its own, to be deleted with it.
    """
    if not record.key:
        return
    before = _read(dataset, record.key) if record.key in dataset.list_runs() else None
    both = [record] if before is None else [before, record]
    config = dataset.init_run(
        method=METHOD,
        kind=record.kind,
        fields=dict(record.fields),
        settings=dict(record.settings),
        writes=_by_field(_pairs(each.writes for each in both)),
        found=_by_field(_pairs(each.found for each in both)),
        views=list(dict.fromkeys(name for each in both for name in each.views)),
    )
    dataset.register_run(record.key, config, overwrite=True)


def finish(dataset: Any, key: str, content: Mapping[str, Any]) -> None:
    """Keep what came out, JSON values, in the record; nothing without a name."""
    if key:
        results = dataset.init_run_results(key, content=dict(content))
        dataset.save_run_results(key, results, cache=False)


def delete_evaluation(dataset: Any, key: str) -> Deleted:
    """Delete an evaluation: its attributes, saved views and record. Masks and labels stay.

    So do attributes that others had made before it wrote to them, that another evaluation writes
    as well, FiftyOne's own included, and views that somebody saved in the place of its own.

    Raises
    ------
    RunError
        If there is none of that name, or it is one of FiftyOne's own.
    """
    record = find_evaluation(dataset, key)
    others = [each for each in list_evaluations(dataset) if each.key != key]
    used = {_path(*pair) for pair in _pairs(each.writes for each in others)}
    used |= {_path(*pair) for pair in _pairs([record.found])} | _paths_of_fiftyone(dataset)
    written = sorted(_path(*pair) for pair in _pairs([record.writes]))
    views = delete_views(dataset, record.views)
    with fields_locked(dataset):
        there = [path for path in written if dataset.get_field(path) is not None]
        gone = [path for path in there if path not in used]
        if gone:
            dataset.delete_sample_fields(gone)
    dataset.delete_run(key)
    return Deleted(gone, views, [path for path in there if path in used])


def _pairs(written: Iterable[Mapping[str, Iterable[str]]]) -> set[tuple[str, str]]:
    """(field, attribute) of attributes by field."""
    return {(name, each) for one in written for name, names in one.items() for each in names}


def _by_field(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The same, by field again."""
    written: dict[str, list[str]] = {}
    for name, attribute in sorted(pairs):
        written.setdefault(name, []).append(attribute)
    return written


def _path(name: str, attribute: str) -> str:
    return f"{name}.detections.{attribute}"


def _paths_of_fiftyone(dataset: Any) -> set[str]:
    """What FiftyOne's own evaluations have written into labels."""
    paths: set[str] = set()
    for key in dataset.list_evaluations():
        method = dataset.get_evaluation_info(key).config.build()
        paths.update(method.get_fields(dataset, key))
    return paths


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
            found={
                str(name): list(names)
                for name, names in dict(getattr(config, "found", None) or {}).items()
            },
            views=tuple(config.views),
        )
    except (AttributeError, TypeError, ValueError):
        return None
