"""Duplicates: keep the best of each group, merge the group into it, or reject the others."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.listing import listed
from fiftyone_plugin.operators.sentences import (
    add_masks_field,
    add_reviewer,
    field_of,
    result_of,
    reviewer_of,
    sentences,
)
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.quality import Removal, delete_duplicates, find_found, merge_duplicates
from fiftyone_plugin.review import Verdict, decide
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "ResolveDuplicates"]

TITLE = "Resolve duplicates"


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


class ResolveDuplicates(foo.Operator):
    """Deal with the duplicates that judging has found."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "resolve_duplicates",
            TITLE,
            "Keep the best of duplicate masks, merge them, or reject the others.",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: which masks, and what becomes of the duplicates."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            inputs.view_target(ctx, action_description="Resolve", require_flat=True)
            add_masks_field(inputs, dataset, frames=True)
            actions = types.RadioGroup()
            for action, (label, description) in _ACTIONS.items():
                actions.add_choice(action.value, label=label, description=description)
            inputs.enum(
                "action",
                actions.values(),
                label="What becomes of them",
                required=True,
                default=Action.REJECT.value,
                view=actions,
            )
            add_reviewer(inputs, ctx)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, TITLE)

    def execute(self, ctx: Any) -> Any:
        """Do it."""
        return run_work(ctx, lambda progress, stop: _resolved(ctx), self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """What became of them."""
        return result_of(ctx, TITLE)


def _resolved(ctx: Any) -> dict[str, Any]:
    form.open_dataset(ctx)
    view, field, reviewer = ctx.target_view(require_flat=True), field_of(ctx), reviewer_of(ctx)
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
