"""A dataset or a view as something whose samples and labels are read and written in batches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.labels import film_size
from fiftyone_plugin.quality.places import LabelPlace
from fiftyone_plugin.runs import WorkProgress, fields_locked
from sam_plugins.types import Size

__all__ = [
    "declare",
    "ensure_sizes",
    "frame_numbers",
    "iter_batches",
    "read_document",
    "sample_ids_of",
    "size_of",
    "stopping",
    "write_attributes",
]

Attributes = Mapping[str, Any]


class _Stoppable(Protocol):
    """What is told whether work was stopped before its end."""

    stopped: bool


def stopping(told: _Stoppable, stop: Callable[[], bool] | None) -> Callable[[], bool]:
    """`stop`, which leaves in what is told that it said so."""

    def asked() -> bool:
        told.stopped = told.stopped or (stop is not None and stop())
        return told.stopped

    return asked


def sample_ids_of(collection: Any) -> list[str]:
    """Ids of the dataset's samples that a view shows something of, each once, in its order."""
    path = "sample_id" if collection._is_generated else "id"
    return list(dict.fromkeys(collection.values(path)))


def declare(dataset: Any, label_field: str, attributes: Mapping[str, type]) -> None:
    """Make attributes of a field of Detections known to the dataset, for filters and views.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        A field of Detections, of samples or of frames.
    attributes
        Type of each: bool, int, float, str, or list for a list of strings.

    Raises
    ------
    FieldError
        If the dataset has one of them with another type. Whole numbers may stand in a field of
        float.
    """
    import fiftyone as fo

    kinds: dict[type, Any] = {
        bool: fo.BooleanField,
        int: fo.IntField,
        float: fo.FloatField,
        str: fo.StringField,
        list: fo.ListField,
    }
    place = LabelPlace(dataset, label_field)
    missing = []
    for name, kind in attributes.items():
        known = place.attribute(name)
        if known is None:
            missing.append((name, kind))
        elif not isinstance(known, kinds[kind]) and not (
            kind is int and isinstance(known, fo.FloatField)
        ):
            raise FieldError(
                f"Expected the attribute '{label_field}.detections.{name}' to be free or "
                f"{kinds[kind].__name__}, found {type(known).__name__}: rename it."
            )
    if not missing:
        return
    with fields_locked(dataset):
        for name, kind in missing:
            if place.attribute(name) is None:
                extra = {"subfield": fo.StringField} if kind is list else {}
                place.add_field(f"detections.{name}", kinds[kind], **extra)


def ensure_sizes(dataset: Any, ids: list[str]) -> None:
    """Give metadata to those samples that have none; pictures that cannot be read stay without."""
    dataset.select(ids).exists("metadata", False).compute_metadata(
        skip_failures=True, warn_failures=False, progress=False, num_workers=1
    )


def iter_batches(
    dataset: Any,
    ids: list[str],
    fields: list[str],
    *,
    size: int,
    label: str,
    progress: Callable[[WorkProgress], None] | None,
    stop: Callable[[], bool] | None,
    attributes: Sequence[str] = (),
) -> Iterator[list[dict[str, Any]]]:
    """The documents that hold the labels of some samples, as the database has them, some at a time.

    FiftyOne's own objects take longer to make than a mask to judge. Samples that were deleted
    meanwhile are left out. Between batches progress is told, and it ends where `stop` says so.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    ids
        Of samples.
    fields
        Of Detections, all of samples or all of frames. Only they and the picture's size are read.
        Fields of frames give the documents of frames that have labels in one of them: one video
        after the other, in the order of its frames, with the size of the video's frames and its id
        as `_sample_id`.
    size
        Documents of a batch.
    label
        What is being done, for people.
    progress, stop
        Called and asked before each batch.
    attributes
        What to read of each label, besides its id; nothing named means everything.
    """
    places = [LabelPlace(dataset, name) for name in fields]
    inner = [f".detections.{name}" for name in ("_id", *attributes)] if attributes else [""]
    shown = [place.name + path for place in places for path in inner]
    read = _of_frames if places[0].in_frames else _of_samples
    for done, documents in read(places, ids, shown, size):
        if stop is not None and stop():
            return
        if progress is not None:
            progress(WorkProgress(done=done, total=len(ids), objects=0, label=label))
        yield documents()
    if progress is not None:
        progress(WorkProgress(done=len(ids), total=len(ids), objects=0, label=label))


_Batches = Iterator[tuple[int, Callable[[], list[dict[str, Any]]]]]
"""How many samples are done, and what reads the next documents."""


