"""`sam-plugins cache`: the embeddings kept on the disk: list, clear, warm."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.cli import common as shared
from sam_plugins.cli.common import common_of, notes, print_json, progress_bar, results
from sam_plugins.cli.guard import sentence
from sam_plugins.errors import ImageError, SamPluginsError

if TYPE_CHECKING:
    from sam_plugins.stores import CachedSegmenter, EncoderContents

__all__ = ["cache"]

_EPILOG = (
    "SAM_PLUGINS_CACHE moves the folder, SAM_PLUGINS_STORE_GB bounds it. "
    "Options of every command: --model, --device, --json, --debug."
)

cache = typer.Typer(
    help="List, clear or fill the embeddings on the disk.",
    epilog=_EPILOG,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@cache.command("list")
def show(ctx: typer.Context) -> None:
    """List what is kept: how many, how large, of which model, used when."""
    from sam_plugins.stores import contents, open_disk_store

    store = open_disk_store()
    found = contents(store.folder)
    count, nbytes = sum(len(each.files) for each in found), sum(each.nbytes for each in found)
    if common_of(ctx).as_json:
        print_json(
            {
                "folder": str(store.folder),
                "max_bytes": store.max_bytes,
                "embeddings": count,
                "bytes": nbytes,
                "encoders": [_row(each) for each in found],
            }
        )
        return
    if found:
        _print_table(found)
    results().print(
        f"{count} embeddings, {nbytes / 1e6:.1f} MB of at most {store.max_bytes / 1e6:.0f} MB, in "
        f"{store.folder}",
        markup=False,
        soft_wrap=True,
    )


@cache.command("clear")
def clear_command(
    ctx: typer.Context,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than", min=0, help="Only what was not used for so long.", metavar="DAYS"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete embeddings: all, or those of --model, by name or beginning of the encoder's id.

    Nothing else in the folder is touched. Pictures are encoded again when they are needed.
    """
    from sam_plugins.stores import clear, open_disk_store

    folder, common = open_disk_store().folder, common_of(ctx)
    if not yes:
        which = "" if common.model is None else f" of {common.model}"
        age = "" if older_than is None else f" not used for {older_than:g} days"
        typer.confirm(f"Delete the embeddings{which}{age} in {folder}?", abort=True, err=True)
    removed = clear(folder, older_than_days=older_than, model=common.model)
    nbytes = sum(file.nbytes for file in removed)
    if common.as_json:
        print_json({"folder": str(folder), "removed": len(removed), "bytes": nbytes})
    else:
        results().print(f"{len(removed)} embeddings deleted, {nbytes / 1e6:.1f} MB.")


@dataclass(slots=True)
class _Warmed:
    encoded: int = 0
    known: int = 0
    failures: dict[str, str] = field(default_factory=dict)


@cache.command("warm")
def warm_command(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help="A folder of pictures.", metavar="FOLDER")],
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Half the space; found where SAM_PLUGINS_STORAGE=fp16.")
    ] = False,
) -> None:
    """Encode every picture of a folder, so that hosts open them at once.

    What is kept already is skipped, so that a stopped run goes on where it was; a picture that
    fails is reported and stops nothing.
    """
    from sam_plugins.cli.outputs import pictures_in
    from sam_plugins.stores import CachedSegmenter, open_disk_store

    if not source.is_dir():
        raise ImageError(f"Expected a folder of pictures at {source}, found no folder.")
    pictures, common = pictures_in(source), common_of(ctx)
    store = open_disk_store(storage="fp16" if fp16 else None)
    segmenter = CachedSegmenter(shared.open_model(common), store)
    done = _Warmed()
    with progress_bar() as progress:
        task = progress.add_task("Pictures", total=len(pictures))
        for picture in pictures:
            try:
                _warm_one(segmenter, picture, done)
            except (SamPluginsError, OSError, MemoryError) as error:
                done.failures[str(picture)] = sentence(error)
                text = f"{picture.name}: {sentence(error)}"
                progress.console.print(text, style="red", markup=False, soft_wrap=True)
            progress.advance(task)
    _summary(done, store.folder, common.as_json)
    if done.failures:
        raise typer.Exit(1)


def _warm_one(segmenter: "CachedSegmenter", picture: Path, done: _Warmed) -> None:
    from sam_plugins.images import load_image
    from sam_plugins.stores import warm

    image = load_image(picture)
    for fresh in warm(segmenter, [image]):
        if fresh and not segmenter.holds(image):
            raise SamPluginsError(
                "its embedding was made and could not be kept: free some space, or set "
                "SAM_PLUGINS_CACHE to a folder that can be written to."
            )
        done.encoded += fresh
        done.known += not fresh


def _summary(done: _Warmed, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "encoded": done.encoded,
                "known": done.known,
                "failures": done.failures,
            }
        )
        return
    results().print(
        f"{done.encoded} pictures encoded, {done.known} were there, in {folder}",
        markup=False,
        soft_wrap=True,
    )
    if done.failures:
        notes().print(f"{len(done.failures)} pictures failed.")


def _row(each: "EncoderContents") -> dict[str, Any]:
    return {
        "model": each.name,
        "numerics": each.numerics,
        "storage": each.storage,
        "encoder_id": each.encoder_id,
        "embeddings": len(each.files),
        "bytes": each.nbytes,
        "oldest_use": _day(each.oldest),
        "newest_use": _day(each.newest),
    }


def _print_table(found: "list[EncoderContents]") -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("model", "encoder", "numerics", "storage", "embeddings", "MB", "used"):
        table.add_column(heading, justify="right" if heading in ("embeddings", "MB") else "left")
    for each in found:
        first, last = _day(each.oldest), _day(each.newest)
        table.add_row(
            each.name or ("?" if each.encoder_id else "(damaged)"),
            (each.encoder_id or "")[:12],
            each.numerics or "",
            each.storage,
            str(len(each.files)),
            f"{each.nbytes / 1e6:.1f}",
            first if first == last else f"{first} to {last}",
        )
    results().print(table)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().date().isoformat()
