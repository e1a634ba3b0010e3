"""`sam-plugins fiftyone ...`: the plugin, and what its operators do, without FiftyOne's App.

What a command needs is imported when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Put the plugin into FiftyOne, and segment its datasets.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Dataset = Annotated[
    str, typer.Argument(help="Its name, as `fiftyone datasets list` shows it.", metavar="DATASET")
]
RunId = Annotated[
    str,
    typer.Argument(help="As `sam-plugins fiftyone runs DATASET` lists it.", metavar="RUN"),
]
SavedView = Annotated[
    str | None,
    typer.Option("--view", help="Only what this saved view shows.", metavar="NAME"),
]
Truth = Annotated[
    str, typer.Option("--truth", help="Field of Detections that are known.", metavar="FIELD")
]
Masks = Annotated[
    str, typer.Option("--masks", help="Field of Detections of a model.", metavar="FIELD")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write the result: .md, .csv or .json.", metavar="FILE"),
]
Key = Annotated[
    str,
    typer.Option("--key", help="Keep the result as a FiftyOne run of that name.", metavar="NAME"),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Attributes of others may be replaced.")
]


@app.callback()
def fiftyone() -> None:
    """Put the plugin into FiftyOne, and segment its datasets.

    FiftyOne's own settings say which database and folders: FIFTYONE_DATABASE_URI and others.
    """


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
        bool, typer.Option("--everything", help="Segment whatever there is; nothing asks.")
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
        typer.Option("--view", help="Only the samples of this saved view.", metavar="NAME"),
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


@app.command()
def evaluate(
    ctx: typer.Context,
    dataset: Dataset,
    truth: Truth,
    masks: Masks = "",
    prompts: Annotated[
        bool,
        typer.Option("--prompts", help="Ask --model: one click on, and the box of, each object."),
    ] = False,
    any_class: Annotated[bool, typer.Option("--any-class", help="Classes play no part.")] = False,
    match_iou: Annotated[
        float, typer.Option(min=0, max=1, help="A mask and a known object are one from this IoU.")
    ] = 0.5,
    max_detections: Annotated[
        int, typer.Option(min=1, help="Masks of a picture and class that take part in AP.")
    ] = 100,
    max_objects: Annotated[
        int, typer.Option(min=0, help="With --prompts: objects of a picture at most; 0: all.")
    ] = 0,
    attributes: Annotated[
        str,
        typer.Option(
            "--attributes", help="Write attributes that begin so into the labels.", metavar="NAME"
        ),
    ] = "",
    save_views: Annotated[
        bool, typer.Option("--save-views", help="Save views of false and of missed objects.")
    ] = False,
    key: Key = "",
    view: SavedView = None,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure masks, or a model, against known masks: AP, Boundary AP, IoU."""
    from fiftyone_plugin.cli.evaluate import evaluate as run

    params = {
        "truth_field": truth,
        "prediction_field": masks,
        "by_class": not any_class,
        "match_iou": match_iou,
        "max_detections": max_detections,
        "max_objects": max_objects,
        "attributes": attributes,
        "save_views": save_views,
        "key": key,
        "overwrite": overwrite,
    }
    run(ctx, dataset, view, out, params, prompts=prompts)


@app.command()
def find_mistakes(
    ctx: typer.Context,
    dataset: Dataset,
    truth: Truth,
    masks: Masks,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Masks of less confidence say nothing.")
    ] = 0.8,
    fit_iou: Annotated[
        float, typer.Option(min=0, max=1, help="A pair of lower IoU does not fit.")
    ] = 0.6,
    view: SavedView = None,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Find labels that a model contradicts: attributes with reasons, and saved views."""
    from fiftyone_plugin.cli.evaluate import find as run

    params = {
        "truth_field": truth,
        "prediction_field": masks,
        "min_score": min_score,
        "fit_iou": fit_iou,
        "overwrite": overwrite,
    }
    run(ctx, dataset, view, out, params)


@app.command()
def compare_groups(
    ctx: typer.Context,
    dataset: Dataset,
    objects: Annotated[
        str, typer.Option("--objects", help="Field of Detections.", metavar="FIELD")
    ],
    by: Annotated[
        str,
        typer.Option("--by", help="Field of samples, or FIELD.label and the like.", metavar="PATH"),
    ],
    measure: Annotated[
        str,
        typer.Option(
            "--measure",
            help="iou, boundary_iou, found, ap, ap50, ap75, boundary_ap, click_iou, box_iou, "
            "predicted_iou, or any number of the labels.",
        ),
    ] = "iou",
    masks: Masks = "",
    reference: Annotated[
        str, typer.Option("--reference", help="The group that others are compared with.")
    ] = "",
    bins: Annotated[int, typer.Option(min=1, max=50, help="Groups of a number.")] = 4,
    min_images: Annotated[
        int, typer.Option(min=2, help="Nothing is said of a group from fewer pictures.")
    ] = 10,
    key: Key = "",
    view: SavedView = None,
    out: Out = None,
) -> None:
    """Compare a number between groups, with intervals, and claim only what they allow."""
    from fiftyone_plugin.cli.evaluate import compare as run

    params = {
        "label_field": objects,
        "prediction_field": masks,
        "by": by,
        "measure": measure,
        "reference": reference,
        "bins": bins,
        "min_images": min_images,
        "key": key,
    }
    run(ctx, dataset, view, out, params)