def _of_samples(
    places: Sequence[LabelPlace], ids: list[str], shown: Sequence[str], size: int
) -> _Batches:
    from bson import ObjectId

    wanted = dict.fromkeys((*shown, "metadata.height", "metadata.width"), True)
    for start in range(0, len(ids), size):
        query = {"_id": {"$in": [ObjectId(each) for each in ids[start : start + size]]}}
        yield start, partial(_found, places[0], query, wanted)


def _of_frames(
    places: Sequence[LabelPlace], ids: list[str], shown: Sequence[str], size: int
) -> _Batches:
    from bson import ObjectId

    wanted = dict.fromkeys((*shown, "_sample_id", "frame_number"), True)
    for done, sample_id in enumerate(ids):
        numbers = frame_numbers(places, sample_id)
        metadata = _frame_metadata(places[0].dataset, sample_id) if numbers else {}
        for start in range(0, len(numbers), size):
            some = {"$in": numbers[start : start + size]}
            query = {"_sample_id": ObjectId(sample_id), "frame_number": some}
            yield done, partial(_found, places[0], query, wanted, metadata)


def _found(
    place: LabelPlace, query: Any, wanted: Any, metadata: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Documents, those of frames in their order and with the size of their pictures."""
    if metadata is None:
        return list(place.documents.find(query, wanted))
    found = place.documents.find(query, wanted).sort("frame_number", 1)
    return [{**each, "metadata": metadata} for each in found]


def read_document(place: LabelPlace, holder_id: str) -> dict[str, Any]:
    """One document as those of `iter_batches`; empty where it is gone."""
    from bson import ObjectId

    shown = (place.name, "metadata.height", "metadata.width", "_sample_id", "frame_number")
    query = {"_id": ObjectId(holder_id)}
    found: dict[str, Any] = place.documents.find_one(query, dict.fromkeys(shown, True)) or {}
    if found and place.in_frames:
        found["metadata"] = _frame_metadata(place.dataset, str(found["_sample_id"]))
    return found


def frame_numbers(places: Sequence[LabelPlace], sample_id: str) -> list[int]:
    """Frames of a video that have labels in one of some fields, in order."""
    from bson import ObjectId

    some = [{f"{place.path}.0": {"$exists": True}} for place in places]
    query = {"_sample_id": ObjectId(sample_id), "$or": some}
    found = places[0].documents.find(query, {"_id": False, "frame_number": True})
    return sorted(int(each["frame_number"]) for each in found)


def _frame_metadata(dataset: Any, sample_id: str) -> dict[str, Any]:
    """The size of a video's frames as that of a picture: what a frame shows, else what is known."""
    from bson import ObjectId

    wanted = {"filepath": True, "metadata": True}
    sample = dataset._sample_collection.find_one({"_id": ObjectId(sample_id)}, wanted) or {}
    query = {"_sample_id": ObjectId(sample_id), "filepath": {"$type": "string"}}
    frame = dataset._frame_collection.find_one(query, {"filepath": True}) or {}
    try:
        size = film_size(str(sample.get("filepath")), frame.get("filepath"))
    except SampleError:
        known = sample.get("metadata") or {}
        return {"height": known.get("frame_height"), "width": known.get("frame_width")}
    return {"height": size[0], "width": size[1]}


def size_of(sample: Mapping[str, Any]) -> Size | None:
    """(H, W) of a sample's picture, as the database has it; None if it is not known."""
    metadata = sample.get("metadata") or {}
    height, width = metadata.get("height"), metadata.get("width")
    return (height, width) if height and width else None


def write_attributes(
    dataset: Any, label_field: str, values: Mapping[str, Mapping[str, Attributes]]
) -> None:
    """Set attributes of labels, all those of one document in one update.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        A field of Detections, of samples or of frames.
    values
        By id of the sample or frame, by label id, by name. Labels that were deleted meanwhile stay
        so, and other attributes are not touched.
    """
    from bson import ObjectId
    from pymongo import UpdateOne

    place = LabelPlace(dataset, label_field)
    updates = []
    now = datetime.now(UTC).replace(tzinfo=None)
    for document_id, labels in values.items():
        changes: dict[str, Any] = {"last_modified_at": now}
        filters: list[Mapping[str, Any]] = []
        for number, (label_id, attributes) in enumerate(labels.items()):
            if attributes:
                filters.append({f"l{number}._id": ObjectId(label_id)})
                root = f"{place.path}.$[l{number}]."
                changes.update({root + name: value for name, value in attributes.items()})
        if filters:
            updates.append(
                UpdateOne({"_id": ObjectId(document_id)}, {"$set": changes}, array_filters=filters)
            )
    place.write(updates, list(values))
