"""`sam-plugins napari ...`: what the plugin does without a window."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.errors import SamPluginsError

if TYPE_CHECKING:
    from napari_plugin.export import Answer, ObjectAgreement, Provenance
    from sam_plugins.formats import LabelStack
    from sam_plugins.ports import Segmenter

__all__ = ["app"]

app = typer.Typer(
    help="Work with what the napari plugin made, without a window.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def napari() -> None:
    """Work with what the napari plugin made, without a window."""


@app.command()
def replay(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A provenance document (.sam.json).", metavar="FILE")
    ],
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", help="The image, if it is not where it was.", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the labels: .tif or .zarr.", metavar="FILE"),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", help="Compare with these labels: .tif or .zarr.", metavar="FILE"),
    ] = None,
    any_image: Annotated[
        bool, typer.Option("--any-image", help="Go on if the image is not the same.")
    ] = False,
    any_model: Annotated[
        bool, typer.Option("--any-model", help="Go on if the model is not the same.")
    ] = False,
) -> None:
    """Make the masks again that a provenance document describes, and say whether they are the same.

    Exit code 0: every pixel is as it was. 1: some are not.
    """
    from napari_plugin.export import compare_labels, labels_digest, read_provenance

    document = read_provenance(file)
    answer = _answer(ctx, document, file.parent, image or [], any_image, any_model)
    made = document.stack(_labels(document, answer))
    digest = next(step for step in labels_digest(made) if isinstance(step, str))
    same = not document.digest or digest == document.digest
    agreements: list[ObjectAgreement] = []
    if check is not None:
        agreements = compare_labels(made, _read(check))
        same = all(each.iou == 1 for each in agreements)
    if out is not None:
        _write(out, made)
    _show(ctx, file, same, agreements, checked=check, digest=digest if document.digest else None)
    if not same:
        raise typer.Exit(1)


def _answer(
    ctx: typer.Context,
    document: "Provenance",
    folder: Path,
    image: list[Path],
    any_image: bool,
    any_model: bool,
) -> "Answer | None":
    """What asks the model of a document about its image; nothing is opened if nothing is asked."""
    from napari_plugin.export.headless import answers_of, found_paths, opened_image
    from napari_plugin.layers import image_layers

    if not document.asks:
        return None
    layers = image_layers(image or found_paths(document, folder))
    picture = opened_image(document, layers, any_image=any_image)
    return answers_of(_model(ctx, document, any_model), picture.source, document.tiles)


def _model(ctx: typer.Context, document: "Provenance", any_model: bool) -> "Segmenter":
    """The model of the document, or the one that the options name."""
    from sam_plugins import open_segmenter

    options, wanted = ctx.find_root().obj, document.model
    engine = getattr(options, "engine", "auto")
    # The store holds what the plugin encoded, rounded as it was if embeddings are kept rounded.
    segmenter = open_segmenter(
        getattr(options, "model", None) or wanted.name,
        device=getattr(options, "device", None),
        precision=wanted.precision,
        engine=wanted.engine if engine == "auto" else engine,
        store="default",
    )
    found = segmenter.info
    if found.model_id != wanted.model_id and not any_model:
        raise SamPluginsError(
            f"The masks were made with weights {wanted.model_id[:12]} ('{wanted.name}'), and "
            f"'{found.name}' has weights {found.model_id[:12]}: give the file of those weights "
            "with --model, or go on with others by --any-model."
        )
    return segmenter


def _labels(document: "Provenance", answer: "Answer | None") -> Any:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from napari_plugin.export import replay as steps
    from sam_plugins import Progress

    console = Console(stderr=True, highlight=False)
    labels: Any = None
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Replaying", total=len(document.operations))
        for step in steps(document, answer):
            if isinstance(step, Progress):
                bar.update(task, completed=step.done, description=step.message)
            else:
                labels = step
    return labels


def _read(path: Path) -> "LabelStack":
    from sam_plugins.formats import read_label_tiff, read_label_zarr

    return read_label_zarr(path) if path.is_dir() else read_label_tiff(path)


def _write(path: Path, stack: "LabelStack") -> None:
    from sam_plugins.formats import write_label_tiff, write_label_zarr

    zarr = path.suffix.lower() == ".zarr"
    for _ in write_label_zarr(path, stack) if zarr else write_label_tiff(path, stack):
        pass


def _show(
    ctx: typer.Context,
    file: Path,
    same: bool,
    agreements: "list[ObjectAgreement]",
    *,
    checked: Path | None,
    digest: str | None,
) -> None:
    """Say how it went, for people or for programs."""
    if getattr(ctx.find_root().obj, "as_json", False):
        objects = [
            {
                "label": each.label,
                "iou": each.iou,
                "pixels": each.pixels,
                "expected_pixels": each.expected_pixels,
            }
            for each in agreements
        ]
        typer.echo(json.dumps({"file": str(file), "same": same, "objects": objects}, indent=2))
        return
    for each in agreements:
        sizes = f"{each.pixels} pixels for {each.expected_pixels}"
        typer.echo(f"object {each.label}: IoU {each.iou:.4f}, {sizes}")
    if checked is None and digest is None:
        typer.echo("Replayed. The document does not say what came out; compare with --check.")
    else:
        than = f"in {checked}" if checked is not None else "when the document was written"
        typer.echo(f"The masks are {'the same as' if same else 'not the same as'} {than}.")
