"""Boxes to masks, the doubtful ones among them, and a file of all.

``python examples/fiftyone_dataset.py PICTURES BOXES OUT``: PICTURES is a folder, BOXES a COCO file
with boxes for its pictures, OUT a folder for the masks. The same command goes on where it was
stopped. ``sam-plugins fiftyone segment`` does the first part for a dataset that is there, and the
plugin's operators do all of it in the App.
"""

import sys
from pathlib import Path
from typing import Any

import fiftyone as fo

from fiftyone_plugin.exchange import ExportSettings, Format, export_masks
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.quality import judge_masks, save_views
from fiftyone_plugin.runs import open_run, retry_view, work_on
from fiftyone_plugin.values import Mode, RunConfig


def opened(pictures: Path, boxes: Path) -> Any:
    """The dataset of the pictures and their boxes; made if it is not there."""
    name = f"example {pictures.resolve().name}"
    if fo.dataset_exists(name):
        return fo.load_dataset(name)
    return fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset,
        data_path=str(pictures),
        labels_path=str(boxes),
        label_types="detections",
        label_field="boxes",
        name=name,
        persistent=True,
        progress=False,
    )


def main(pictures: Path, boxes: Path, out: Path) -> None:
    """Segment, judge and export."""
    dataset = opened(pictures, boxes)

    config = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
    segmenter = segmenter_for(config.model, config.precision)
    run = open_run(dataset, config, segmenter.info.model_id)
    report = work_on(dataset, run, dataset.values("id"), segmenter)
    print(f"{report.objects} masks written, {report.skipped} pictures were done before")
    for sample in retry_view(dataset, run.run_id):
        print(f"{Path(sample.filepath).name}: {sample.masks_reason}")

    judge_masks(dataset, "masks")
    for view in save_views(dataset, "masks"):
        print(f"{view}: {dataset.load_saved_view(view).count('masks.detections')}")

    settings = ExportSettings(format=Format.COCO, label_field="masks", folder=out)
    written = export_masks(dataset, settings)
    print(f"{written.objects} masks are in {out}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("Usage: python examples/fiftyone_dataset.py PICTURES BOXES OUT")
    main(*map(Path, sys.argv[1:]))
