"""Labels of a sample or frame changed in one update, which finds them by id and not by place.

`sample.save()` writes the places where labels were when they were read: where somebody took one out
meanwhile, it writes into another.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fiftyone_plugin.quality.places import LabelPlace

__all__ = ["change_labels", "push_label"]


def change_labels(
    place: LabelPlace,
    holder_id: str,
    update: Mapping[str, Any],
    where: Mapping[str, Any] | None = None,
) -> bool:
    """Apply one update to a document with labels, and let FiftyOne's objects in memory know.

    Parameters
    ----------
    place
        Where the labels are.
    holder_id
        Of the sample or frame.
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
    from pymongo import UpdateOne

    now = datetime.now(UTC).replace(tzinfo=None)
    written = {**update, "$set": {**update.get("$set", {}), "last_modified_at": now}}
    one = UpdateOne({"_id": ObjectId(holder_id), **(where or {})}, written)
    results = bulk_write([one], place.documents)
    place.reload(holder_id)
    return any(result.matched_count > 0 for result in results)


def push_label(place: LabelPlace, holder_id: str, document: Mapping[str, Any]) -> bool:
    """Add a label to a sample or frame, whose field may be empty yet; whether it was added.

    It is not where the sample or frame is gone or has a label of that id.
    """
    name, path = place.name, place.path
    first = {"$set": {name: {"_cls": "Detections", "detections": [document]}}}
    return change_labels(place, holder_id, first, {name: None}) or change_labels(
        place,
        holder_id,
        {"$push": {path: document}},
        {name: {"$ne": None}, f"{path}._id": {"$ne": document["_id"]}},
    )
