"""Masks from files into a field of a dataset: one update of each sample's document.

Masks become files where they are too large for the document, decided by `storage`. Only one mask
at a time is ever unpacked.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.exchange.values import ExchangedObject
from fiftyone_plugin.geometry import pixels_to_relative_box
from fiftyone_plugin.storage import (
    DOCUMENT_LIMIT,
    MaskFiles,
    files_folder,
    files_in_use,
    fits_file,
    inline_bytes,
    room_for,
)
from sam_plugins.formats import rle_to_crop
from sam_plugins.types import Size

__all__ = ["FieldWriter", "SampleLabels"]

_SAMPLES = 100
_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class SampleLabels:
    """Labels of a sample as documents, and when the sample was last changed."""

    labels: tuple[dict[str, Any], ...]
    modified: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    sample_id: str
    query: Mapping[str, Any]
    labels: list[dict[str, Any]]
    present: frozenset[Path]


class FieldWriter:
    """Writes the labels of samples into one field, in batches.

    Parameters
    ----------
    dataset
        Of FiftyOne.
    field
        A new field, or one of Detections.
    overwrite
        Whether labels that are in it may be replaced.
    max_inline_bytes, folder
        When masks become files, and where; empty is FiftyOne's own folder.

    Raises
    ------
    FieldError
        If the field holds something else, or labels that may not be replaced.
    """

    def __init__(
        self, dataset: Any, field: str, *, overwrite: bool, max_inline_bytes: int, folder: str
    ) -> None:
        _check(dataset, field, overwrite)
        self._dataset, self._field = dataset, field
        self._collection = dataset._sample_collection
        self._most_inline = max_inline_bytes
        own = hashlib.sha256(f"{dataset._doc.id}\0{field}".encode()).hexdigest()[:16]
        self._files = MaskFiles(files_folder(dataset, field, folder), f"import_{own}")
        declared = dataset.get_field(f"{field}.detections").field.get_field_schema()
        self._declared: Mapping[str, Any] = declared
        self._batch: list[_Write] = []
        self._bytes = 0
        self.lost: list[str] = []
        """Samples that were not written: somebody else has changed or deleted them meanwhile."""

    @property
    def field(self) -> str:
        """The field that is written."""
        return self._field

    def labels_of(self, sample_id: str, field: str) -> SampleLabels | None:
        """The labels of a field of a sample as they are stored; None if there is no such sample."""
        from bson import ObjectId

        if not ObjectId.is_valid(sample_id):
            return None
        wanted = {field: 1, "last_modified_at": 1}
        found = self._collection.find_one({"_id": ObjectId(sample_id)}, wanted)
        if found is None:
            return None
        labels = (found.get(field) or {}).get("detections") or ()
        return SampleLabels(tuple(labels), found.get("last_modified_at"))

    def add(
        self,
        sample_id: str,
        size: Size,
        objects: Sequence[ExchangedObject],
        *,
        kept: Sequence[dict[str, Any]] = (),
        order: Sequence[str] = (),
        modified: datetime | None = None,
    ) -> int:
        """Take the labels of one sample, in place of those that it has in the field.

        Parameters
        ----------
        sample_id
            Which.
        size
            (H, W) of its picture.
        objects
            Those without pixels are left out.
        kept
            Labels as documents, which are written as they are.
        order
            Ids of labels: these come first, in this order.
        modified
            Write only if the sample has not been changed since; None writes at any rate.

        Returns
        -------
        How many labels it gets.

        Raises
        ------
        SampleError
            If they do not fit into a document even without their masks, or the sample is gone.
        """
        from bson import ObjectId

        wanted = [each for each in objects if each.area]
        labels = list(kept)
        total = sum(len(_encoded(label)) for label in labels)
        room = room_for(self._size(sample_id) + total, self._most_inline)
        inline = inline_bytes(_crops(wanted), room.inline) <= room.inline
        present = self._files.present(sample_id)
        added = 0
        try:
            for number, each in enumerate(wanted):
                label = self._label(sample_id, number, each, size, inline=inline)
                labels.append(label)
                added += len(_encoded(label))
                if added > room.labels:
                    raise SampleError(
                        f"Expected labels of at most {room.labels >> 10} KB for one picture, found "
                        f"more in its {len(wanted)} labels: leave some out."
                    )
        except SampleError:
            self._files.remove(_paths(labels) - present)
            raise
        places = {label_id: place for place, label_id in enumerate(order)}
        labels.sort(key=lambda label: places.get(str(label["_id"]), len(places)))
        query: dict[str, Any] = {"_id": ObjectId(sample_id)}
        if modified is not None:
            query["last_modified_at"] = modified
        self._batch.append(_Write(sample_id, query, labels, present))
        self._bytes += total + added
        if len(self._batch) >= _SAMPLES or self._bytes >= _BYTES:
            self.flush()
        return len(labels)

    def flush(self) -> None:
        """Write what was taken; then files that no label names any more are removed."""
        from pymongo import UpdateOne

        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        updates = [UpdateOne(each.query, self._update(each, now)) for each in batch]
        result = self._collection.bulk_write(updates, ordered=False)
        written = {each.sample_id for each in batch}
        if result.matched_count < len(batch):
            ids = [each.query["_id"] for each in batch]
            query = {"_id": {"$in": ids}, "last_modified_at": now}
            written = {str(each["_id"]) for each in self._collection.find(query, {"_id": 1})}
        for each in batch:
            named = _paths(each.labels)
            if each.sample_id in written:
                left = each.present - named
                used = files_in_use(self._files.folder, [each.sample_id]) if left else frozenset()
                self._files.remove(left - used)
            else:
                self.lost.append(each.sample_id)
                self._files.remove(named - each.present)

    def _update(self, write: _Write, now: datetime) -> dict[str, Any]:
        labels = {"_cls": "Detections", "detections": write.labels}
        return {"$set": {self._field: labels, "last_modified_at": now}}

    def finish(self) -> None:
        """Write what is left, and declare the attributes: the App shows and filters them then."""
        self.flush()
        self._dataset.reload()
        self._dataset.add_dynamic_sample_fields(fields=[self._field])

    def _label(
        self, sample_id: str, number: int, each: ExchangedObject, size: Size, *, inline: bool
    ) -> dict[str, Any]:
        import fiftyone.core.labels as fol

        crop, box = rle_to_crop(each.segmentation)
        values = {k: v for k, v in each.attributes.items() if self._fits(k, v)}
        if self._fits("area", each.area):
            values["area"] = each.area
        if inline or not fits_file(crop):
            values["mask"] = np.ascontiguousarray(crop, dtype=bool)
        else:
            path = self._files.write(sample_id, each.label_id, number, crop)
            values["mask_path"] = str(path)
        detection = fol.Detection(
            id=each.label_id or self._identity(sample_id, number),
            label=each.label,
            bounding_box=pixels_to_relative_box(box, size),
            confidence=each.confidence,
            index=each.index,
            tags=list(each.tags),
            **values,
        )
        label: dict[str, Any] = detection.to_dict()
        return label

    def _fits(self, name: str, value: Any) -> bool:
        """Whether an attribute is of the type that the dataset declares for it, if it does."""
        known = self._declared.get(name)
        try:
            if known is not None:
                known.validate(value)
        except Exception:  # of MongoEngine, or whatever a strange value provokes in it
            return False
        return True

    def _identity(self, sample_id: str, number: int) -> str:
        """An id that follows from the place, so that importing again writes the same label."""
        content = f"{self._field}\0{sample_id}\0{number}"
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    def _size(self, sample_id: str) -> int:
        """Bytes of a sample's document without the field."""
        from bson import ObjectId

        rest = {"$unsetField": {"field": self._field, "input": "$$ROOT"}}
        stages = [
            {"$match": {"_id": ObjectId(sample_id)}},
            {"$project": {"size": {"$bsonSize": rest}}},
        ]
        found: Mapping[str, Any] | None = next(iter(self._collection.aggregate(stages)), None)
        if found is None:
            raise SampleError("The sample is not in the dataset any more: it was deleted.")
        return min(int(found["size"]), DOCUMENT_LIMIT)


def _check(dataset: Any, field: str, overwrite: bool) -> None:
    import fiftyone as fo

    if not field.isidentifier() or field.startswith("_"):
        raise FieldError(
            f"Expected a name of letters, digits and _ for the new labels, found {field!r}."
        )
    known = dataset.get_field_schema()
    if field not in known:
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
        return
    if getattr(known[field], "document_type", None) is not fo.Detections:
        raise FieldError(
            f"Expected a new field, or one of Detections, for the masks, found {field!r}, which "
            "holds something else: choose another name."
        )
    if not overwrite and dataset._sample_collection.find_one({field: {"$ne": None}}, {"_id": 1}):
        raise FieldError(
            f"Expected a new field for the masks, found {field!r}, which holds labels: choose "
            "another name, or agree to replace them."
        )


def _crops(objects: Iterable[ExchangedObject]) -> Iterator[NDArray[np.bool_]]:
    return (rle_to_crop(each.segmentation)[0] for each in objects)


def _paths(labels: Iterable[Mapping[str, Any]]) -> frozenset[Path]:
    return frozenset(Path(label["mask_path"]) for label in labels if label.get("mask_path"))


def _encoded(label: Mapping[str, Any]) -> bytes:
    import bson

    return bytes(bson.encode(label))
