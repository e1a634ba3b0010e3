"""Stages of MongoDB's updates that change a run's labels in one document, and no other labels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fiftyone_plugin.fields import RUN_ID, WRITTEN
from fiftyone_plugin.runs.records import Run

__all__ = ["with_labels", "without_labels"]


def with_labels(
    run: Run, labels: Sequence[Mapping[str, Any]], kept: Sequence[Any], *, alone: bool
) -> dict[str, Any]:
    """The new value of the run's field; what comes from outside is literal.

    Parameters
    ----------
    run
        Whose field.
    labels
        Detections as dicts, in place of those that the run wrote before.
    kept
        Ids of labels of the run that stay.
    alone
        Whether labels of others go as well.
    """
    there = {"$ifNull": [f"${run.config.label_field}.detections", []]}
    kept_here = {"$in": ["$$this._id", list(kept)]}
    others = {"$ne": [f"$$this.{RUN_ID}", run.run_id]}
    stays = kept_here if alone else {"$or": [others, kept_here]}
    left = {"$filter": {"input": there, "cond": stays}}
    return {
        "_cls": "Detections",
        "detections": {"$concatArrays": [left, {"$literal": list(labels)}]},
    }


def without_labels(run: Run, label_ids: Iterable[Any]) -> list[dict[str, Any]]:
    """Stages that remove labels; others of the run stay and belong to nobody then."""
    field = run.config.label_field
    place = f"{field}.detections"
    there = {"$ifNull": [f"${place}", []]}
    left = {"$filter": {"input": there, "cond": {"$not": {"$in": ["$$this._id", list(label_ids)]}}}}
    freed: dict[str, Any] = {"$unsetField": {"field": RUN_ID, "input": "$$this"}}
    freed = {"$unsetField": {"field": WRITTEN, "input": freed}}
    mine = {"$eq": [f"$$this.{RUN_ID}", run.run_id]}
    rest = {"$map": {"input": left, "in": {"$cond": [mine, freed, "$$this"]}}}
    empty = {"$eq": [{"$size": there}, 0]}
    return [
        {"$set": {place: rest}},
        {"$set": {field: {"$cond": [empty, "$$REMOVE", f"${field}"]}}},
    ]
