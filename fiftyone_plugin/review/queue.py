"""The labels that nobody has decided about, worst first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.fields import (
    AGREEMENT,
    BOX_IOU,
    DUPLICATE_OF,
    FINDINGS,
    RAGGEDNESS,
    REVIEW,
    REVIEW_TAGS,
)
from fiftyone_plugin.quality import LabelRef, check_detections, root_of, shown_labels
from fiftyone_plugin.review.ranking import Ranking

__all__ = ["Counts", "QueueItem", "count_reviews", "next_open"]

_SHOWN = ("confidence", "stability_score", BOX_IOU, AGREEMENT, RAGGEDNESS, "area")


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
    label: str
    trust: float
    findings: tuple[str, ...] = ()
    duplicate_of: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


def next_open(
    collection: Any,
    label_field: str,
    ranking: Ranking | None = None,
    *,
    without: Iterable[str] = (),
    finding: str = "",
    below: float | None = None,
    limit: int = 1,
) -> list[QueueItem]:
    """The open labels that can be trusted least.

    It is asked of the database each time, so that it goes on where anybody left off. Labels of
    equal trust come in the order of their samples.

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

    check_detections(root_of(collection), label_field)
    wanted: dict[str, Any] = {f"label.{FINDINGS}": finding} if finding else {}
    passed = [ObjectId(each) for each in without if ObjectId.is_valid(each)]
    worst = [
        {
            "$match": {
                f"label.{REVIEW}": {"$nin": list(REVIEW_TAGS)},
                "label._id": {"$nin": passed},
                **wanted,
            }
        },
        {"$set": {"trust": (ranking or Ranking()).expression("$label")}},
        {"$match": {} if below is None else {"trust": {"$lt": below}}},
        {"$sort": {"trust": 1, "sample_id": 1, "label._id": 1}},
        {"$limit": min(max(limit, 1), 1000)},
    ]
    return [_item(document) for document in _aggregate(collection, label_field, worst)]


def count_reviews(collection: Any, label_field: str) -> Counts:
    """How many labels of a FiftyOne dataset or view are accepted, rejected and open.

    Raises
    ------
    FieldError
        If the field holds no Detections.
    """
    check_detections(root_of(collection), label_field)
    counting = [{"$group": {"_id": f"$label.{REVIEW}", "count": {"$sum": 1}}}]
    found = {d["_id"]: d["count"] for d in _aggregate(collection, label_field, counting)}
    accepted, rejected = found.pop("accepted", 0), found.pop("rejected", 0)
    return Counts(accepted=accepted, rejected=rejected, open=sum(found.values()))


def _aggregate(collection: Any, label_field: str, stages: list[Any]) -> list[dict[str, Any]]:
    """Run stages over documents of `sample_id` and `label`, one per label, without masks."""
    names = ("_id", "label", REVIEW, FINDINGS, DUPLICATE_OF, *_SHOWN)
    path = f"{label_field}.detections"
    each = {name: f"$$label.{name}" for name in names}
    labels = {"$map": {"input": f"${path}", "as": "label", "in": each}}
    start = [
        {"$project": {"_id": False, "sample_id": "$_id", "label": labels}},
        {"$unwind": "$label"},
    ]
    return list(shown_labels(collection, label_field)._aggregate(post_pipeline=[*start, *stages]))


def _item(document: Mapping[str, Any]) -> QueueItem:
    label = document["label"]
    numbers = {name: float(label[name]) for name in _SHOWN if _is_number(label.get(name))}
    return QueueItem(
        ref=LabelRef(str(document["sample_id"]), str(label["_id"])),
        label=str(label.get("label") or ""),
        trust=float(document["trust"]),
        findings=tuple(label.get(FINDINGS) or ()),
        duplicate_of=str(label.get(DUPLICATE_OF) or ""),
        numbers=numbers,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
