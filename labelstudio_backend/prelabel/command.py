"""`sam-plugins labelstudio prelabel`: a whole project, and a table of what became of it."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from labelstudio_backend.console import (
    as_json,
    notes,
    print_json,
    progress_bar,
    settings_of,
    table,
)
from labelstudio_backend.controls import read_config
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.prelabel.composing import TaskAnnotator, check_choices
from labelstudio_backend.prelabel.journal import Journal, RunKey
from labelstudio_backend.prelabel.lock import project_held
from labelstudio_backend.prelabel.runner import Outcome, Plan, Prelabelling, Summary
from labelstudio_backend.settings import Settings

if TYPE_CHECKING:
    from labelstudio_backend.answering import Annotator
    from labelstudio_backend.fetching import LabelStudioClient

__all__ = ["Choices", "run"]

_STOPPED = 130
_CLOSING_SECONDS = 20.0
_WORDS = {
    "done": "prediction sent",
    "empty": "no prompts, or nothing found: nothing sent",
    "skipped": "has a prediction of this model",
    "empty before": "the same in a former run (--again)",
    "failed": "failed",
    "failed before": "failed in a former run (--retry-failed)",
    "left": "left for the next run",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """The command's options, as it explains them."""

    project: int
    mode: str | None
    label: str | None
    limit: int | None
    parallel: int
    dry_run: bool
    retry_failed: bool
    again: bool


def run(ctx: typer.Context, choices: Choices) -> None:
    """Annotate and tell.

    Raises
    ------
    ConfigError, LabelStudioError
        If it cannot begin or go on; what was done until then is noted and told.
    typer.Exit
        With 1 if a task failed, 130 after Ctrl-C.
    """
    from labelstudio_backend.answering import Annotator
    from labelstudio_backend.fetching import LabelStudioClient, PictureReader

    settings = settings_of(ctx)
    url = settings.label_studio_url
    if url is None or settings.api_key is None:
        raise ConfigError("Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY: where it is, who asks.")
    client = LabelStudioClient(url, settings.api_key)
    with project_held(settings.state_folder, url, choices.project):
        pictures = PictureReader(settings)
        annotator = Annotator(settings, pictures)
        try:
            _over(ctx, choices, settings, client, annotator)
        finally:
            annotator.close(_CLOSING_SECONDS)
            pictures.close()


def _over(
    ctx: typer.Context,
    choices: Choices,
    settings: Settings,
    client: "LabelStudioClient",
    annotator: "Annotator",
) -> None:
    fields = client.project(choices.project)
    xml = str(fields.get("label_config") or "")
    config = read_config(xml)
    check_choices(config, choices.mode, choices.label)
    version = _opened(annotator)
    key = RunKey(
        str(settings.label_studio_url), choices.project, version, choices.mode, choices.label, xml
    )
    plan = Plan(
        choices.project,
        version,
        parallel=choices.parallel,
        limit=choices.limit,
        retry_failed=choices.retry_failed,
        again=choices.again,
        dry_run=choices.dry_run,
    )
    journal = Journal(settings.state_folder, key)
    annotate = TaskAnnotator(annotator, config, version, choices.mode, choices.label)
    going = Prelabelling(plan, client, journal, annotate)
    annotate.belongs_to(going.stop, going.stopping)
    try:
        with progress_bar() as bar:
            line = bar.add_task("Annotating", total=fields.get("task_number") or None)

            def tell(outcome: Outcome) -> None:
                failed = going.summary.counts["failed"]
                words = f"Annotating, {failed} failed" if failed else "Annotating"
                bar.update(line, advance=1, description=words)

            going.run(tell)
    finally:
        journal.close()
        _show(ctx, going.summary, version)
    if annotate.replaced:
        raise ConfigError(
            "The model's file was replaced meanwhile: run the same command again for the new one."
        )
    if going.summary.stopped:
        raise typer.Exit(_STOPPED)
    if going.summary.failures:
        raise typer.Exit(1)


def _opened(annotator: "Annotator") -> str:
    """The model's version, once it is open."""
    with notes().status("Opening the model"):
        while not annotator.model_version:
            error = annotator.status().get("error")
            if error:
                raise ConfigError(f"The model cannot be opened: {error}")
            time.sleep(0.05)
    return annotator.model_version


def _show(ctx: typer.Context, summary: Summary, version: str) -> None:
    failures = {str(each.task): each.reason for each in summary.failures}
    if as_json(ctx):
        print_json(
            {
                "model_version": version,
                "tasks": dict(summary.counts),
                "failures": failures,
                "reasons": dict(summary.reasons),
                "stopped": summary.stopped,
            }
        )
        return
    rows = [
        (words, str(summary.counts[state]))
        for state, words in _WORDS.items()
        if summary.counts[state]
    ]
    table((f"tasks, {version}", ""), rows)
    for task, reason in failures.items():
        notes().print(f"task {task}: {reason}", markup=False, soft_wrap=True)
    failed = summary.counts["failed"] + summary.counts["failed before"]
    if failed > len(failures):
        notes().print(f"and {failed - len(failures)} more; by reason:")
        for reason, number in summary.reasons.most_common(10):
            notes().print(f"{number} x {reason}", markup=False, soft_wrap=True)
