"""Rejected masks leave with consent; what was removed can be put back until it is purged."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import (
    add_masks_field,
    field_of,
    reviewer_of,
    sentences,
)
from fiftyone_plugin.quality import list_removals, purge, restore
from fiftyone_plugin.review import remove_rejected
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "RemoveRejected", "RemovedMasks"]


def _add_consent(inputs: Any, params: Mapping[str, Any], label: str) -> None:
    missing = "Expected your consent, found none: tick the box."
    form.add_consent(inputs, params, label, missing, name="agreed")


def _check_consent(params: Mapping[str, Any]) -> None:
    if params.get("agreed") is not True:
        raise FieldError("Expected your consent, found none: give agreed=True.")


class RemoveRejected(FormOperator):
    """Take rejected masks out of the dataset."""

    operator = "remove_rejected"
    title = "Remove rejected masks"
    description = "Take rejected masks out; they can be put back until they are purged."
    target = "Remove"

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which masks, and consent."""
        add_masks_field(inputs, dataset, frames=True)
        _add_consent(inputs, ctx.params, "Take the rejected masks out of the dataset")

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Take them out."""
        _check_consent(ctx.params)
        removal = remove_rejected(self.samples(ctx), field_of(ctx), made_by=reviewer_of(ctx))
        return sentences(
            f"{removal.removed} rejected masks were removed.",
            "Removed masks (sam-plugins) puts them back.",
            removal_id=removal.removal_id,
        )


class Action(StrEnum):
    """What becomes of removed masks."""

    RESTORE = "restore"
    PURGE = "purge"


_ACTIONS = {Action.RESTORE: ("Put back", ""), Action.PURGE: ("Forget for good", "")}


class RemovedMasks(FormOperator):
    """Put removed masks back, or forget them for good."""

    operator = "removed_masks"
    title = "Removed masks"
    description = "Put back masks that were removed or merged, or forget them for good."

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which removal, and what becomes of it."""
        removals = {
            each.removal_id: (
                f"{each.label_field}: {each.removed} masks. {each.reason}",
                f"{each.made_at}, {each.made_by}",
            )
            for each in list_removals(dataset)
        }
        if not removals:
            raise FieldError("Expected removed masks, found none: there is nothing to do.")
        form.add_radio(inputs, "removal_id", removals, next(iter(removals)), label="Which")
        form.add_radio(inputs, "action", _ACTIONS, Action.RESTORE, label="What to do")
        if ctx.params.get("action") == Action.PURGE:
            _add_consent(inputs, ctx.params, "Forget them; this cannot be undone")

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Do it."""
        removal_id, action = ctx.params.get("removal_id"), ctx.params.get("action")
        if not isinstance(removal_id, str):
            raise FieldError("Expected the id of a removal for removal_id, found none: choose one.")
        if action == Action.PURGE:
            _check_consent(ctx.params)
            return sentences(f"{purge(dataset, removal_id).removed} masks are gone for good.")
        if action == Action.RESTORE:
            back = restore(dataset, removal_id)
            kept = f"{back.kept} were there or were changed since, and stay." * bool(back.kept)
            missing = (
                f"{back.missing} have no sample or frame any more: they stay among the removed "
                "masks, until they are purged."
            )
            said = f"{back.labels} masks are as they were."
            return sentences(said, kept, missing * bool(back.missing))
        raise FieldError(f"Expected {' or '.join(Action)} for action, found {action!r}.")


OPERATORS = [RemoveRejected, RemovedMasks]
