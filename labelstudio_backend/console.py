"""Where the words of commands go: results to standard output, the rest to standard error."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from labelstudio_backend.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["as_json", "notes", "print_json", "progress_bar", "results", "settings_of", "table"]


def settings_of(ctx: typer.Context, **given: Any) -> Settings:
    """The settings of the environment, with what was given on the command line in their place.

    Parameters
    ----------
    ctx
        Of a running command; its common option --model counts as given.
    given
        Fields of `Settings`; None leaves a field as it is.

    Raises
    ------
    ConfigError
        If a variable of the environment cannot be used.
    """
    given["model"] = getattr(ctx.find_root().obj, "model", None)
    said = {name: value for name, value in given.items() if value is not None}
    return replace(Settings.from_environment(), **said)


def as_json(ctx: typer.Context) -> bool:
    """Whether results are wanted as one JSON document."""
    return bool(getattr(ctx.find_root().obj, "as_json", False))


def print_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def results() -> "Console":
    """Where results go."""
    from rich.console import Console

    return Console(highlight=False)


def notes() -> "Console":
    """Where progress, notes and errors go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to standard output; its texts are shown as they are."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))
    results().print(made)


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
