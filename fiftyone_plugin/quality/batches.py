"""A dataset or a view as something whose samples and labels are read and written in batches."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.runs import WorkProgress, fields_locked
from sam_plugins.types import Size

__all__ = [
    "check_detections",
    "declare",
    "ensure_sizes",
    "iter_batches",
    "root_of",
    "sample_ids_of",
    "size_of",
    "write_attributes",
]

Attributes = Mapping[str, Any]


def root_of(collection: Any) -> Any:
    """The dataset of a FiftyOne dataset or view."""
    return collection._root_dataset


def sample_ids_of(collection: Any) -> list[str]:
    """Ids of the dataset's samples that a view shows something of, each once, in its order."""
    path = "sample_id" if collection._is_generated else "id"
    return list(dict.fromkeys(collection.values(path)))


def check_detections(dataset: Any, label_field: str) -> None:
    """FieldError unless the field holds Detections of whole samples."""
    field = None if label_field.startswith("frames.") else dataset.get_field(label_field)
    kind = getattr(getattr(field, "document_type", None), "__name__", None)
    if kind == "Detections":
        return
    labels = dataset.get_field_schema(embedded_doc_type=_detections())
    raise FieldError(
        f"Expected a field of Detections, found {kind or 'nothing'} in {label_field!r}: name one "
        f"of {', '.join(sorted(labels)) or 'a dataset that has one'}; of a video's frames, work "
        "on dataset.to_frames()."
    )


def _detections() -> Any:
    import fiftyone as fo

    return fo.Detections


def declare(dataset: Any, label_field: str, attributes: Mapping[str, type]) -> None:
    """Make attributes of a field of Detections known to the dataset, for filters and views.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        A field of Detections.
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
    missing = []
    for name, kind in attributes.items():
        path = f"{label_field}.detections.{name}"
        known = dataset.get_field(path)
        if known is None:
            missing.append((path, kind))
        elif not isinstance(known, kinds[kind]) and not (
            kind is int and isinstance(known, fo.FloatField)
        ):
            raise FieldError(
                f"Expected the attribute {path!r} to be free or {kinds[kind].__name__}, found "
                f"{type(known).__name__}: rename it."
            )
    if not missing:
        return
    with fields_locked(dataset):
        for path, kind in missing:
            if dataset.get_field(path) is None:
                extra = {"subfield": fo.StringField} if kind is list else {}
                dataset.add_sample_field(path, kinds[kind], **extra)


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
) -> Iterator[list[dict[str, Any]]]:
    """The samples of a list of ids as the database has them, some at a time.

    FiftyOne's own objects take longer to make than a mask to judge. Samples that were deleted
    meanwhile are left out. Between batches progress is told, and it ends where `stop` says so.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    ids
        Of samples.
    fields
        Of Detections. Only they and the picture's size are read.
    size
        Samples of a batch.
    label
        What is being done, for people.
    progress, stop
        Called and asked before each batch.
    """
    from bson import ObjectId

    shown = dict.fromkeys((*fields, "metadata.height", "metadata.width"), True)
    for start in range(0, len(ids), size):
        if stop is not None and stop():
            return
        if progress is not None:
            progress(WorkProgress(done=start, total=len(ids), objects=0, label=label))
        wanted = [ObjectId(each) for each in ids[start : start + size]]
        yield list(dataset._sample_collection.find({"_id": {"$in": wanted}}, shown))
    if progress is not None:
        progress(WorkProgress(done=len(ids), total=len(ids), objects=0, label=label))


def size_of(sample: Mapping[str, Any]) -> Size | None:
    """(H, W) of a sample's picture, as the database has it; None if it is not known."""
    metadata = sample.get("metadata") or {}
    height, width = metadata.get("height"), metadata.get("width")
    return (height, width) if height and width else None


def write_attributes(
    dataset: Any, label_field: str, values: Mapping[str, Mapping[str, Attributes]]
) -> None:
    """Set attributes of labels, all those of one sample in one update.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        A field of Detections.
    values
        By sample id, by label id, by name. Labels that were deleted meanwhile stay so, and other
        attributes are not touched.
    """
    from bson import ObjectId
    from pymongo import UpdateOne

    updates = []
    now = datetime.now(UTC).replace(tzinfo=None)
    for sample_id, labels in values.items():
        changes: dict[str, Any] = {"last_modified_at": now}
        filters: list[Mapping[str, Any]] = []
        for number, (label_id, attributes) in enumerate(labels.items()):
            if attributes:
                filters.append({f"l{number}._id": ObjectId(label_id)})
                root = f"{label_field}.detections.$[l{number}]."
                changes.update({root + name: value for name, value in attributes.items()})
        if filters:
            updates.append(
                UpdateOne({"_id": ObjectId(sample_id)}, {"$set": changes}, array_filters=filters)
            )
    if updates:
        dataset._bulk_write(updates, ids=list(values))
