"""What every command shares: its common options, an open model, and where words go.

Results go to standard output; progress, notes and errors to standard error.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from sam_plugins.ports import Segmenter

__all__ = ["Common", "common_of", "notes", "open_model", "print_json", "progress_bar", "results"]


@dataclass(frozen=True, slots=True)
class Common:
    """The options of every command.

    Parameters
    ----------
    model, device, engine, precision
        As `open_segmenter` takes them.
    as_json
        Results as one JSON document.
    debug
        Errors with their traceback.
    """

    model: str | None = None
    device: str | None = None
    engine: str = "auto"
    precision: str = "fp32"
    as_json: bool = False
    debug: bool = False


def common_of(ctx: typer.Context) -> Common:
    """The common options of a running command."""
    found = ctx.find_root().obj
    return found if isinstance(found, Common) else Common()


def open_model(common: Common) -> "Segmenter":
    """The model that the options name, ready; says so meanwhile, as it takes a second or more."""
    with notes().status("Opening the model"):
        from sam_plugins.session import open_segmenter

        return open_segmenter(
            common.model, device=common.device, engine=common.engine, precision=common.precision
        )


def results() -> "Console":
    """Where results go."""
    from rich.console import Console

    return Console(highlight=False)


def notes() -> "Console":
    """Where progress, notes and errors go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    typer.echo(json.dumps(document, indent=2))


@contextmanager
def progress_bar() -> Iterator["Progress"]:
    """A progress bar on standard error, if that is a terminal; gone when the work is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    console = notes()
    off = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as progress:
        yield progress
