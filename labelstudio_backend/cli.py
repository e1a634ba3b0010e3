"""`sam-plugins labelstudio ...`: the backend, and what it does without Label Studio's window.

What a command needs is imported when it runs.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Serve Label Studio, and annotate its projects.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Project = Annotated[
    int, typer.Option("--project", min=1, help="Its number, as in /projects/NUMBER.")
]
OneProject = Annotated[
    int | None, typer.Option("--project", min=1, help="Only of this project.", metavar="NUMBER")
]


class Mode(StrEnum):
    """What is computed for a task without anybody clicking."""

    PROMPTS = "prompts"
    EVERYTHING = "everything"


@app.callback()
def labelstudio() -> None:
    """Serve Label Studio, and annotate its projects.

    Settings are environment variables: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY say where Label
    Studio is and who asks.
    """


@app.command()
def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Where to listen. By default HOST, or this machine only."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="By default PORT, or 9090."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that answer. By default WORKERS, or 1."),
    ] = None,
) -> None:
    """Answer Label Studio's clicks until Ctrl-C.

    Beyond this machine it listens only with BASIC_AUTH_USER and BASIC_AUTH_PASS set.
    """
    from labelstudio_backend.console import settings_of
    from labelstudio_backend.server import serve as run

    run(settings_of(ctx, host=host, port=port, workers=workers))


@app.command()
def doctor(
    ctx: typer.Context,
    project: Annotated[
        int | None,
        typer.Option("--project", min=1, help="Look at this project, too.", metavar="NUMBER"),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            help="The backend's address for Label Studio. By default what is attached to the "
            "project, or HOST and PORT.",
            metavar="URL",
        ),
    ] = None,
) -> None:
    """Say what is wrong between Label Studio and the backend, and what to change.

    Exit code 1 if something does not work.
    """
    from labelstudio_backend.doctor.command import run

    run(ctx, project, backend)


@app.command()
def prelabel(
    ctx: typer.Context,
    project: Project,
    mode: Annotated[
        Mode | None,
        typer.Option(
            "--mode",
            help="Turn boxes, points and strokes that are on the tasks into masks, or find "
            "everything. By default as the labelling config says (sam_predict), or prompts.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", help="Label of what has none: of everything, of prompts without a label."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Compute no more tasks than this.")
    ] = None,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=64, help="Tasks at the same time.")
    ] = 4,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be computed.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try tasks again that failed before.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Compute tasks again for which nothing was sent before.")
    ] = False,
) -> None:
    """Annotate a whole project: predictions for every task that has none of this model.

    Ctrl-C stops, the same command goes on, also after a crash; nothing is sent twice. Exit code 1
    if a task failed.
    """
    from labelstudio_backend.prelabel.command import Choices, run

    chosen = None if mode is None else mode.value
    run(
        ctx,
        Choices(project, chosen, label, limit, parallel, dry_run, retry_failed, again),
    )


@app.command()
def export(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", help="The folder; an existing one is brought up to date.")
    ],
    project: OneProject = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Only objects of this label; may be given several times."),
    ] = None,
    fetch: Annotated[
        bool,
        typer.Option(
            "--fetch", help="Ask Label Studio first for what was submitted to --project meanwhile."
        ),
    ] = False,
) -> None:
    """Write submitted annotations as a folder that `sam-plugins train` reads.

    The backend keeps what annotators submit while it runs. Masks are made of brush, polygon and
    bitmask regions; boxes are none. Exit code 1 if a task failed.
    """
    from labelstudio_backend.learning.command import run

    run(ctx, out, project, frozenset(label or ()), fetch=fetch)


@app.command()
def models(ctx: typer.Context) -> None:
    """List the model versions that were in use and can be gone back to."""
    from labelstudio_backend.kept import list_models

    list_models(ctx)


@app.command()
def rollback(
    ctx: typer.Context,
    version: Annotated[
        str,
        typer.Argument(help="As `sam-plugins labelstudio models` lists it.", metavar="VERSION"),
    ],
) -> None:
    """Go back to a former model; a backend that runs picks it up.

    It takes the place of the file that SAM_PLUGINS_MODEL names.
    """
    from labelstudio_backend.kept import go_back

    go_back(ctx, version)
