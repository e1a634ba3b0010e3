"""A run taken away again: its labels, its files, what it said of samples, and its record."""

from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any

from fiftyone_plugin.fields import fields_beside
from fiftyone_plugin.runs.collection import Documents
from fiftyone_plugin.runs.frames import FrameDocuments
from fiftyone_plugin.runs.lock import fields_locked
from fiftyone_plugin.runs.marks import edited, of_run
from fiftyone_plugin.runs.records import Run, find_run, forget
from fiftyone_plugin.storage import files_named
from fiftyone_plugin.values import Mode

__all__ = ["Deleted", "delete_run"]


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion took away, and what it left.

    Parameters
    ----------
    samples, labels, files
        How many were cleared.
    kept
        Labels of the run that somebody has edited since: they stay, without the run's name.
    """

    samples: int
    labels: int
    files: int
    kept: int


def delete_run(dataset: Any, run_id: str) -> Deleted:
    """Remove what a run wrote and nothing else; killed halfway, the next call goes on.

    Labels that others have put into the field, and labels of the run that were edited by hand, stay
    with their files; so do files that labels of other fields or datasets name, as copies of this
    one do. Labels of the run that were taken out before, or corrected, can still be put back, with
    their masks: such files stay until the labels are purged. Fields go where nothing is left in
    them. The record goes last.

    Parameters
    ----------
    dataset
        A FiftyOne dataset; not a view.
    run_id
        Which.

    Raises
    ------
    RunError
        If there is no such run, or its record is damaged.
    """
    run = find_run(dataset, run_id)
    documents = Documents(dataset)
    frames = FrameDocuments(dataset) if run.config.mode is Mode.VIDEO else None
    field = run.config.label_field
    before = _cleared(documents, frames, run)
    with fields_locked(dataset):
        for name in fields_beside(field):
            _drop_if_empty(dataset, documents, name)
        if run.created and frames is not None:
            if dataset.has_frame_field(field) and not frames.holds(field):
                dataset.delete_frame_field(field)
        elif run.created:
            _drop_if_empty(dataset, documents, field)
    forget(dataset, run_id)
    after = _cleared(documents, frames, run)  # another process may have written until now
    return Deleted(*map(sum, zip(astuple(before), astuple(after), strict=True)))


def _cleared(documents: Documents, frames: FrameDocuments | None, run: Run) -> Deleted:
    """Remove what there is of a run by now, and its files that nothing names."""
    samples = labels = kept = 0
    while left := [*documents.written_by(run), *(frames.written_by(run) if frames else ())]:
        for part in _chunks(list(dict.fromkeys(left))):
            if frames is not None:
                of_frames = [frames.take_away(run, sample_id) for sample_id in part]
                labels += sum(gone for gone, _ in of_frames)
                kept += sum(stayed for _, stayed in of_frames)
            named: dict[str, list[Any]] = {}
            for sample_id, found in documents.labels(part, run.config.label_field):
                own = [each for each in found if of_run(each, run.run_id)]
                named[sample_id] = [each["_id"] for each in own if not edited(each, run.files)]
                kept += len(own) - len(named[sample_id])
            documents.take_away(run, named, datetime.now(UTC))
            samples, labels = samples + len(named), labels + sum(map(len, named.values()))
    files = run.files.remove_all(files_named(run.files.folder)) if run.files.samples() else 0
    if frames is not None:
        frames.remove_empty(run)
    return Deleted(samples=samples, labels=labels, files=files, kept=kept)


def _drop_if_empty(dataset: Any, documents: Documents, field: str) -> None:
    if dataset.has_sample_field(field) and not documents.holds(field):
        dataset.delete_sample_field(field)


def _chunks(ids: list[str], count: int = 100) -> list[list[str]]:
    return [ids[start : start + count] for start in range(0, len(ids), count)]
