"""Runs: what each has done, and to continue, retry, look at or delete one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.listing import listed
from fiftyone_plugin.operators.results import outputs_of
from fiftyone_plugin.operators.running import go_on, report_of
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import (
    Run,
    Stop,
    Tell,
    delete_run,
    find_run,
    list_runs,
    retry_view,
    run_counts,
)
from fiftyone_plugin.sharding import queue_shards
from fiftyone_plugin.values import Mode, Status
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "ManageRuns", "described"]

TITLE = "Runs"


class Action(StrEnum):
    """What is done with a run."""

    CONTINUE = "continue"
    RETRY = "retry"
    SHARE = "share"
    FAILURES = "failures"
    DELETE = "delete"


_ACTIONS = {
    Action.CONTINUE: ("Continue", "Work on the samples of the dataset that it has not done."),
    Action.RETRY: ("Try failures again", "The same, and those that failed in part or as a whole."),
    Action.SHARE: (
        "Share among workers",
        "Queue its parts for several `fiftyone delegated launch`, on this machine or others.",
    ),
    Action.FAILURES: ("Look at failures", "Show them; their sentences are in the reason field."),
    Action.DELETE: ("Delete", "Its labels, files and record go; labels of others stay."),
}
_SHARDS, _MOST_SHARDS = 8, 1000
_MODES = {Mode.PROMPTS: "prompts", Mode.EVERYTHING: "everything", Mode.VIDEO: "video"}


def described(run: Run, counts: Mapping[Status | None, int]) -> str:
    """A run in a line: its field, mode and model, and how many samples are in which state."""
    states = [f"{counts[status]} {status.value}" for status in Status if counts.get(status)]
    left = counts.get(None)
    states += [f"{left} left"] if left else []
    made = f"{run.config.label_field}: {_MODES[run.config.mode]} by {run.config.model}"
    made += ", what a view shows" * bool(run.shown)
    return f"{made}, {', '.join(states) or 'nothing done'}"


class ManageRuns(foo.Operator):
    """List the dataset's runs; continue, retry, look at or delete one."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "manage_runs",
            TITLE,
            "See what each run has done; continue, retry or delete one.",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: which run, and what to do with it."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            runs = list_runs(dataset)
            if not runs:
                raise FieldError(
                    "Expected a run on this dataset, found none: begin one with 'Prompts to "
                    "masks' or 'Everything to masks'."
                )
            _ask(inputs, dataset, runs, ctx.params)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, TITLE)

    def execute(self, ctx: Any) -> Any:
        """Do it."""
        return run_work(
            ctx,
            lambda progress, stop: _done(ctx, progress, stop),
            self.resolve_output,
            lambda result: _after(ctx, result),
        )

    def resolve_output(self, ctx: Any) -> Any:
        """What became of it."""
        return outputs_of(ctx, TITLE)


def _ask(inputs: Any, dataset: Any, runs: list[Run], params: Mapping[str, Any]) -> None:
    chosen = types.RadioGroup()
    for run in runs:
        label = described(run, run_counts(dataset, run.run_id))
        chosen.add_choice(run.run_id, label=label, description=run.run_id)
    inputs.enum(
        "run_id",
        chosen.values(),
        label="Run",
        required=True,
        default=runs[-1].run_id,
        view=chosen,
    )
    actions = types.RadioGroup()
    for action, (label, description) in _ACTIONS.items():
        actions.add_choice(action.value, label=label, description=description)
    inputs.enum(
        "action",
        actions.values(),
        label="What to do",
        required=True,
        default=Action.CONTINUE.value,
        view=actions,
    )
    if params.get("action") == Action.SHARE:
        inputs.int(
            "shards",
            min=1,
            max=_MOST_SHARDS,
            label="Parts",
            description="More than workers: a quick one does more, and a lost one loses less.",
            default=_SHARDS,
        )
    if params.get("action") == Action.DELETE:
        agreed = inputs.bool(
            "agreed", label="Delete the masks of this run; this cannot be undone", default=False
        )
        if not params.get("agreed"):
            agreed.invalid = True
            agreed.error_message = "Expected your consent, found none: tick the box to delete."


def _run_id(params: Mapping[str, Any]) -> str:
    found = params.get("run_id")
    if not isinstance(found, str) or not found:
        raise FieldError("Expected the id of a run for run_id, found none: choose a run.")
    return found


def _done(ctx: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
    """Do what the form says with a run; its counts afterwards."""
    dataset, action = form.open_dataset(ctx), ctx.params.get("action")
    run = find_run(dataset, _run_id(ctx.params))
    if action in (Action.CONTINUE, Action.RETRY):
        retry = action == Action.RETRY
        return report_of(run, go_on(dataset, run, retry=retry, progress=progress, stop=stop))
    if action == Action.SHARE:
        shards = ctx.params.get("shards", _SHARDS)
        if type(shards) is not int or not 1 <= shards <= _MOST_SHARDS:
            raise FieldError(
                f"Expected a whole number from 1 to {_MOST_SHARDS} for shards, found {shards!r}."
            )
        return {"run_id": run.run_id, "queued": len(queue_shards(dataset, run, shards))}
    if action == Action.DELETE:
        if ctx.params.get("agreed") is not True:
            raise FieldError("Expected your consent to delete, found none: give agreed=True.")
        delete_run(dataset, run.run_id)
        return {"run_id": run.run_id, "deleted": True}
    if action == Action.FAILURES:
        view = retry_view(dataset, run.run_id)
        return {"run_id": run.run_id, "shown": len(view)}
    raise FieldError(f"Expected {', '.join(Action)} for action, found {action!r}.")


def _after(ctx: Any, result: Mapping[str, Any]) -> Any:
    """What the App does then: shows the failures, or loads the dataset again."""
    if "shown" in result:
        return ctx.ops.set_view(view=retry_view(ctx.dataset, result["run_id"]))
    return ctx.ops.reload_dataset()


OPERATORS = [ManageRuns]
