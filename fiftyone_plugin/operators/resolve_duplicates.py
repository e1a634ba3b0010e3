"""Duplicates: keep the best of each group, merge the group into it, or reject the others."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import (
    add_masks_field,
    add_reviewer,
    field_of,
    reviewer_of,
    sentences,
)
from fiftyone_plugin.quality import Removal, delete_duplicates, find_found, merge_duplicates
from fiftyone_plugin.review import Verdict, decide
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "ResolveDuplicates"]


class Action(StrEnum):
    """What becomes of the duplicates that were found."""

    REJECT = "reject"
    DELETE = "delete"
    MERGE = "merge"


_ACTIONS = {
    Action.REJECT: ("Reject the others", "They stay in the dataset, marked as rejected."),
    Action.DELETE: ("Keep the best", "The others are removed; they can be put back."),
    Action.MERGE: (
        "Merge into the best",
        "It covers the others' pixels as well, and they are removed; they can be put back.",
    ),
}
_REMOVING: dict[Action, Callable[..., Removal]] = {
    Action.DELETE: delete_duplicates,
    Action.MERGE: merge_duplicates,
}


class ResolveDuplicates(FormOperator):
    """Deal with the duplicates that judging has found."""

    operator = "resolve_duplicates"
    title = "Resolve duplicates"
    description = "Keep the best of duplicate masks, merge them, or reject the others."
    target = "Resolve"

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which masks, and what becomes of the duplicates."""
        add_masks_field(inputs, dataset, frames=True)
        words = {"label": "What becomes of them", "required": True}
        form.add_radio(inputs, "action", _ACTIONS, Action.REJECT, **words)
        add_reviewer(inputs, ctx)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Do it."""
        view, field, reviewer = self.samples(ctx), field_of(ctx), reviewer_of(ctx)
        action = ctx.params.get("action")
        if action not in tuple(Action):
            raise FieldError(f"Expected {', '.join(Action)} for action, found {action!r}.")
        if action == Action.REJECT:
            going = find_found(view, field).going
            decided = decide(view, field, going, Verdict.REJECTED, reviewer=reviewer)
            return sentences(f"{decided.changed} duplicates were rejected.", *decided.held)
        removal = _REMOVING[Action(action)](view, field, made_by=reviewer)
        return sentences(
            f"{removal.removed} duplicates were removed.",
            "Removed masks (sam-plugins) puts them back.",
            removal_id=removal.removal_id,
        )


OPERATORS = [ResolveDuplicates]
