"""`sam-plugins segment`: everything in a picture, or in each picture of a folder."""

import traceback
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.cli import common as shared
from sam_plugins.cli.common import Common, common_of, notes, print_json, progress_bar, results
from sam_plugins.cli.guard import sentence
from sam_plugins.errors import ImageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from sam_plugins.automatic import AutomaticSettings
    from sam_plugins.cli.outputs import Outputs
    from sam_plugins.ports import Segmenter

__all__ = ["OnTop", "segment"]


class OnTop(Enum):
    """`AutomaticSettings.overlaps`, as the command line offers it."""

    KEEP = "keep"
    SMALL = "small_on_top"
    BEST = "best_on_top"


def segment(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(help="A picture, or a folder of them.", metavar="IMAGE|FOLDER"),
    ],
    points_per_side: Annotated[
        int | None, typer.Option("--points-per-side", min=1, max=256, help="Of the grid of points.")
    ] = None,
    pred_iou_thresh: Annotated[
        float | None,
        typer.Option("--pred-iou-thresh", min=0, max=1, help="Keep masks predicted better."),
    ] = None,
    stability_score_thresh: Annotated[
        float | None,
        typer.Option("--stability-score-thresh", min=0, max=1, help="Keep masks as stable."),
    ] = None,
    crop_layers: Annotated[
        int | None,
        typer.Option(
            "--crop-layers",
            min=0,
            max=6,
            help="Search 4 crops as well, with 2 another 16, and so on: finds small objects.",
        ),
    ] = None,
    crop_points_downscale: Annotated[
        int | None,
        typer.Option(
            "--crop-points-downscale",
            min=1,
            max=256,
            help="Divide the points per side by this in each further layer.",
        ),
    ] = None,
    skip_whole_image: Annotated[
        bool, typer.Option("--skip-whole-image", help="Search only the crops.")
    ] = False,
    min_area: Annotated[
        int | None, typer.Option("--min-area", min=0, help="Drop objects of fewer pixels.")
    ] = None,
    max_area: Annotated[
        int | None, typer.Option("--max-area", min=1, help="Drop objects of more pixels.")
    ] = None,
    min_region_area: Annotated[
        int | None,
        typer.Option("--min-region-area", min=0, help="Fill holes, drop islands of fewer pixels."),
    ] = None,
    exclude_border: Annotated[
        bool, typer.Option("--exclude-border", help="Drop objects at the picture's edge.")
    ] = False,
    max_masks: Annotated[
        int | None, typer.Option("--max-masks", min=1, help="Keep the best.")
    ] = None,
    overlaps: Annotated[
        OnTop | None,
        typer.Option(
            "--overlaps",
            help="Whether objects may share pixels in the COCO JSON; in the label image the "
            "smaller one has them.",
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile", min=64, help="Side of the tiles of a large TIFF or zarr; labels go to zarr."
        ),
    ] = None,
    page: Annotated[int, typer.Option("--page", min=0, help="Of files with several, from 0.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do finished pictures again.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(
        "sam_output"
    ),
) -> None:
    """Segment everything in a picture or a folder.

    Writes for each picture an overlay, a label image (TIFF) and a COCO JSON; for a folder one COCO
    JSON of all as well. Pictures that are finished are skipped, so that a stopped run goes on where
    it was; one that fails is reported at the end and stops nothing.

    A zarr folder, and a TIFF of more than 8192 x 8192 pixels, is never held whole: its tiles are
    segmented one by one, and the label image is written as zarr.
    """
    from sam_plugins.automatic import default_settings
    from sam_plugins.cli.files import output_folder
    from sam_plugins.cli.large import is_large, segment_large
    from sam_plugins.cli.outputs import MERGED, merge, outputs_of, pictures_in

    if not source.exists():
        raise ImageError(f"Expected a picture or a folder at {source}, found nothing.")
    large = is_large(source, tile)
    pictures = pictures_in(source) if source.is_dir() and not large else [source]
    if source.is_dir() and out.resolve() == source.resolve():
        raise typer.BadParameter("--out must be another folder than that of the pictures.")
    changes = {
        "points_per_side": points_per_side,
        "pred_iou_thresh": pred_iou_thresh,
        "stability_score_thresh": stability_score_thresh,
        "crop_n_layers": crop_layers,
        "crop_n_points_downscale_factor": crop_points_downscale,
        "skip_whole_image": skip_whole_image or None,
        "min_area": min_area,
        "max_area": max_area,
        "min_mask_region_area": min_region_area,
        "exclude_border": exclude_border or None,
        "max_masks": max_masks,
        "overlaps": None if overlaps is None else overlaps.value,
    }
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    folder, common = output_folder(out), common_of(ctx)
    segmenter = shared.open_model(common)
    settings = replace(default_settings(segmenter.info.name), **given)
    if large:
        segment_large(
            segmenter, source, folder, settings, common, page=page, tile=tile, overwrite=overwrite
        )
        return
    info = {
        "model": segmenter.info.name,
        "model_id": segmenter.info.model_id,
        "settings": asdict(settings),
        "page": page,
    }
    planned = outputs_of(pictures, folder, info)
    failures: dict[str, str] = {}
    with progress_bar() as progress:
        task = progress.add_task("Pictures", total=len(planned))
        for outputs in planned:
            if overwrite or not outputs.complete():
                try:
                    _one(segmenter, outputs, settings, progress)
                except Exception as error:
                    if not source.is_dir():
                        raise
                    failures[str(outputs.source)] = sentence(error)
                    _report(progress.console, outputs.source, error, common)
            progress.advance(task)
    done = [outputs for outputs in planned if str(outputs.source) not in failures]
    if source.is_dir() and done:
        merge(done, folder / MERGED, info)
    _summary(done, failures, folder, common)
    if failures:
        raise typer.Exit(1)


