"""Commands: masks and models against what is known."""

from pathlib import Path
from typing import Annotated

import typer

from fiftyone_plugin.cli.root import Dataset, app

__all__: list[str] = []

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
Evaluation = Annotated[
    str,
    typer.Argument(
        help="As `sam-plugins fiftyone evaluations DATASET` lists it.", metavar="EVALUATION"
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Attributes of others may be replaced.")
]


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


@app.command()
def evaluations(ctx: typer.Context, dataset: Dataset, evaluation: Evaluation = "") -> None:
    """List the evaluations that are kept of a dataset; with a name, what came out of that one."""
    from fiftyone_plugin.cli.evaluations import list_all, show

    if evaluation:
        show(ctx, dataset, evaluation)
    else:
        list_all(ctx, dataset)


@app.command()
def delete_evaluation(
    ctx: typer.Context,
    dataset: Dataset,
    evaluation: Evaluation,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an evaluation: its record, attributes and saved views; masks and labels stay."""
    from fiftyone_plugin.cli.evaluations import delete

    delete(ctx, dataset, evaluation, yes=yes)
