"""Labels that are taken out of a dataset, or changed, and can be put back until they are purged.

What goes is first written into FiftyOne's store of the dataset, sample by sample, and then taken
out: whatever kills the program, a label is in at least one of the two places. Files of masks stay
as long as a label can be put back, also those of a run that was deleted meanwhile.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import ReviewError, SampleError
from fiftyone_plugin.fields import (
    BOX_IOU,
    DUPLICATE_OF,
    DUPLICATES,
    FINDINGS,
    RAGGEDNESS,
    REMOVED_STORE,
    REVIEW,
    RUN_ID,
)
from fiftyone_plugin.quality.people import this_user
from fiftyone_plugin.quality.places import LabelPlace, place_of, root_of
from fiftyone_plugin.quality.references import LabelRef, by_sample, find_labels
from fiftyone_plugin.quality.updates import (
    change_labels,
    ensure_holder,
    frames_of,
    is_there,
    push_label,
)
from fiftyone_plugin.runs import list_runs
from fiftyone_plugin.storage import MaskFiles, files_named, is_slug

__all__ = ["Removal", "Restored", "list_removals", "purge", "remove_labels", "restore"]

_BATCH = 100
_CHANGED_BY = "changed_by"

_MASK = ("mask", "mask_path", "bounding_box")
"""What a label's mask is: where it is another by now, somebody has changed it."""

