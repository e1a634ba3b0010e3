"""The samples' documents in MongoDB: the one place that goes below FiftyOne's own interface.

FiftyOne has no conditional update: `save_context` and `set_values` write whatever is in a document
by then, the latter field by field. Here labels, status, reason and run of a sample are one update
of one document, which happens only if nobody was faster.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fiftyone_plugin.fields import (
    PROMPT_ID,
    RUN_ID,
    asked_field,
    fields_beside,
    reason_field,
    run_field,
    status_field,
)
from fiftyone_plugin.runs.marks import of_run
from fiftyone_plugin.runs.memory import Memory, remembered
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.runs.stages import with_labels, without_labels
from fiftyone_plugin.values import Mode, Status

__all__ = ["Documents", "SampleState", "SampleWrite", "pictures_of"]


def pictures_of(dataset: Any, mode: Mode = Mode.PROMPTS) -> Any:
    """The samples of a dataset that are worked on: of a grouped one, the slices of pictures.

    In `Mode.VIDEO` its slices of videos.
    """
    if dataset.media_type == "group":
        wanted = "video" if mode is Mode.VIDEO else "image"
        return dataset.select_group_slices(media_type=wanted)
    return dataset


@dataclass(frozen=True, slots=True)
class SampleState:
    """What a sample's document says before it is worked on.

    Parameters
    ----------
    status
        What this run has made of it; None if it has not been here.
    modified
        When the document was last changed.
    size
        Bytes of the document.
    media_type
        "image", "video", ...
    of_view
        Whether this run has worked on it and may have left labels unasked that a view hid.
    """

    status: Status | None
    modified: datetime | None
    size: int
    media_type: str
    of_view: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleWrite:
    """What is written into one sample's document, in one update.

    Parameters
    ----------
    sample_id
        Which.
    before
        What it was when it was read; the update happens only if that still holds.
    status, reason
        What became of it; `reason` is empty where there is nothing to say.
    labels
        Detections as dicts, in place of those that this run wrote before; None leaves all labels
        as they are.
    kept
        Ids of labels of this run that stay as they are.
    memory
        What the run remembers of the sample from now on; None leaves that as it is.
    objects
        How many masks this call has written for it, in its document or in those of its frames.
    files
        Masks that were written as files for it.
    size
        Bytes of all that, about.
    """

    sample_id: str
    before: SampleState
    status: Status
    reason: str = ""
    labels: tuple[Mapping[str, Any], ...] | None = None
    kept: tuple[Any, ...] = ()
    memory: Memory | None = None
    objects: int = 0
    files: tuple[Path, ...] = ()
    size: int = 0


class Documents:
    """The documents of a dataset's samples.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    """

    def __init__(self, dataset: Any) -> None:
        self._collection = dataset._sample_collection
        self._dataset_id = dataset._doc.id

    def registered(self, run: Run) -> bool:
        """Whether the run's record is still there, in the database as it is now."""
        import fiftyone.core.odm as foo

        query = {"_id": self._dataset_id, f"runs.{run.run_id}": {"$exists": True}}
        return foo.get_db_conn().datasets.find_one(query, {"_id": 1}) is not None

    def states(self, ids: Sequence[str], run: Run) -> dict[str, SampleState]:
        """The state of each sample that there is."""
        field = run.config.label_field
        wanted = {
            "run": f"${run_field(field)}",
            "status": f"${status_field(field)}",
            "modified": "$last_modified_at",
            "media": "$_media_type",
            "size": {"$bsonSize": "$$ROOT"},
            "of_view": f"${asked_field(field)}.of_view",
        }
        stages = [{"$match": {"_id": {"$in": _object_ids(ids)}}}, {"$project": wanted}]
        found = {}
        for each in self._collection.aggregate(stages):
            mine = each.get("run") == run.run_id and each.get("status")
            found[str(each["_id"])] = SampleState(
                status=Status(each["status"]) if mine else None,
                modified=each.get("modified"),
                size=int(each["size"]),
                media_type=str(each.get("media") or "unknown"),
                of_view=bool(mine and each.get("of_view")),
            )
        return found

    def memories(self, ids: Sequence[str], run: Run) -> dict[str, Memory]:
        """What the run remembers of each sample that it has written."""
        field = run.config.label_field
        asked, owner = asked_field(field), run_field(field)
        wanted: dict[str, Any] = {
            f"{field}.detections.{name}": 1 for name in ("_id", PROMPT_ID, RUN_ID)
        }
        query = {"_id": {"$in": _object_ids(ids)}, owner: run.run_id}
        wanted["inline"] = _inline(run)
        found = self._collection.find(query, {**wanted, asked: 1})
        return {
            str(each["_id"]): remembered(
                each.get(asked),
                [label for label in _detections(each, field) if of_run(label, run.run_id)],
                int(each["inline"]),
            )
            for each in found
        }

    def unchanged(self, run: Run, sample_id: str, before: SampleState) -> bool:
        """Whether a write that is based on that state would still happen."""
        query = _unchanged(run, sample_id, before)
        return self._collection.find_one(query, {"_id": 1}) is not None

    def labels(
        self, ids: Sequence[str], field: str
    ) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
        """Samples with their Detections as dicts; few are held at once."""
        query = {"_id": {"$in": _object_ids(ids)}}
        for each in self._collection.find(query, {field: 1}, batch_size=8):
            yield str(each["_id"]), _detections(each, field)

    def mask_paths(self, ids: Sequence[str], field: str) -> dict[str, frozenset[Path]]:
        """The files that the labels of samples name."""
        wanted = {f"{field}.detections.mask_path": 1}
        return {
            str(each["_id"]): frozenset(
                Path(label["mask_path"])
                for label in _detections(each, field)
                if label.get("mask_path")
            )
            for each in self._collection.find({"_id": {"$in": _object_ids(ids)}}, wanted)
        }

    def labelled(self, field: str) -> int:
        """How many samples have labels in a field."""
        return int(self._collection.count_documents({f"{field}.detections.0": {"$exists": True}}))

    def counts(self, run: Run) -> dict[Status | None, int]:
        """How many samples this run has made what of; None counts pictures without a status."""
        owner, status = (name(run.config.label_field) for name in (run_field, status_field))
        stages = [
            {"$match": {owner: run.run_id}},
            {"$group": {"_id": f"${status}", "count": {"$sum": 1}}},
        ]
        counts: dict[Status | None, int] = dict.fromkeys(Status, 0)
        for each in self._collection.aggregate(stages):
            counts[Status(each["_id"])] = int(each["count"])
        media = "video" if run.config.mode is Mode.VIDEO else "image"
        left = {"_media_type": media, owner: {"$ne": run.run_id}}
        counts[None] = int(self._collection.count_documents(left))
        return counts

    def holds(self, field: str) -> bool:
        """Whether any sample has a value in a field."""
        return self._collection.find_one({field: {"$ne": None}}, {"_id": 1}) is not None

    def write(self, run: Run, writes: Sequence[SampleWrite], now: datetime) -> frozenset[str]:
        """Update documents, each in one step, and give the ids of those that were updated.

        The others were written by another process meanwhile, or are gone.

        Parameters
        ----------
        run
            Who writes.
        writes
            What; each sample once.
        now
            Becomes the time of their last change, in whole milliseconds.
        """
        from pymongo import UpdateOne

        updates = [
            UpdateOne(_unchanged(run, each.sample_id, each.before), _update(run, each, now))
            for each in writes
        ]
        result = self._collection.bulk_write(updates, ordered=False)
        ids = [each.sample_id for each in writes]
        if result.matched_count == len(updates):
            return frozenset(ids)
        query = {
            "_id": {"$in": _object_ids(ids)},
            run_field(run.config.label_field): run.run_id,
            "last_modified_at": now,
        }
        return frozenset(str(each["_id"]) for each in self._collection.find(query, {"_id": 1}))

    def written_by(self, run: Run) -> list[str]:
        """Ids of all samples that hold anything of a run."""
        field = run.config.label_field
        query = {
            "$or": [
                {run_field(field): run.run_id},
                {f"{field}.detections.{RUN_ID}": run.run_id},
            ]
        }
        return [str(each["_id"]) for each in self._collection.find(query, {"_id": 1})]

    def take_away(self, run: Run, gone: Mapping[str, Sequence[Any]], now: datetime) -> None:
        """Remove labels of a run and what it said of samples: one update of each document.

        Labels of the run that are not named stay, and belong to nobody then.

        Parameters
        ----------
        run
            Whose.
        gone
            {sample id: ids of labels}.
        now
            Becomes the time of their last change.
        """
        from pymongo import UpdateOne

        updates = [
            UpdateOne({"_id": _object_ids([sample_id])[0]}, _removal(run, label_ids, now))
            for sample_id, label_ids in gone.items()
        ]
        if updates:
            self._collection.bulk_write(updates, ordered=False)


