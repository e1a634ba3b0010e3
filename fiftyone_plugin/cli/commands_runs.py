"""Commands: the plugin put in and taken out, and runs."""

from pathlib import Path
from typing import Annotated

import typer

from fiftyone_plugin.cli.root import Dataset, app

__all__: list[str] = []

RunId = Annotated[
    str,
    typer.Argument(help="As `sam-plugins fiftyone runs DATASET` lists it.", metavar="RUN"),
]


@app.command()
def install(
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Copy the plugin's folder, where links are not possible."),
    ] = False,
    zoo: Annotated[
        bool,
        typer.Option("--zoo", help="List the models in FiftyOne's zoo too, for `apply_model`."),
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="By default FiftyOne's folder of plugins.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Make FiftyOne find the plugin, by a link to this installed package."""
    from fiftyone_plugin.cli.plugin import install as run

    run(folder, copy=copy, zoo=zoo)


@app.command()
def uninstall(
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="By default FiftyOne's folder of plugins.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Take the plugin out of FiftyOne again; datasets and their masks stay."""
    from fiftyone_plugin.cli.plugin import uninstall as run

    run(folder)


@app.command()
def segment(
    ctx: typer.Context,
    dataset: Dataset,
    boxes: Annotated[
        str, typer.Option("--boxes", help="Field of Detections whose boxes ask.", metavar="FIELD")
    ] = "",
    points: Annotated[
        str, typer.Option("--points", help="Field of Keypoints that ask.", metavar="FIELD")
    ] = "",
    masks: Annotated[
        str, typer.Option("--masks", help="Field of Detections whose masks ask.", metavar="FIELD")
    ] = "",
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Segment whatever there is; nothing asks. With --boxes: in each box alone.",
        ),
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Follow what boxes or masks of some frames ask for through all frames of their "
            "videos, as in --boxes frames.boxes.",
        ),
    ] = False,
    out: Annotated[
        str, typer.Option("--out", help="Field that the masks are written to.", metavar="FIELD")
    ] = "masks",
    link: Annotated[
        str,
        typer.Option(
            "--link",
            help="Attribute whose equal values make a box and a keypoint one object.",
            metavar="ATTRIBUTE",
        ),
    ] = "",
    signs: Annotated[
        str,
        typer.Option(
            "--signs",
            help="Attribute of keypoints with 1 or 0 per point: foreground, background.",
            metavar="ATTRIBUTE",
        ),
    ] = "sam_labels",
    box_mode: Annotated[
        str,
        typer.Option(
            "--box-mode",
            help="tighten: the box becomes the mask's own. keep: the mask is cut to the box. "
            "expand: a larger box is asked where the mask reaches the edge.",
        ),
    ] = "tighten",
    min_predicted_iou: Annotated[
        float, typer.Option(min=0, max=1, help="Leave masks out that the model trusts less.")
    ] = 0.0,
    min_stability: Annotated[
        float, typer.Option(min=0, max=1, help="Leave masks out that are less stable.")
    ] = 0.0,
    min_area: Annotated[
        int, typer.Option(min=0, help="Leave masks out that have fewer pixels.")
    ] = 0,
    points_per_side: Annotated[
        int, typer.Option(min=1, max=256, help="Grid of --everything.")
    ] = 32,
    max_inline_bytes: Annotated[
        int, typer.Option(min=0, help="A sample whose masks take more has them as files.")
    ] = 1 << 20,
    view: Annotated[
        str | None,
        typer.Option(
            "--view",
            help="Only the samples, and the labels, that this saved view shows.",
            metavar="NAME",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be done.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Work again on samples that failed before.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what others left in the output field.")
    ] = False,
) -> None:
    """Write masks for a dataset, as the operators of the App do.

    Ctrl-C stops, and the same command goes on, also after a crash; each sample is written once.
    Exit code 1 if a sample failed.
    """
    from fiftyone_plugin.cli.segment import run

    run(
        ctx,
        dataset,
        view,
        everything=everything,
        follow=follow,
        params={
            "box_field": boxes,
            "point_field": points,
            "mask_field": masks,
            "label_field": out,
            "link_attribute": link,
            "point_label_attribute": signs,
            "box_mode": box_mode,
            "min_predicted_iou": min_predicted_iou,
            "min_stability": min_stability,
            "min_area": min_area,
            "points_per_side": points_per_side,
            "max_inline_bytes": max_inline_bytes,
            "dry_run": dry_run,
            "retry": retry_failed,
            "overwrite": overwrite,
        },
    )


@app.command()
def runs(ctx: typer.Context, dataset: Dataset) -> None:
    """List the runs on a dataset, and what each has done."""
    from fiftyone_plugin.cli.runs import list_all

    list_all(ctx, dataset)


@app.command()
def delete_run(
    ctx: typer.Context,
    dataset: Dataset,
    run: RunId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run: its masks, its files and its record; labels of others stay."""
    from fiftyone_plugin.cli.runs import delete

    delete(ctx, dataset, run, yes=yes)
