"""Where the words of commands go: results to standard output, the rest to standard error."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["as_json", "notes", "print_json", "progress_bar", "say", "show_result", "table"]


def as_json(ctx: typer.Context) -> bool:
    """Whether results are wanted as one JSON document."""
    return bool(getattr(ctx.find_root().obj, "as_json", False))


def print_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Write a sentence to standard output."""
    typer.echo(text)


def notes() -> "Console":
    """Where progress, notes and errors go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show_result(ctx: typer.Context, result: Mapping[str, Any]) -> None:
    """Write what an evaluation found: its sentences and its table, or JSON."""
    if as_json(ctx):
        print_json({key: value for key, value in result.items() if key != "sentences"})
        return
    for sentence in result.get("sentences", ()):
        say(sentence)
    if result.get("markdown"):
        say(f"\n{result['markdown']}")


def table(rows: Sequence[tuple[str, str]]) -> None:
    """Write two columns to standard output."""
    width = max((len(first) for first, _ in rows), default=0)
    for first, second in rows:
        typer.echo(f"{first:<{width}}  {second}")


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
