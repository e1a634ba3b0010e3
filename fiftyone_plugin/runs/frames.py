"""The documents of a video's frames, which MongoDB keeps in a collection of their own.

A video is done when its sample says so, and its sample says so last: until then its frames may hold
some of the labels, and the same work writes the same labels again.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.fields import PROMPT_ID, RUN_ID, WRITTEN
from fiftyone_plugin.runs.marks import edited, of_run, stays_or_mark
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.runs.stages import with_labels, without_labels

__all__ = ["FrameDocuments", "FrameState", "FrameWrite", "Tracks", "wanted"]

_OWN = ("_id", "_sample_id", "_dataset_id", "frame_number", "created_at", "last_modified_at")
"""What a frame's document holds that nobody has written anything to."""

_TOGETHER = 500
"""Frames that are deleted at once."""

_TRIES = 5
"""Times that frames are read again because somebody else has changed them meanwhile."""

Which = tuple[str, Any]
"""(label, index), which tells the objects of a video apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """What is asked of one video, and what may become of the labels that the run has there.

    Parameters
    ----------
    who
        By the id of a label that asks, its object as (label, index).
    found
        Frames that the run has written an object into before: where its label is gone, somebody has
        taken it out, and it does not come back.
    replaced
        Objects whose labels are written anew, because the work on the video never came to its end.
        Also of these, what somebody has edited or decided on stays.
    """

    who: Mapping[str, Which] = field(default_factory=dict)
    found: Mapping[Which, Collection[int]] = field(default_factory=dict)
    replaced: Collection[Which] = ()

    def of(self, label: Mapping[str, Any]) -> set[Which]:
        """The objects that a label of the run stands for: by its name, and by what asked for it.

        Two only where somebody has given it another class or index.
        """
        asked = self.who.get(str(label.get(PROMPT_ID)))
        return {_object(label)} | ({asked} if asked is not None else set())


@dataclass(frozen=True, slots=True)
class FrameState:
    """What a frame's document says before it is written.

    Parameters
    ----------
    modified
        When it was last changed.
    size
        Bytes of it, without the labels that may be replaced.
    inline
        Bytes of masks in it, of the run's labels that stay.
    marks
        Of each label of the run, by its id: what the run wrote, or "" where it stays at any rate.
    objects
        The objects whose labels stay, as of `Tracks.of`.
    """

    modified: datetime | None
    size: int = 0
    inline: int = 0
    marks: Mapping[Any, str] = field(default_factory=dict)
    objects: frozenset[Which] = frozenset()

    def kept(self, labels: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Ids of labels that stay as they are when the run writes others in their place.

        Those whose mark is "", and those that are found again as they are, with the tags and
        attributes that they were given since.
        """
        found = {label["_id"]: label[WRITTEN] for label in labels}
        return [each for each, mark in self.marks.items() if mark in ("", found.get(each))]


@dataclass(frozen=True, slots=True)
class FrameWrite:
    """What is written into one frame's document: Detections as dicts, in place of the run's own.

    `size` is their bytes.
    """

    number: int
    labels: tuple[Mapping[str, Any], ...]
    size: int = 0


