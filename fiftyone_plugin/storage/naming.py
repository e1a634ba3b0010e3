"""Which files of masks something still names: labels of any dataset, and what can be put back.

A run's files are not its field's alone: FiftyOne copies paths where a dataset or a field is cloned,
renamed or merged, and a label that was taken out or corrected comes back with its path.
"""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from fiftyone_plugin.fields import REMOVED_STORE, REPROMPT_STORE

__all__ = ["files_in_use", "files_named"]

_PATHS = {
    "fiftyone.core.labels.Detection": "mask_path",
    "fiftyone.core.labels.Detections": "detections.mask_path",
}
_REMOVED = ("value.removed.mask_path", "value.changed.mask_path")
"""Where a record of removed or changed labels names files."""


def files_named(folder: Path) -> frozenset[Path]:
    """Files below a folder that labels of any dataset name, also those that can be put back.

    Every document is looked at: this takes as long as a database is large.
    """
    found = [*_in_labels(folder, None), *_in_records(folder, None)]
    return frozenset(path for path in found if path.is_relative_to(folder))


def files_in_use(folder: Path, sample_ids: Collection[str]) -> frozenset[Path]:
    """Files below a folder that some samples name, also as they can be put back.

    Clones of a dataset keep the ids of its samples, so that theirs are among them.
    """
    found = [*_in_labels(folder, sample_ids), *_in_records(folder, sample_ids)]
    return frozenset(path for path in found if path.is_relative_to(folder))


def _in_labels(folder: Path, sample_ids: Collection[str] | None) -> Iterator[Path]:
    database = _database()
    for dataset in list(database.datasets.find({})):
        for kind in ("sample", "frame"):
            fields = dataset.get(f"{kind}_fields") or ()
            paths = [
                f"{each.get('db_field') or each['name']}.{_PATHS[each['embedded_doc_type']]}"
                for each in fields
                if each.get("embedded_doc_type") in _PATHS
            ]
            collection = dataset.get(f"{kind}_collection_name")
            if not paths or not collection:
                continue
            query: dict[str, Any] = {"$or": [{path: _below(folder)} for path in paths]}
            if sample_ids is not None:
                query["_id" if kind == "sample" else "_sample_id"] = {"$in": _ids(sample_ids)}
            for document in database[collection].find(query, dict.fromkeys(paths, 1)):
                yield from _named(document)


def _in_records(folder: Path, sample_ids: Collection[str] | None) -> Iterator[Path]:
    below = _below(folder)
    removed: dict[str, Any] = {
        "store_name": REMOVED_STORE,
        "$or": [{path: below} for path in _REMOVED],
    }
    # One store of steps for each sample; those of older versions are in one, with a key for each.
    corrected: dict[str, Any] = {"store_name": {"$regex": f"^{REPROMPT_STORE}(/|$)"}}
    if sample_ids is not None:  # of videos, removed labels are kept by their frames' ids
        stores = {"$in": [f"{REPROMPT_STORE}/{each}" for each in sample_ids]}
        among = {"store_name": REPROMPT_STORE, "key": {"$in": list(sample_ids)}}
        corrected = {"$or": [{"store_name": stores}, among]}
    records = _database()["execution_store"]
    for record in records.find(removed, dict.fromkeys(_REMOVED, 1)):
        yield from _named(record)
    for record in records.find(corrected, {"value.kept.former": 1}):
        for kept in (record.get("value") or {}).get("kept") or ():
            yield from _named(json.loads(kept.get("former") or "null"))


def _below(folder: Path) -> dict[str, str]:
    return {"$regex": "^" + re.escape(f"{folder}{os.sep}")}


def _named(value: Any) -> Iterator[Path]:
    """Every mask_path in documents and lists, however deep."""
    if isinstance(value, Mapping):
        path = value.get("mask_path")
        if isinstance(path, str) and path:
            yield Path(path)
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _named(each)


def _database() -> Any:
    import fiftyone.core.odm as foo

    return foo.get_db_conn()


def _ids(sample_ids: Collection[str]) -> list[Any]:
    from bson import ObjectId

    return [ObjectId(each) for each in sample_ids if ObjectId.is_valid(each)]
