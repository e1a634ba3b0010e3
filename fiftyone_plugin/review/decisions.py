"""Accepting and rejecting labels, and taking that back: safe beside other curators.

A decision is written only if the label is as it was when it was looked at, in the same update that
checks it, and carries the id of its step. Taking a step back restores only labels that still carry
it: what somebody decided later stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import REVIEW, REVIEW_STEP, REVIEW_TAGS, REVIEWED_BY
from fiftyone_plugin.quality import (
    LabelPlace,
    LabelRef,
    by_sample,
    declare,
    find_labels,
    place_of,
)
from fiftyone_plugin.review.history import History, State

__all__ = ["Decided", "Undone", "Verdict", "decide", "undo"]


class Verdict(StrEnum):
    """What a curator says of a label. `OPEN` takes a decision back."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of labels that were to be decided.

    Parameters
    ----------
    changed, unchanged
        How many have a new decision, and how many had it already.
    held
        Sentences about those that others decided, one for each.
    gone
        How many are no longer there.
    """

    changed: int
    unchanged: int = 0
    held: tuple[str, ...] = ()
    gone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What taking a step back did.

    Parameters
    ----------
    labels
        That are as they were before.
    verdict
        Which was taken back.
    held
        Sentences about labels that somebody changed since, which stay.
    """

    labels: tuple[LabelRef, ...]
    verdict: str
    held: tuple[str, ...] = ()


def decide(
    collection: Any,
    label_field: str,
    refs: Sequence[LabelRef],
    verdict: Verdict,
    *,
    reviewer: str,
    over_others: bool = False,
) -> Decided:
    """Accept or reject labels, or open them again, as one step of the reviewer's history.

    Each gets the attribute `review`, a tag of the same name in place of the other, and who decided.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view.
    label_field
        A field of Detections, of samples or of frames.
    refs
        The labels.
    verdict
        What is said of them.
    reviewer
        Who says so; those of one name share a history.
    over_others
        Decide also about labels that another reviewer has decided differently. Otherwise those
        stay.

    Raises
    ------
    ReviewError
        If the reviewer has no name.
    FieldError
        If the field holds no Detections.
    """
    place = place_of(collection, label_field)
    declare(place.dataset, place.field, {REVIEW: str, REVIEWED_BY: str, REVIEW_STEP: str})
    history = History(place.dataset, place.field, reviewer)
    before = _states(place, refs)
    after = None if verdict is Verdict.OPEN else verdict.value
    changing: dict[LabelRef, State] = {}
    held = []
    unchanged = 0
    for ref, state in before.items():
        if state.review == after:
            unchanged += 1
        elif state.review and state.reviewer != reviewer and not over_others:
            held.append(_sentence(state))
        else:
            changing[ref] = state
    if changing:
        step = history.begin(verdict.value, changing)
        new = State(review=after, reviewer=reviewer, step=step.step_id)
        _write(place, {ref: (state, new) for ref, state in changing.items()})
        now = _states(place, list(changing))
        lost = {ref for ref in changing if ref not in now or now[ref].step != step.step_id}
        held += [_sentence(now[ref]) for ref in changing if ref in lost and ref in now]
        history.correct(step, {ref: s for ref, s in changing.items() if ref not in lost})
        changing = {ref: s for ref, s in changing.items() if ref not in lost}
    return Decided(
        changed=len(changing),
        unchanged=unchanged,
        held=tuple(held),
        gone=len(set(refs)) - len(changing) - unchanged - len(held),
    )


def undo(collection: Any, label_field: str, *, reviewer: str) -> Undone:
    """Take back the last step of a reviewer that was not taken back yet.

    Raises
    ------
    ReviewError
        If there is none, or all its labels were changed or removed since: then it is struck from
        the history, so that the step before is next.
    """
    place = place_of(collection, label_field)
    history = History(place.dataset, place.field, reviewer)
    while (step := history.last()) is not None:
        now = _states(place, list(step.before))
        standing = {ref: state for ref, state in now.items() if state.step == step.step_id}
        # Written ahead and never carried out, or taken back and not yet struck: nothing to do.
        never = [ref for ref, state in now.items() if state.step == step.before[ref].step]
        _write(place, {ref: (state, step.before[ref]) for ref, state in standing.items()})
        history.strike(step)
        held = [_sentence(s) for ref, s in now.items() if ref not in standing and ref not in never]
        if standing:
            return Undone(labels=tuple(standing), verdict=step.verdict, held=tuple(held))
        if held or len(now) < len(step.before):
            raise ReviewError(
                f"Expected the {len(step.before)} labels of your last step to be as you left them, "
                f"found none: {held[0] if held else 'they were removed.'} They stay as they are; "
                "undo again takes back the step before."
            )
    raise ReviewError(
        f"Expected a step of {reviewer!r} to take back in {label_field!r}, found none."
    )


def _sentence(state: State) -> str:
    if state.review is None:
        return f"It was opened again by {state.reviewer or 'somebody'}."
    return f"It was {state.review} by {state.reviewer or 'somebody'}."


def _states(place: LabelPlace, refs: Sequence[LabelRef]) -> dict[LabelRef, State]:
    """What is said of labels now; those that are gone are left out."""
    attributes = (REVIEW, REVIEWED_BY, REVIEW_STEP)
    found = find_labels(place.dataset, place.field, by_sample(refs), attributes)
    return {
        LabelRef(sample_id, str(label["_id"])): State(*map(label.get, attributes))
        for sample_id, labels in found.items()
        for label in labels
    }


def _write(place: LabelPlace, changes: Mapping[LabelRef, tuple[State, State]]) -> None:
    """Write states of labels whose step is still the old one, each document in one update."""
    from bson import ObjectId
    from pymongo import UpdateOne

    path = place.path
    updates = []
    for sample_id, label_ids in by_sample(changes).items():
        branches = []
        for label_id in label_ids:
            old, new = changes[LabelRef(sample_id, label_id)]
            same = {"$eq": ["$$label._id", ObjectId(label_id)]}
            step = {"$eq": [{"$ifNull": [f"$$label.{REVIEW_STEP}", None]}, old.step]}
            branches.append({"case": {"$and": [same, step]}, "then": _with(new)})
        switch = {"$switch": {"branches": branches, "default": "$$label"}}
        labels = {"$map": {"input": f"${path}", "as": "label", "in": switch}}
        now = datetime.now(UTC).replace(tzinfo=None)
        pipeline = [{"$set": {path: labels, "last_modified_at": now}}]
        updates.append(UpdateOne({"_id": ObjectId(sample_id)}, pipeline))
    place.write(updates, list(by_sample(changes)))


def _with(state: State) -> dict[str, Any]:
    """A label with another state, as an expression of MongoDB."""
    tags = {"$ifNull": ["$$label.tags", []]}
    others = {
        "$filter": {
            "input": tags,
            "as": "tag",
            "cond": {"$not": {"$in": ["$$tag", list(REVIEW_TAGS)]}},
        }
    }
    said = {
        REVIEW: {"$literal": state.review},
        REVIEWED_BY: {"$literal": state.reviewer},
        REVIEW_STEP: {"$literal": state.step},
        "tags": {"$concatArrays": [others, [{"$literal": state.review}] if state.review else []]},
    }
    return {"$mergeObjects": ["$$label", said]}
