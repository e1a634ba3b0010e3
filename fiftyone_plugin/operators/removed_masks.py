"""Rejected masks leave with consent; what was removed can be put back until it is purged."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.listing import listed
from fiftyone_plugin.operators.sentences import (
    add_masks_field,
    field_of,
    result_of,
    reviewer_of,
    sentences,
)
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.quality import list_removals, purge, restore
from fiftyone_plugin.review import remove_rejected
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "RemoveRejected", "RemovedMasks"]


def _add_consent(inputs: Any, params: Mapping[str, Any], label: str) -> None:
    agreed = inputs.bool("agreed", label=label, default=False)
    if params.get("agreed") is not True:
        agreed.invalid = True
        agreed.error_message = "Expected your consent, found none: tick the box."


def _check_consent(params: Mapping[str, Any]) -> None:
    if params.get("agreed") is not True:
        raise FieldError("Expected your consent, found none: give agreed=True.")


class RemoveRejected(foo.Operator):
    """Take rejected masks out of the dataset."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "remove_rejected",
            "Remove rejected masks",
            "Take rejected masks out; they can be put back until they are purged.",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: which masks, and consent."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            inputs.view_target(ctx, action_description="Remove", require_flat=True)
            add_masks_field(inputs, dataset, frames=True)
            _add_consent(inputs, ctx.params, "Take the rejected masks out of the dataset")
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, "Remove rejected masks")

    def execute(self, ctx: Any) -> Any:
        """Take them out."""

        def work(*_: Any) -> dict[str, Any]:
            _check_consent(ctx.params)
            form.open_dataset(ctx)
            view, who = ctx.target_view(require_flat=True), reviewer_of(ctx)
            removal = remove_rejected(view, field_of(ctx), made_by=who)
            return sentences(
                f"{removal.removed} rejected masks were removed.",
                "Removed masks (sam-plugins) puts them back.",
                removal_id=removal.removal_id,
            )

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """How many."""
        return result_of(ctx, "Remove rejected masks")


class Action(StrEnum):
    """What becomes of removed masks."""

    RESTORE = "restore"
    PURGE = "purge"


class RemovedMasks(foo.Operator):
    """Put removed masks back, or forget them for good."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "removed_masks",
            "Removed masks",
            "Put back masks that were removed or merged, or forget them for good.",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: which removal, and what becomes of it."""
        inputs = types.Object()
        try:
            removals = list_removals(form.open_dataset(ctx))
            if not removals:
                raise FieldError("Expected removed masks, found none: there is nothing to do.")
            chosen = types.RadioGroup()
            for each in removals:
                chosen.add_choice(
                    each.removal_id,
                    label=f"{each.label_field}: {each.removed} masks. {each.reason}",
                    description=f"{each.made_at}, {each.made_by}",
                )
            first = removals[0].removal_id
            inputs.enum("removal_id", chosen.values(), label="Which", default=first, view=chosen)
            actions = types.RadioGroup()
            actions.add_choice(Action.RESTORE.value, label="Put back")
            actions.add_choice(Action.PURGE.value, label="Forget for good")
            usual = Action.RESTORE.value
            inputs.enum("action", actions.values(), label="What to do", default=usual, view=actions)
            if ctx.params.get("action") == Action.PURGE:
                _add_consent(inputs, ctx.params, "Forget them; this cannot be undone")
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, "Removed masks")

    def execute(self, ctx: Any) -> Any:
        """Do it."""
        return run_work(ctx, lambda progress, stop: _done(ctx), self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """What became of them."""
        return result_of(ctx, "Removed masks")


def _done(ctx: Any) -> dict[str, Any]:
    dataset = form.open_dataset(ctx)
    removal_id, action = ctx.params.get("removal_id"), ctx.params.get("action")
    if not isinstance(removal_id, str):
        raise FieldError("Expected the id of a removal for removal_id, found none: choose one.")
    if action == Action.PURGE:
        _check_consent(ctx.params)
        return sentences(f"{purge(dataset, removal_id).removed} masks are gone for good.")
    if action == Action.RESTORE:
        restored = restore(dataset, removal_id)
        kept = f"{restored.kept} were there or were changed since, and stay." * bool(restored.kept)
        return sentences(f"{restored.labels} masks are as they were.", kept)
    raise FieldError(f"Expected {' or '.join(Action)} for action, found {action!r}.")


OPERATORS = [RemoveRejected, RemovedMasks]
