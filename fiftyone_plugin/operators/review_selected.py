"""Accept, reject or open again the masks that are selected in the App, and undo."""

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.errors import ReviewError
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
from fiftyone_plugin.quality import LabelRef, selected_refs
from fiftyone_plugin.review import Decided, Verdict, decide, undo
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "AcceptSelected", "OpenSelected", "RejectSelected", "UndoReview"]


class _Decide(foo.Operator):
    """Say one thing of all selected masks; a subclass says which."""

    verdict: ClassVar[Verdict]
    operator: ClassVar[str]
    title: ClassVar[str]
    icon: ClassVar[str]

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            self.operator,
            self.title,
            "Of the masks that are selected in the App; undo takes it back.",
            risk=types.RiskLevel.LOW,
            delegated=False,
            icon=self.icon,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: who decides, and whether others' decisions give way."""
        inputs = types.Object()
        try:
            form.open_dataset(ctx)
            refs = _selected(ctx)
            inputs.view(
                "count",
                types.Notice(label=f"{sum(map(len, refs.values()))} selected masks"),
            )
            add_reviewer(inputs, ctx)
            inputs.bool(
                "over_others",
                label="Also where another person has decided differently",
                default=False,
            )
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, self.title)

    def execute(self, ctx: Any) -> Any:
        """Decide."""

        def work(*_: Any) -> dict[str, Any]:
            dataset = form.open_dataset(ctx)
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

        return run_work(ctx, work, self.resolve_output, lambda _: ctx.ops.reload_samples())

    def resolve_output(self, ctx: Any) -> Any:
        """What became of them."""
        return result_of(ctx, self.title)


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


class UndoReview(foo.Operator):
    """Take back the last step of a review."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "undo_review",
            "Undo review",
            "Take back your last decision about masks; again for the one before.",
            risk=types.RiskLevel.LOW,
            delegated=False,
            icon="undo",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: whose steps, in which field."""
        inputs = types.Object()
        try:
            add_masks_field(inputs, form.open_dataset(ctx), frames=True)
            add_reviewer(inputs, ctx)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, "Undo review")

    def execute(self, ctx: Any) -> Any:
        """Take it back."""

        def work(*_: Any) -> dict[str, Any]:
            undone = undo(form.open_dataset(ctx), field_of(ctx), reviewer=reviewer_of(ctx))
            return sentences(
                f"{len(undone.labels)} masks are as they were before they were {undone.verdict}.",
                *undone.held,
                labels=len(undone.labels),
            )

        return run_work(ctx, work, self.resolve_output, lambda _: ctx.ops.reload_samples())

    def resolve_output(self, ctx: Any) -> Any:
        """What was taken back."""
        return result_of(ctx, "Undo review")


def _selected(ctx: Any) -> dict[str, list[LabelRef]]:
    """The selected labels by their field."""
    found = selected_refs(ctx.dataset, ctx.selected_labels or ())
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
