"""Runs: what each has done, and to continue, retry, look at or delete one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.results import add_counts
from fiftyone_plugin.operators.running import go_on, report_of
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

__all__ = ["OPERATORS", "ManageRuns", "described"]


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


class ManageRuns(FormOperator):
    """List the dataset's runs; continue, retry, look at or delete one."""

    operator = "manage_runs"
    title = "Runs"
    description = "See what each run has done; continue, retry or delete one."
    button = "history"

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which run, and what to do with it."""
        runs = {
            run.run_id: (described(run, run_counts(dataset, run.run_id)), run.run_id)
            for run in list_runs(dataset)
        }
        if not runs:
            raise FieldError(
                "Expected a run on this dataset, found none: begin one with 'Prompts to masks' or "
                "'Everything to masks'."
            )
        form.add_radio(inputs, "run_id", runs, list(runs)[-1], label="Run", required=True)
        words = {"label": "What to do", "required": True}
        form.add_radio(inputs, "action", _ACTIONS, Action.CONTINUE, **words)
        if ctx.params.get("action") == Action.SHARE:
            inputs.int(
                "shards",
                min=1,
                max=_MOST_SHARDS,
                label="Parts",
                description="More than workers: a quick one does more, and a lost one loses less.",
                default=_SHARDS,
            )
        if ctx.params.get("action") == Action.DELETE:
            form.add_consent(
                inputs,
                ctx.params,
                "Delete the masks of this run; this cannot be undone",
                "Expected your consent, found none: tick the box to delete.",
                name="agreed",
            )

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Do what the form says with a run; its counts afterwards."""
        action, run = ctx.params.get("action"), find_run(dataset, _run_id(ctx.params))
        if action in (Action.CONTINUE, Action.RETRY):
            retry = action == Action.RETRY
            return report_of(run, go_on(dataset, run, retry=retry, progress=progress, stop=stop))
        if action == Action.SHARE:
            return {
                "run_id": run.run_id,
                "queued": len(queue_shards(dataset, run, _shards(ctx.params))),
            }
        if action == Action.DELETE:
            if ctx.params.get("agreed") is not True:
                raise FieldError("Expected your consent to delete, found none: give agreed=True.")
            delete_run(dataset, run.run_id)
            return {"run_id": run.run_id, "deleted": True}
        if action == Action.FAILURES:
            return {"run_id": run.run_id, "shown": len(retry_view(dataset, run.run_id))}
        raise FieldError(f"Expected {', '.join(Action)} for action, found {action!r}.")

    def after(self, ctx: Any, result: Mapping[str, Any]) -> Any:
        """It shows the failures, or loads the dataset again."""
        if "shown" in result:
            return ctx.ops.set_view(view=retry_view(ctx.dataset, result["run_id"]))
        return super().after(ctx, result)

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """What became of it."""
        add_counts(outputs, result)


def _run_id(params: Mapping[str, Any]) -> str:
    found = params.get("run_id")
    if not isinstance(found, str) or not found:
        raise FieldError("Expected the id of a run for run_id, found none: choose a run.")
    return found


def _shards(params: Mapping[str, Any]) -> int:
    found = params.get("shards", _SHARDS)
    if type(found) is not int or not 1 <= found <= _MOST_SHARDS:
        raise FieldError(
            f"Expected a whole number from 1 to {_MOST_SHARDS} for shards, found {found!r}."
        )
    return found


OPERATORS = [ManageRuns]
