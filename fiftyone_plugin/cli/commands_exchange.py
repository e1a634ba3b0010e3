"""Commands: masks as files, and back."""

from pathlib import Path
from typing import Annotated

import typer

from fiftyone_plugin.cli.root import Dataset, app

__all__: list[str] = []

Format = Annotated[
    str,
    typer.Option("--format", help="coco, yolo, sa1b, training or label-studio.", metavar="FORMAT"),
]


@app.command()
def export(
    ctx: typer.Context,
    dataset: Dataset,
    folder: Annotated[
        str, typer.Argument(help="A new one, or that of the same export.", metavar="FOLDER")
    ],
    field: Annotated[
        str, typer.Option("--field", help="Field with the masks.", metavar="FIELD")
    ] = "masks",
    format: Format = "coco",
    view: Annotated[
        str | None,
        typer.Option("--view", help="Only the samples of this saved view.", metavar="NAME"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="accepted, rejected or unsure; may be given again. By default accepted ones for "
            "training, unsure ones for label-studio, else all.",
            metavar="REVIEW",
        ),
    ] = None,
    pictures: Annotated[
        str,
        typer.Option("--pictures", help="copy, link or none. By default, what suits the format."),
    ] = "",
    scores: Annotated[
        bool, typer.Option("--scores", help="yolo: end lines with the confidence.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, help="yolo: pixels that outlines may move; 0 is exact.")
    ] = 0.0,
    image_root: Annotated[
        str,
        typer.Option(
            "--image-root",
            help="label-studio: the folder that it serves. By default, pictures are copied.",
        ),
    ] = "",
    image_prefix: Annotated[
        str, typer.Option("--image-prefix", help="label-studio: what addresses begin with.")
    ] = "/data/local-files/?d=",
) -> None:
    """Write the masks of a field as files.

    The same command into the same folder continues after a crash. Exit code 1 if a sample failed.
    """
    from fiftyone_plugin.cli.exchange import export as run

    run(
        ctx,
        dataset,
        view,
        {
            "label_field": field,
            "folder": folder,
            "format": format,
            "reviews": only,
            "pictures": pictures,
            "scores": scores,
            "tolerance": tolerance,
            "image_root": image_root,
            "image_prefix": image_prefix,
        },
    )


@app.command("import")
def import_(
    ctx: typer.Context,
    dataset: Dataset,
    source: Annotated[
        str,
        typer.Argument(help="A document, a folder, or Label Studio's JSON export.", metavar="FROM"),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            help="Field that is written. Of label-studio by default a new one beside the field "
            "that was asked about.",
            metavar="FIELD",
        ),
    ] = "",
    format: Format = "coco",
    new_from: Annotated[
        Path | None,
        typer.Option(
            "--new-from", help="Make a new dataset of this folder's pictures.", metavar="FOLDER"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the field.")
    ] = False,
    max_inline_bytes: Annotated[
        int, typer.Option(min=0, help="A sample whose masks take more has them as files.")
    ] = 1 << 20,
) -> None:
    """Read masks of files into a field; samples are found by the names of their pictures.

    Exit code 1 if a picture failed.
    """
    from fiftyone_plugin.cli.exchange import import_ as run

    run(
        ctx,
        dataset,
        new_from,
        {
            "source": source,
            "label_field": out,
            "format": format,
            "overwrite": overwrite,
            "max_inline_bytes": max_inline_bytes,
        },
    )
