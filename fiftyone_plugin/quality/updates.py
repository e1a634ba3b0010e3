"""One sample's labels changed in one update, which finds them by their ids and not by their places.

`sample.save()` writes the places where labels were when they were read: where somebody took one out
meanwhile, it writes into another.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["change_sample", "push_label"]


def change_sample(
    dataset: Any, sample_id: str, update: Mapping[str, Any], where: Mapping[str, Any] | None = None
) -> bool:
    """Apply one update to a sample's document, and let FiftyOne's samples in memory know.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    sample_id
        Which.
    update
        Operators of MongoDB; the time of the last change is added.
    where
        What must hold of the document as well.

    Returns
    -------
    Whether there was such a document.
    """
    from bson import ObjectId
    from fiftyone.core.odm import bulk_write
    from fiftyone.core.sample import Sample
    from pymongo import UpdateOne

    now = datetime.now(UTC).replace(tzinfo=None)
    written = {**update, "$set": {**update.get("$set", {}), "last_modified_at": now}}
    one = UpdateOne({"_id": ObjectId(sample_id), **(where or {})}, written)
    results = bulk_write([one], dataset._sample_collection)
    Sample._reload_docs(dataset._sample_collection_name, sample_ids=[sample_id])
    return any(result.matched_count > 0 for result in results)


def push_label(dataset: Any, label_field: str, sample_id: str, document: Mapping[str, Any]) -> bool:
    """Add a label to a sample, whose field may be empty yet; whether it was added.

    It is not where the sample is gone or has a label of that id.
    """
    path = f"{label_field}.detections"
    first = {"$set": {label_field: {"_cls": "Detections", "detections": [document]}}}
    return change_sample(dataset, sample_id, first, {label_field: None}) or change_sample(
        dataset,
        sample_id,
        {"$push": {path: document}},
        {label_field: {"$ne": None}, f"{path}._id": {"$ne": document["_id"]}},
    )
