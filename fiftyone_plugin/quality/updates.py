"""Labels of a sample or frame changed in one update, which finds them by id and not by place.

`sample.save()` writes the places where labels were when they were read: where somebody took one out
meanwhile, it writes into another.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fiftyone_plugin.quality.places import LabelPlace

__all__ = ["change_labels", "ensure_holder", "frames_of", "is_there", "push_label"]


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

    written = {**update, "$set": {**update.get("$set", {}), "last_modified_at": _now()}}
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


def frames_of(place: LabelPlace, holder_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """By id of a frame, `video_id` and `frame_number`: what it takes to make it again.

    Of samples there is nothing to tell.
    """
    from bson import ObjectId

    if not place.in_frames:
        return {}
    query = {"_id": {"$in": [ObjectId(each) for each in holder_ids]}}
    return {
        str(each["_id"]): {
            "video_id": str(each["_sample_id"]),
            "frame_number": int(each["frame_number"]),
        }
        for each in place.documents.find(query, {"_sample_id": True, "frame_number": True})
    }


def ensure_holder(place: LabelPlace, holder_id: str, frame: Mapping[str, Any]) -> str:
    """The id of a sample or frame; a frame that is gone is made again while its video is there.

    Parameters
    ----------
    place, holder_id
        Where labels were.
    frame
        Of a frame what `frames_of` has told; without, nothing is made.
    """
    from bson import ObjectId

    if is_there(place, holder_id) or "video_id" not in frame:
        return holder_id
    video_id = ObjectId(frame["video_id"])
    if place.dataset._sample_collection.find_one({"_id": video_id}, {"_id": True}) is None:
        return holder_id
    now = _now()
    query = {"_sample_id": video_id, "frame_number": frame["frame_number"]}
    made = {
        "_id": ObjectId(holder_id),
        "_dataset_id": place.dataset._doc.id,
        "created_at": now,
        "last_modified_at": now,
    }
    place.documents.update_one(query, {"$setOnInsert": made}, upsert=True)
    return str(place.documents.find_one(query, {"_id": True})["_id"])


def is_there(place: LabelPlace, holder_id: str) -> bool:
    """Whether there is a sample or frame of an id."""
    from bson import ObjectId

    return place.documents.find_one({"_id": ObjectId(holder_id)}, {"_id": True}) is not None


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