class FrameDocuments:
    """The documents of a dataset's frames.

    Parameters
    ----------
    dataset
        A FiftyOne dataset that has videos.
    """

    def __init__(self, dataset: Any) -> None:
        self._collection = dataset._frame_collection
        self._dataset_id = dataset._doc.id

    # -- reading ------------------------------------------------------------------------------

    def states(
        self, run: Run, sample_id: str, numbers: Sequence[int], tracks: Tracks
    ) -> dict[int, FrameState]:
        """The state of each of these frames that has a document.

        Parameters
        ----------
        run, sample_id, numbers
            Whose labels, in which frames.
        tracks
            What is asked.
        """
        field = run.config.label_field
        query = {**_of(sample_id), "frame_number": {"$in": list(numbers)}}
        wanted = {
            "frame_number": 1,
            "last_modified_at": 1,
            "size": {"$bsonSize": "$$ROOT"},
            field: 1,
        }
        found = {}
        for each in self._collection.aggregate([{"$match": query}, {"$project": wanted}]):
            own = [label for label in _detections(each, field) if of_run(label, run.run_id)]
            found[int(each["frame_number"])] = _state(run, each, own, tracks)
        return found

    def numbers(self, run: Run, sample_id: str, *, of_others: bool) -> list[int]:
        """Frames of a video that hold labels of a run, or of anybody, in the run's field."""
        field = run.config.label_field
        holds: dict[str, Any] = {f"{field}.detections.{RUN_ID}": run.run_id}
        if of_others:
            holds = {f"{field}.detections.0": {"$exists": True}}
        found = self._collection.find({**_of(sample_id), **holds}, {"frame_number": 1})
        return sorted(int(each["frame_number"]) for each in found)

    def mask_paths(self, ids: Sequence[str], field: str) -> dict[str, frozenset[Path]]:
        """The files that the labels of videos name."""
        from bson import ObjectId

        query = {
            "_sample_id": {"$in": [ObjectId(each) for each in ids if ObjectId.is_valid(each)]},
            f"{field}.detections.mask_path": {"$ne": None},
        }
        wanted = {"_sample_id": 1, f"{field}.detections.mask_path": 1}
        found: dict[str, set[Path]] = {each: set() for each in ids}
        for each in self._collection.find(query, wanted):
            paths = [label.get("mask_path") for label in _detections(each, field)]
            found[str(each["_sample_id"])] |= {Path(path) for path in paths if path}
        return {each: frozenset(paths) for each, paths in found.items()}

    def labelled(self, field: str) -> int:
        """In how many videos frames have labels in a field."""
        query = {f"{field}.detections.0": {"$exists": True}}
        return len(self._collection.distinct("_sample_id", query))

    def holds(self, field: str) -> bool:
        """Whether any frame has a value in a field."""
        return self._collection.find_one({field: {"$ne": None}}, {"_id": 1}) is not None

    def written_by(self, run: Run) -> list[str]:
        """Ids of all samples with frames that hold labels of a run."""
        field = run.config.label_field
        query = {f"{field}.detections.{RUN_ID}": run.run_id}
        return [str(each) for each in self._collection.distinct("_sample_id", query)]

    # -- writing ------------------------------------------------------------------------------

    def write(
        self,
        run: Run,
        sample_id: str,
        writes: Sequence[FrameWrite],
        tracks: Tracks,
        *,
        alone: bool,
    ) -> None:
        """Update frames, each in one step; those without a document get one.

        Writing twice is writing once. A frame that somebody changes meanwhile is looked at again,
        so that labels which were edited by hand, or decided on, stay.

        Parameters
        ----------
        run, sample_id
            Who writes, and into which video.
        writes
            What; each frame once.
        tracks
            What is asked.
        alone
            Whether labels of others in the field go.

        Raises
        ------
        SampleError
            If others change the same frames all the time.
        """
        from pymongo import UpdateOne

        for _ in range(_TRIES):
            self._add(run, sample_id, [each.number for each in writes if each.labels])
            states = self.states(run, sample_id, [each.number for each in writes], tracks)
            now = _now()
            updates = []
            for each in writes:
                if (state := states.get(each.number)) is None:
                    continue
                kept = state.kept(each.labels)
                new = wanted(each.labels, each.number, state, tracks)
                labels = [label for label in new if label["_id"] not in kept]
                if not labels and not alone and len(kept) == len(state.marks):
                    continue
                value = with_labels(run, labels, kept, alone=alone)
                query = {
                    **_of(sample_id),
                    "frame_number": each.number,
                    "last_modified_at": state.modified,
                }
                stages = [{"$set": {run.config.label_field: value, "last_modified_at": now}}]
                updates.append(UpdateOne(query, stages))
            if not updates:
                return
            result = self._collection.bulk_write(updates, ordered=False)
            if result.matched_count == len(updates):
                return
        raise SampleError(
            "Expected to be alone with the frames of this video, found that they change all the "
            "time: wait until the other work on them is done, then try again."
        )

    def _add(self, run: Run, sample_id: str, numbers: Sequence[int]) -> None:
        """Documents for those frames that have none, with ids that say that the run made them."""
        from pymongo import UpdateOne

        if not numbers:
            return
        now = _now()
        adding = [
            UpdateOne(
                {**_of(sample_id), "frame_number": number},
                {
                    "$setOnInsert": {
                        "_id": _frame_id(run, sample_id, number),
                        "_dataset_id": self._dataset_id,
                        "created_at": now,
                        "last_modified_at": now,
                    }
                },
                upsert=True,
            )
            for number in numbers
        ]
        self._collection.bulk_write(adding, ordered=False)

    # -- taking away --------------------------------------------------------------------------

    def take_away(self, run: Run, sample_id: str) -> tuple[int, int]:
        """Remove a run's labels from a video's frames, and frames that it made and that are empty.

        Returns
        -------
        gone, kept
            Labels that were removed, and those that stay because somebody has edited them.
        """
        field = run.config.label_field
        gone = kept = 0
        query = {**_of(sample_id), f"{field}.detections.{RUN_ID}": run.run_id}
        for frame in self._collection.find(query, {field: 1}):
            own = [each for each in _detections(frame, field) if of_run(each, run.run_id)]
            ids = [each["_id"] for each in own if not edited(each, run.files)]
            stages = [*without_labels(run, ids), {"$set": {"last_modified_at": _now()}}]
            self._collection.update_one({"_id": frame["_id"]}, stages)
            gone, kept = gone + len(ids), kept + len(own) - len(ids)
        return gone, kept

    def remove_empty(self, run: Run) -> None:
        """Delete frames that a run made and that hold nothing, of all videos."""
        there = {"input": {"$objectToArray": "$$ROOT"}, "cond": {"$ne": ["$$this.v", None]}}
        names = {"$map": {"input": {"$filter": there}, "in": "$$this.k"}}
        empty = {"$expr": {"$setIsSubset": [names, list(_OWN)]}}
        wanted = {"_sample_id": 1, "frame_number": 1}
        made: list[Any] = []
        for each in self._collection.find(empty, wanted):
            if each["_id"] == _frame_id(run, str(each["_sample_id"]), int(each["frame_number"])):
                made.append(each["_id"])
            if len(made) == _TOGETHER:
                self._remove(made, empty)
                made = []
        self._remove(made, empty)

    def _remove(self, ids: Sequence[Any], empty: Mapping[str, Any]) -> None:
        """Delete frames that are empty, and let go of FiftyOne's objects of them, as it does."""
        from fiftyone.core.frame import Frame

        if ids:
            self._collection.delete_many({"_id": {"$in": list(ids)}, **empty})
            Frame._reset_docs_by_frame_id(self._collection.name, ids)


