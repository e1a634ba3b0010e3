"""`sam-plugins demo`: what the model does, on pictures that need no download."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.cli import common as shared
from sam_plugins.cli.common import common_of, print_json, progress_bar, results

if TYPE_CHECKING:
    from sam_plugins.ports import Segmenter
    from sam_plugins.rendering import Panel
    from sam_plugins.samples import Sample
    from sam_plugins.types import Image, MaskRecord, Masks, Prompt

__all__ = ["demo"]

_POINTS_PER_SIDE = 16


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(
        "demo_output"
    ),
) -> None:
    """Segment sample pictures and show the results.

    Each from one click, from a box, and completely. Writes overlays, label images, COCO JSON and
    one contact sheet; nothing is downloaded.
    """
    from sam_plugins.cli.files import output_folder, write_picture
    from sam_plugins.rendering import contact_sheet
    from sam_plugins.samples import SAMPLES

    folder, common = output_folder(out), common_of(ctx)
    segmenter = shared.open_model(common)
    shown: list[_Shown] = []
    with progress_bar() as progress:
        task = progress.add_task("Pictures", total=len(SAMPLES))
        for make in SAMPLES.values():
            sample = make()
            progress.update(task, description=sample.title)
            shown.append(_show(segmenter, sample, folder))
            progress.advance(task)
    sheet = folder / "contact_sheet.png"
    rows = [(one.heading, one.panels) for one in shown]
    write_picture(sheet, contact_sheet(rows, ("Picture", "One click", "A box", "Everything")))
    if common.as_json:
        model = segmenter.info.name
        print_json({"model": model, "sheet": str(sheet), "samples": [one.row for one in shown]})
    else:
        _print_table(segmenter.info.name, shown, sheet)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One row of the contact sheet and of the table."""

    heading: str
    panels: "list[Panel]"
    row: dict[str, Any]


def _show(segmenter: "Segmenter", sample: "Sample", folder: Path) -> _Shown:
    from sam_plugins.cli.files import write_picture
    from sam_plugins.formats import (
        CocoImage,
        records_to_label_image,
        write_coco,
        write_label_image,
    )
    from sam_plugins.rendering import Panel, crops_of_records, render_overlay

    size = (sample.image.shape[0], sample.image.shape[1])
    started = time.perf_counter()
    embedding = segmenter.encode(sample.image)
    click = segmenter.decode(embedding, sample.click)
    box = segmenter.decode(embedding, sample.box_prompt)
    records = _everything(segmenter, sample.image)
    seconds = time.perf_counter() - started

    everything = render_overlay(sample.image, crops_of_records(records))
    panels = [
        Panel(sample.image, f"{size[1]} x {size[0]} pixels"),
        _panel(sample, sample.click, click),
        _panel(sample, sample.box_prompt, box),
        Panel(everything, f"{len(records)} objects"),
    ]
    write_picture(folder / f"{sample.name}.png", sample.image)
    for name, panel in zip(("click", "box", "everything"), panels[1:], strict=True):
        write_picture(folder / f"{sample.name}_{name}.png", panel.image)
    write_label_image(folder / f"{sample.name}_labels.tif", records_to_label_image(records, size))
    picture = CocoImage(file_name=f"{sample.name}.png", size=size, records=tuple(records))
    about = {"model": segmenter.info.name, "licence": sample.licence, "source": sample.source}
    write_coco(folder / f"{sample.name}.json", [picture], about)
    row = {
        "name": sample.name,
        "licence": sample.licence,
        "source": sample.source,
        "click_predicted_iou": float(click.iou_predictions[click.best_index]),
        "click_iou": _true_iou(sample, click),
        "box_predicted_iou": float(box.iou_predictions[box.best_index]),
        "box_iou": _true_iou(sample, box),
        "objects": len(records),
        "seconds": round(seconds, 2),
    }
    return _Shown(f"{sample.title}  ·  {sample.licence}  ·  {sample.source}", panels, row)


def _everything(segmenter: "Segmenter", image: "Image") -> "list[MaskRecord]":
    from sam_plugins.automatic import default_settings, generate_masks
    from sam_plugins.types import MaskRecord

    settings = replace(default_settings(segmenter.info.name), points_per_side=_POINTS_PER_SIDE)
    events = generate_masks(segmenter, image, settings)
    return [event for event in events if isinstance(event, MaskRecord)]


def _panel(sample: "Sample", prompt: "Prompt", masks: "Masks") -> "Panel":
    from sam_plugins.rendering import Panel, render_overlay

    overlay = render_overlay(sample.image, [masks.crop(masks.best_index)], [prompt])
    caption = f"predicted IoU {masks.iou_predictions[masks.best_index]:.2f}"
    true = _true_iou(sample, masks)
    return Panel(overlay, caption if true is None else f"{caption}, true IoU {true:.2f}")


def _true_iou(sample: "Sample", masks: "Masks") -> float | None:
    """IoU with the object of the truth that the answer fits best; None without a truth."""
    if sample.truth is None:
        return None
    import numpy as np

    best = masks.best()
    whole = np.bincount(sample.truth.ravel())
    shared_pixels = np.bincount(sample.truth[best], minlength=len(whole))
    iou = shared_pixels[1:] / (whole[1:] + np.count_nonzero(best) - shared_pixels[1:])
    return float(iou.max())


def _print_table(model: str, shown: list[_Shown], sheet: Path) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=f"Model {model}", title_justify="left")
    table.add_column("sample")
    for heading in ("click", "true", "box", "true", "objects", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("licence")
    for one in shown:
        row = one.row
        table.add_row(
            row["name"],
            f"{row['click_predicted_iou']:.2f}",
            "" if row["click_iou"] is None else f"{row['click_iou']:.2f}",
            f"{row['box_predicted_iou']:.2f}",
            "" if row["box_iou"] is None else f"{row['box_iou']:.2f}",
            str(row["objects"]),
            f"{row['seconds']:.1f}",
            row["licence"],
        )
    results().print(table)
    results().print("click and box: IoU that the model predicts; true: with the drawn truth.")
    results().print(f"Look at {sheet}", markup=False, soft_wrap=True)