def _object_ids(ids: Iterable[str]) -> list[Any]:
    from bson import ObjectId

    return [ObjectId(each) for each in ids if ObjectId.is_valid(each)]


def _detections(document: Mapping[str, Any] | None, field: str) -> list[Mapping[str, Any]]:
    value = (document or {}).get(field) or {}
    return list(value.get("detections") or ())


def _inline(run: Run) -> dict[str, Any]:
    """Bytes of masks in a document, of the labels of a run."""
    mine = {"$eq": [f"$$this.{RUN_ID}", run.run_id]}
    inline = {"$eq": [{"$type": "$$this.mask"}, "binData"]}
    size = {"$cond": [{"$and": [mine, inline]}, {"$binarySize": "$$this.mask"}, 0]}
    labels = {"$ifNull": [f"${run.config.label_field}.detections", []]}
    return {"$sum": {"$map": {"input": labels, "in": size}}}


def _removal(run: Run, label_ids: Sequence[Any], now: datetime) -> list[dict[str, Any]]:
    field = run.config.label_field
    own = {"$eq": [f"${run_field(field)}", run.run_id]}
    said = {name: {"$cond": [own, "$$REMOVE", f"${name}"]} for name in fields_beside(field)}
    return [*without_labels(run, label_ids), {"$set": {**said, "last_modified_at": now}}]


def _unchanged(run: Run, sample_id: str, before: SampleState) -> dict[str, Any]:
    """The query that finds the sample's document only if it still is as it was read."""
    (query,) = _object_ids([sample_id])
    owner = run_field(run.config.label_field)
    if before.status is None:
        return {"_id": query, owner: {"$ne": run.run_id}}
    return {"_id": query, owner: run.run_id, "last_modified_at": before.modified}


def _update(run: Run, write: SampleWrite, now: datetime) -> list[dict[str, Any]]:
    """Stages, in which what comes from outside is literal: "$" in a name means nothing."""
    field = run.config.label_field
    values: dict[str, Any] = {
        status_field(field): write.status.value,
        reason_field(field): {"$literal": write.reason or None},
        run_field(field): run.run_id,
        "last_modified_at": now,
    }
    if write.memory is not None:
        values[asked_field(field)] = {"$literal": write.memory.to_mongo()}
    if write.labels is not None:
        first = run.replaces and write.before.status is None
        values[field] = with_labels(run, write.labels, () if first else write.kept, alone=first)
    return [{"$set": values}]