_MERGED = (
    *(*_MASK, "area", "components", "holes", "touches_border", RAGGEDNESS),
    *(DUPLICATES, DUPLICATE_OF, BOX_IOU, FINDINGS),
)
"""What merging duplicates, and judging again, write into the one that stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Labels that were taken out in one go.

    Parameters
    ----------
    removal_id
        Names it.
    label_field
        Where they were.
    reason
        Why, for people.
    removed, changed
        How many labels are gone, and how many differ from before.
    made_at, made_by
        UTC time in ISO 8601, and who did it.
    """

    removal_id: str
    label_field: str
    reason: str
    removed: int
    changed: int
    made_at: str
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What putting back did.

    Parameters
    ----------
    labels
        That are back, or have again what they had.
    kept
        That are there, or whose masks were changed since by somebody, and were left alone.
    missing
        Whose samples are gone. They stay in the record, until they are purged.
    """

    labels: int
    kept: int
    missing: int = 0


def remove_labels(
    collection: Any,
    label_field: str,
    refs: Sequence[LabelRef],
    *,
    reason: str,
    made_by: str = "",
    only: Mapping[str, Any] | None = None,
    changes: Mapping[LabelRef, Callable[[Mapping[str, Any]], Mapping[str, Any]]] | None = None,
) -> Removal:
    """Take labels out of a dataset, with a record of them.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view; the labels are those of its dataset.
    label_field
        A field of Detections.
    refs
        Labels to take out. Those that are gone already are passed over.
    reason, made_by
        For the record; the second is the user of this computer by default.
    only
        Attributes and values that a label must still have at the moment it is taken out.
    changes
        Labels that take over something: from the document as it is, the attributes to set. Each is
        recorded as it was. A sample where one raises a SampleError stays as it is.
    """
    place = place_of(collection, label_field)
    dataset = place.dataset
    store = _store(dataset)
    removal_id = uuid.uuid4().hex
    changes = changes or {}
    record = Removal(
        removal_id=removal_id,
        label_field=place.field,
        reason=reason,
        removed=0,
        changed=0,
        made_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        made_by=made_by or this_user(),
    )
    store.set(removal_id, asdict(record))
    removed = changed = 0
    samples = list(by_sample([*refs, *changes]).items())
    gone = set(refs)
    for start in range(0, len(samples), _BATCH):
        part = dict(samples[start : start + _BATCH])
        frames = frames_of(place, part)
        for sample_id, documents in find_labels(dataset, place.field, part).items():
            by_ref = {LabelRef(sample_id, str(each["_id"])): each for each in documents}
            going = [
                document
                for ref, document in by_ref.items()
                if ref in gone
                and all(document.get(name) == value for name, value in (only or {}).items())
            ]
            try:
                differing = [
                    (document, dict(changes[ref](document)))
                    for ref, document in by_ref.items()
                    if ref in changes and ref not in gone
                ]
            except SampleError:
                continue
            if going or differing:
                where = {"sample_id": sample_id, **frames.get(sample_id, {})}
                changed_from = [document for document, _ in differing]
                written = [values for _, values in differing]
                kept = {"removed": going, "changed": changed_from, "written": written}
                store.set(f"{removal_id}/{sample_id}", {**where, **kept})
                _change(place, sample_id, removal_id, differing)
                _pull(place, sample_id, going, only or {})
                removed += len(going)
                changed += len(differing)
    record = Removal(**{**asdict(record), "removed": removed, "changed": changed})
    if removed or changed:
        store.set(removal_id, asdict(record))
    else:
        store.delete(removal_id)
    dataset.reload()
    return record


def list_removals(collection: Any) -> list[Removal]:
    """What can be put back, the latest first."""
    store = _store(root_of(collection))
    found = [store.get(key) for key in store.list_keys() if "/" not in key]
    removals = [Removal(**value) for value in found if value is not None]
    return sorted(removals, key=lambda removal: removal.made_at, reverse=True)


def restore(collection: Any, removal_id: str) -> Restored:
    """Put labels back as they were, and forget the record.

    A field or a frame that is gone is made again. A label that is there already stays, and one
    whose mask somebody has changed since is left alone. Of the others that took over something,
    that is taken back; what was said of them since, such as reviews and tags, stays. What has no
    sample any more stays in the record. Stopped in between, it can be called again.

    Raises
    ------
    ReviewError
        If there is no such record.
    FieldError
        If the field holds something else by now.
    """
    dataset = root_of(collection)
    store = _store(dataset)
    record = _record(store, removal_id)
    place = _ensured(dataset, record.label_field)
    labels = kept = 0
    missing = Counter[str]()
    for key in _parts(store, removal_id):
        part = store.get(key)
        if part is None:
            continue
        holder_id = ensure_holder(place, part["sample_id"], part)
        removed = [push_label(place, holder_id, document) for document in part["removed"]]
        written = part.get("written") or [None] * len(part["changed"])
        changed = [
            _put(place, holder_id, removal_id, *each)
            for each in zip(part["changed"], written, strict=True)
        ]
        labels += sum(removed) + sum(changed)
        if not is_there(place, holder_id):
            missing.update(removed=removed.count(False), changed=changed.count(False))
            continue
        kept += removed.count(False) + changed.count(False)
        store.delete(key)
    if missing:
        store.set(removal_id, {**asdict(record), "removed": 0, "changed": 0, **missing})
    else:
        store.delete(removal_id)
    dataset.reload()
    return Restored(labels=labels, kept=kept, missing=missing.total())


def purge(collection: Any, removal_id: str) -> Removal:
    """Forget removed labels for good, with the files of masks that a deleted run left for them.

    Raises
    ------
    ReviewError
        If there is no such record.
    """
    dataset = root_of(collection)
    store = _store(dataset)
    record = _record(store, removal_id)
    files: dict[tuple[Path, str], set[Path]] = {}
    for key in _parts(store, removal_id):
        part = store.get(key) or {}
        for label in (*part.get("removed", ()), *part.get("changed", ())):
            path, run_id = label.get("mask_path"), label.get(RUN_ID)
            if path and isinstance(run_id, str) and is_slug(run_id):
                files.setdefault((Path(path).parent.parent.parent, run_id), set()).add(Path(path))
        store.delete(key)
    store.delete(removal_id)
    alive = {run.run_id for run in list_runs(dataset)}  # which look after their own files
    for (folder, run_id), paths in files.items():
        if run_id not in alive:
            of_run = MaskFiles(folder, run_id)
            of_run.remove(paths - files_named(of_run.folder))
    return record


def _store(dataset: Any) -> Any:
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create(REMOVED_STORE, dataset._doc.id)


def _record(store: Any, removal_id: str) -> Removal:
    value = store.get(removal_id) if removal_id and "/" not in removal_id else None
    if value is None:
        raise ReviewError(
            f"Expected a record of removed labels, found none named {removal_id!r}: it was put "
            "back or purged already."
        )
    return Removal(**value)


def _parts(store: Any, removal_id: str) -> list[str]:
    return [key for key in store.list_keys() if key.startswith(f"{removal_id}/")]


def _pull(
    place: LabelPlace,
    holder_id: str,
    documents: Sequence[Mapping[str, Any]],
    only: Mapping[str, Any],
) -> None:
    if documents:
        ids = [document["_id"] for document in documents]
        change_labels(place, holder_id, {"$pull": {place.path: {"_id": {"$in": ids}, **only}}})


def _change(
    place: LabelPlace,
    holder_id: str,
    removal_id: str,
    changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> None:
    for document, values in changes:
        written = {**values, _CHANGED_BY: removal_id}
        update = {f"{place.path}.$.{name}": value for name, value in written.items()}
        there = {place.path: {"$elemMatch": {"_id": document["_id"]}}}
        change_labels(place, holder_id, {"$set": update}, there)


def _put(
    place: LabelPlace,
    holder_id: str,
    removal_id: str,
    document: Mapping[str, Any],
    written: Mapping[str, Any] | None,
) -> bool:
    """Put back what was written into a label, unless its mask is another since; whether it was.

    Parameters
    ----------
    place, holder_id, removal_id
        Which removal, and where.
    document
        The label as it was.
    written
        Attributes that were set. None, in records of before these were kept: then any of `_MERGED`
        may be, and the label is put back only if all others are still as they were.
    """
    if written is None:
        names: set[str] = set(_MERGED)
        same = {name: document.get(name) for name in {*document, REVIEW} - names - {_CHANGED_BY}}
    else:
        names = set(written)
        same = {name: {**document, **written}.get(name) for name in _MASK}
    ours = {**same, "_id": document["_id"], _CHANGED_BY: removal_id}
    update: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}}
    for name in sorted({*names, _CHANGED_BY}):
        way = "$set" if name in document else "$unset"
        update[way][f"{place.path}.$.{name}"] = document.get(name)
    return change_labels(place, holder_id, update, {place.path: {"$elemMatch": ours}})


def _ensured(dataset: Any, label_field: str) -> LabelPlace:
    """The field, declared: a run that was deleted took it with it."""
    import fiftyone as fo

    if dataset.get_field(label_field) is None:
        LabelPlace(dataset, label_field).add_field(
            "", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
        )
    return place_of(dataset, label_field)
