"""The labels that nobody has decided about, worst first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.fields import (
    AGREEMENT,
    BOX_IOU,
    DUPLICATE_OF,
    FINDINGS,
    GROWTH,
    RAGGEDNESS,
    REVIEW,
    REVIEW_TAGS,
    SHIFT,
)
from fiftyone_plugin.quality import LabelRef, aggregate_labels
from fiftyone_plugin.review.ranking import Ranking

__all__ = ["Counts", "QueueItem", "count_reviews", "next_open"]

_SHOWN = ("confidence", "stability_score", BOX_IOU, AGREEMENT, RAGGEDNESS, "area", SHIFT, GROWTH)
_READ = ("label", REVIEW, FINDINGS, DUPLICATE_OF, *_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How far the review of a field is."""

    accepted: int
    rejected: int
    open: int

    @property
    def total(self) -> int:
        """All labels."""
        return self.accepted + self.rejected + self.open


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """One label that waits for a decision.

    Parameters
    ----------
    ref
        Where it is.
    sample_id, frame_number
        The sample that shows it, and in which frame of a video; None for a picture.
    label
        Its class, "" if it has none.
    trust
        What `Ranking` makes of it, 0 to 1.
    findings
        Values of `Finding`.
    duplicate_of
        Id of the better label, or "".
    numbers
        What is known of it, by attribute; without what is not.
    """

    ref: LabelRef
    sample_id: str
    label: str
    trust: float
    frame_number: int | None = None
    findings: tuple[str, ...] = ()
    duplicate_of: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


def next_open(
    collection: Any,
    label_field: str,
    ranking: Ranking | None = None,
    *,
    without: Iterable[str] = (),
    only: Iterable[str] | None = None,
    finding: str = "",
    below: float | None = None,
    limit: int = 1,
) -> list[QueueItem]:
    """The open labels that can be trusted least.

    It is asked of the database each time, so that it goes on where anybody left off. Labels of
    equal trust come in the order of their samples, and of frames.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view: labels that the view hides are not in the queue.
    label_field
        A field of Detections.
    ranking
        The order; None means the defaults.
    without
        Ids of labels that are passed over.
    only
        Ids of labels; no others then.
    finding
        Only labels with this value of `Finding`.
    below
        Only labels of less trust.
    limit
        How many at most, up to 1,000.

    Raises
    ------
    FieldError
        If the field holds no Detections.
    """
    from bson import ObjectId

    wanted: dict[str, Any] = {f"label.{FINDINGS}": finding} if finding else {}
    ids = {"$nin": [ObjectId(each) for each in without if ObjectId.is_valid(each)]}
    if only is not None:
        ids["$in"] = [ObjectId(each) for each in only if ObjectId.is_valid(each)]
    worst = [
        {
            "$match": {
                f"label.{REVIEW}": {"$nin": list(REVIEW_TAGS)},
                "label._id": ids,
                **wanted,
            }
        },
        {"$set": {"trust": (ranking or Ranking()).expression("$label")}},
        {"$match": {} if below is None else {"trust": {"$lt": below}}},
        {"$sort": {"trust": 1, "sample_id": 1, "frame_number": 1, "label._id": 1}},
        {"$limit": min(max(limit, 1), 1000)},
    ]
    found = aggregate_labels(collection, label_field, _READ, worst)
    return [_item(document) for document in found]


def count_reviews(collection: Any, label_field: str) -> Counts:
    """How many labels of a FiftyOne dataset or view are accepted, rejected and open.

    Raises
    ------
    FieldError
        If the field holds no Detections.
    """
    counting = [{"$group": {"_id": f"$label.{REVIEW}", "count": {"$sum": 1}}}]
    counted = aggregate_labels(collection, label_field, (REVIEW,), counting)
    found = {each["_id"]: each["count"] for each in counted}
    accepted, rejected = found.pop("accepted", 0), found.pop("rejected", 0)
    return Counts(accepted=accepted, rejected=rejected, open=sum(found.values()))


def _item(document: Mapping[str, Any]) -> QueueItem:
    label = document["label"]
    numbers = {name: float(label[name]) for name in _SHOWN if _is_number(label.get(name))}
    return QueueItem(
        ref=LabelRef(str(document["holder_id"]), str(label["_id"])),
        sample_id=str(document["sample_id"]),
        frame_number=document.get("frame_number"),
        label=str(label.get("label") or ""),
        trust=float(document["trust"]),
        findings=tuple(label.get(FINDINGS) or ()),
        duplicate_of=str(label.get(DUPLICATE_OF) or ""),
        numbers=numbers,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