def wanted(
    labels: Sequence[Mapping[str, Any]], number: int, state: FrameState | None, tracks: Tracks
) -> list[Mapping[str, Any]]:
    """The labels that a frame is to get: none of an object that has one there, or had one.

    Parameters
    ----------
    labels
        Detections as dicts: what was found.
    number, state
        The frame; None where it has no document.
    tracks
        What is asked.
    """
    there = state.objects if state is not None else frozenset()
    return [
        label
        for label in labels
        if (which := _object(label)) not in there and number not in tracks.found.get(which, ())
    ]


def _state(
    run: Run, frame: Mapping[str, Any], own: Sequence[Mapping[str, Any]], tracks: Tracks
) -> FrameState:
    import bson

    marks, objects = {}, set[Which]()
    size, inline = int(frame["size"]), 0
    for label in own:
        mark = stays_or_mark(label, run.files) if _object(label) in tracks.replaced else ""
        marks[label["_id"]] = mark
        if mark:
            size -= len(bson.encode(label))
        else:
            objects |= tracks.of(label)
            inline += len(label.get("mask") or b"")
    return FrameState(
        modified=frame.get("last_modified_at"),
        size=size,
        inline=inline,
        marks=marks,
        objects=frozenset(objects),
    )


def _of(sample_id: str) -> dict[str, Any]:
    from bson import ObjectId

    return {"_sample_id": ObjectId(sample_id)}


def _frame_id(run: Run, sample_id: str, number: int) -> Any:
    from bson import ObjectId

    content = "\0".join((run.run_id, sample_id, str(number)))
    return ObjectId(hashlib.sha256(content.encode()).hexdigest()[:24])


def _object(label: Mapping[str, Any]) -> Which:
    return str(label.get("label")), label.get("index")


def _now() -> datetime:
    """In whole milliseconds, as MongoDB keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _detections(document: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    value = document.get(field) or {}
    return list(value.get("detections") or ())