def _one(
    segmenter: "Segmenter",
    outputs: "Outputs",
    settings: "AutomaticSettings",
    progress: "Progress",
) -> None:
    from sam_plugins.automatic import Progress as Step
    from sam_plugins.automatic import generate_masks
    from sam_plugins.images import load_image

    task = progress.add_task(outputs.source.name, total=None)
    try:
        image = load_image(outputs.source, page=outputs.info["page"])
        records = []
        for event in generate_masks(segmenter, image, settings):
            if isinstance(event, Step):
                text = f"{outputs.source.name}: {event.message}"
                progress.update(task, description=text, completed=event.done, total=event.total)
            else:
                records.append(event)
        outputs.write(image, records)
    finally:
        progress.remove_task(task)


def _report(console: "Console", source: Path, error: Exception, common: Common) -> None:
    """Tell a failure above the progress bar, which has its own console."""
    text = f"{source.name}: {sentence(error)}"
    console.print(text, style="red", markup=False, soft_wrap=True)
    if common.debug:
        console.print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)


def _summary(done: "list[Outputs]", failures: dict[str, str], folder: Path, common: Common) -> None:
    counts = {str(outputs.source): outputs.count() for outputs in done}
    if common.as_json:
        files = {str(outputs.source): [str(path) for path in outputs.paths] for outputs in done}
        print_json({"objects": counts, "files": files, "failures": failures})
        return
    for source, count in counts.items():
        results().print(f"{count:6d} objects   {Path(source).name}", markup=False)
    if done:
        results().print(f"Results: {folder}", markup=False, soft_wrap=True)
    if 0 in counts.values():
        notes().print(
            "Where nothing was found no answer passed the thresholds: try lower ones, such as "
            "--pred-iou-thresh 0.4 --stability-score-thresh 0.5, or another --model.",
            soft_wrap=True,
        )
    if failures:
        notes().print(f"{len(failures)} of {len(failures) + len(done)} pictures failed.")
