"""`sam-plugins models` and `sam-plugins download`: what is known, what is here, how to get it."""

import json
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.cli.common import common_of, notes, print_json, results
from sam_plugins.errors import CheckpointError

if TYPE_CHECKING:
    from sam_plugins.weights import Checkpoint

__all__ = ["download", "models"]

_ACCURACY = "accuracy.json"
"""Name -> {"click": IoU, "box": IoU, "on": what}, beside the bundled weights."""


def models(ctx: typer.Context) -> None:
    """List known models and which are on this machine."""
    from sam_plugins.weights import CHECKPOINTS

    accuracy = _accuracy()
    rows = [_row(checkpoint, accuracy) for checkpoint in CHECKPOINTS.values()]
    if common_of(ctx).as_json:
        print_json(rows)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "here", "MB", "licence", "IoU click / box", "what for"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for row in rows:
        size = row["size_bytes"]
        measured = row["accuracy"]
        table.add_row(
            row["name"],
            "yes" if row["path"] else "no",
            "" if size is None else f"{size / 1e6:.0f}",
            row["licence"],
            "" if measured is None else f"{measured['click']:.2f} / {measured['box']:.2f}",
            row["note"].partition(";")[0].rstrip("."),
        )
    results().print(table)
    for name, measured in accuracy.items():
        results().print(f"{name} measured on {measured['on']}.", markup=False)
    results().print(
        "Fetch one with `sam-plugins download NAME`, use it with --model NAME.", markup=False
    )


def download(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="As `sam-plugins models` lists it.", metavar="NAME")],
) -> None:
    """Fetch the weights of a known model."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from sam_plugins.weights import checkpoint_named
    from sam_plugins.weights import download as fetch

    known = checkpoint_named(name)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = notes()
    off = not console.is_terminal
    with Progress(
        *columns, TransferSpeedColumn(), console=console, transient=True, disable=off
    ) as progress:
        task = progress.add_task(name, total=known.size_bytes if known else None)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        path = fetch(name, progress=advance)
    verified = known is not None and (known.verified or known.url is None)
    if known is not None and not verified:
        notes().print(f"The hash of {name} is not known here: the file was not checked.")
    if common_of(ctx).as_json:
        print_json({"name": name, "path": str(path), "verified": verified})
    else:
        results().print(f"{name}: {path}", markup=False, soft_wrap=True)


def _row(checkpoint: "Checkpoint", accuracy: dict[str, Any]) -> dict[str, Any]:
    from sam_plugins.weights import find_checkpoint

    try:
        path = find_checkpoint(checkpoint.name)
    except CheckpointError:
        path = None
    size = checkpoint.size_bytes
    if path is not None and path.is_file():
        size = path.stat().st_size
    return {
        "name": checkpoint.name,
        "path": None if path is None else str(path),
        "size_bytes": size,
        "licence": checkpoint.licence,
        "accuracy": accuracy.get(checkpoint.name),
        "note": checkpoint.note,
        "citation": checkpoint.citation,
        "url": checkpoint.url,
        "verified": checkpoint.verified,
    }


def _accuracy() -> dict[str, Any]:
    """What was measured by this library; empty where nothing was."""
    path = resources.files("sam_plugins") / "assets" / _ACCURACY
    measured: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return measured
