"""`sam-plugins labelstudio export`: what was submitted, as a folder to train on."""

from collections import Counter
from pathlib import Path

import typer

from labelstudio_backend.console import (
    as_json,
    notes,
    print_json,
    progress_bar,
    results,
    settings_of,
    table,
)
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.learning.catching_up import catch_up
from labelstudio_backend.learning.export import Exported, export_annotations
from labelstudio_backend.learning.intake import Intake
from labelstudio_backend.settings import Settings

__all__ = ["run"]


def run(
    ctx: typer.Context,
    out: Path,
    project: int | None,
    labels: frozenset[str],
    *,
    fetch: bool,
) -> None:
    """Export and tell.

    Raises
    ------
    ConfigError
        If `fetch` is asked for without a project.
    typer.Exit
        With 1 if a task failed.
    """
    from labelstudio_backend.fetching import PictureReader

    settings = settings_of(ctx)
    intake = Intake(settings.state_folder)
    if fetch:
        _fetch(settings, intake, project)
    pictures = PictureReader(settings)
    outcomes: list[Exported] = []
    try:
        with progress_bar() as bar:
            line = bar.add_task("Exporting", total=None)
            for told in export_annotations(
                intake,
                pictures,
                out,
                project=project,
                labels=labels,
                started=lambda tasks: bar.update(line, total=tasks),
            ):
                outcomes += told
                bar.advance(line)
    finally:
        pictures.close()
        intake.close()
    _show(ctx, out, outcomes)
    if any(each.state == "failed" for each in outcomes):
        raise typer.Exit(1)


def _fetch(settings: Settings, intake: Intake, project: int | None) -> None:
    from labelstudio_backend.fetching import LabelStudioClient

    if project is None:
        raise ConfigError("--fetch asks Label Studio for one project: give its --project.")
    if settings.label_studio_url is None:
        raise ConfigError("--fetch needs LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY: set both.")
    client = LabelStudioClient(settings.label_studio_url, settings.api_key)
    with notes().status("Asking Label Studio for annotations"):
        catch_up(client, intake, project)


def _show(ctx: typer.Context, out: Path, outcomes: list[Exported]) -> None:
    states = Counter(each.state for each in outcomes)
    left_out: Counter[str] = Counter()
    for each in outcomes:
        left_out.update(each.left_out)
    failed = [each for each in outcomes if each.state == "failed"]
    objects = sum(each.objects for each in outcomes)
    if as_json(ctx):
        print_json(
            {
                "folder": str(out),
                "pictures": dict(states),
                "objects": objects,
                "left_out": dict(left_out),
                "failed": {each.stem: each.reason for each in failed},
            }
        )
        return
    if not outcomes:
        notes().print(
            "Nothing was submitted yet, as far as the backend knows; --fetch with --project asks "
            "Label Studio.",
            soft_wrap=True,
        )
    rows = [(state, str(states[state])) for state in ("written", "unchanged", "empty", "failed")]
    rows += [(f"regions left out: {why}", str(number)) for why, number in left_out.items()]
    table(("pictures", ""), [row for row in rows if row[1] != "0"])
    for each in failed[:10]:
        notes().print(f"{each.stem}: {each.reason}", markup=False, soft_wrap=True)
    results().print(f"{objects} objects in {out}", markup=False, soft_wrap=True)
    if objects:
        results().print(f"Learn from them: sam-plugins train {out}", markup=False, soft_wrap=True)
