"""Accept, reject or open again the masks that are selected in the App, and undo."""

from collections.abc import Mapping
from typing import Any, ClassVar

from fiftyone.operators import types

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import (
    add_masks_field,
    add_reviewer,
    field_of,
    reviewer_of,
    sentences,
)
from fiftyone_plugin.quality import LabelRef, selected_refs
from fiftyone_plugin.review import Decided, Verdict, decide, undo
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "AcceptSelected", "OpenSelected", "RejectSelected", "UndoReview"]


class _Decide(FormOperator):
    """Say one thing of all selected masks; a subclass says which."""

    verdict: ClassVar[Verdict]
    description = "Of the masks that are selected in the App; undo takes it back."
    risk = types.RiskLevel.LOW
    delegated = False

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Who decides, and whether others' decisions give way."""
        number = sum(map(len, _selected(ctx).values()))
        inputs.view("count", types.Notice(label=f"{number} selected masks"))
        add_reviewer(inputs, ctx)
        inputs.bool(
            "over_others",
            label="Also where another person has decided differently",
            default=False,
        )

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Decide."""
        decided = {
            field: decide(
                dataset,
                field,
                refs,
                self.verdict,
                reviewer=reviewer_of(ctx),
                over_others=ctx.params.get("over_others") is True,
            )
            for field, refs in _selected(ctx).items()
        }
        return _said(decided, self.verdict)

    def after(self, ctx: Any, result: Mapping[str, Any]) -> Any:
        """The labels changed, the dataset's fields did not."""
        return ctx.ops.reload_samples()


class AcceptSelected(_Decide):
    """Accept the selected masks."""

    verdict, operator, icon = Verdict.ACCEPTED, "accept_selected", "check"
    title = "Accept selected masks"


class RejectSelected(_Decide):
    """Reject the selected masks."""

    verdict, operator, icon = Verdict.REJECTED, "reject_selected", "close"
    title = "Reject selected masks"


class OpenSelected(_Decide):
    """Take back what was decided about the selected masks."""

    verdict, operator, icon = Verdict.OPEN, "reopen_selected", "restart_alt"
    title = "Open selected masks again"


class UndoReview(FormOperator):
    """Take back the last step of a review."""

    operator = "undo_review"
    title = "Undo review"
    description = "Take back your last decision about masks; again for the one before."
    risk = types.RiskLevel.LOW
    delegated = False
    icon = "undo"

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Whose steps, in which field."""
        add_masks_field(inputs, dataset, frames=True)
        add_reviewer(inputs, ctx)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Take it back."""
        undone = undo(dataset, field_of(ctx), reviewer=reviewer_of(ctx))
        return sentences(
            f"{len(undone.labels)} masks are as they were before they were {undone.verdict}.",
            *undone.held,
            labels=len(undone.labels),
        )

    def after(self, ctx: Any, result: Mapping[str, Any]) -> Any:
        """The labels changed, the dataset's fields did not."""
        return ctx.ops.reload_samples()


def _selected(ctx: Any) -> dict[str, list[LabelRef]]:
    """The selected labels by their field."""
    found = selected_refs(ctx.view, ctx.selected_labels or ())
    if not found:
        raise ReviewError(
            "Expected selected masks, found none: click masks in the App, in the grid or on an "
            "open picture, and try again."
        )
    return found


def _said(decided: dict[str, Decided], verdict: Verdict) -> dict[str, Any]:
    changed = sum(each.changed for each in decided.values())
    gone = sum(each.gone for each in decided.values())
    held = [sentence for each in decided.values() for sentence in each.held]
    return sentences(
        f"{changed} masks are {verdict.value}.",
        f"{len(held)} masks stay as others decided. {held[0]}" if held else "",
        f"{gone} masks are no longer there." if gone else "",
        changed=changed,
        held=len(held),
        gone=gone,
    )


OPERATORS = [AcceptSelected, RejectSelected, OpenSelected, UndoReview]
