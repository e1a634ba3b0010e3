"""Defects of FiftyOne's own wrappers of SAM, measured in 1.22.1, that a run does not have.

D6, the memory of many boxes on a large picture, is `test_fo_masking_memory`; D7, that of a long
video, `test_fo_video_memory`; D9 with the largest masks, `test_fo_runs_bounds`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sam_plugins
from fiftyone_plugin.fields import MASK_ATTRIBUTES, status_field
from fiftyone_plugin.labels import detection_of, mask_of
from fiftyone_plugin.masking import measure_mask
from fiftyone_plugin.runs import open_run, work_on
from fiftyone_plugin.values import BoxMode, MaskedObject, Mode, RunConfig, SampleAnswer

SIZE = (96, 128)


@pytest.fixture
def segmented(segmenter: Any) -> Any:
    """``segmented(dataset)`` runs boxes to masks over it, as often as it is called."""

    def work(dataset: Any, model: Any = segmenter, out: str = "masks", **settings: Any) -> Any:
        config = RunConfig(mode=Mode.PROMPTS, label_field=out, box_field="boxes", **settings)
        run = open_run(dataset, config, model.info.model_id)
        report = work_on(dataset, run, dataset.values("id"), model)
        dataset.reload()
        return report

    return work


def without_boxes(dataset: Any, number: int) -> Any:
    sample = dataset.skip(number).first()
    sample["boxes"] = None
    sample.save()
    return sample


def test_d1_a_sample_without_boxes_costs_no_other_its_masks(make_dataset: Any, segmented: Any):
    dataset = make_dataset(8, boxes=2)
    empty = {without_boxes(dataset, number).id for number in (1, 5)}
    report = segmented(dataset)
    assert (report.done, report.nothing, report.failed) == (6, 2, 0)
    for sample in dataset:
        assert len(sample.masks.detections) == (0 if sample.id in empty else 2)


def test_d2_a_sample_without_boxes_is_done_and_is_not_tried_again(
    make_dataset: Any, segmented: Any
):
    dataset = make_dataset(4, boxes=1)
    empty = without_boxes(dataset, 2)
    segmented(dataset)
    assert dataset[empty.id].masks is not None
    assert dataset[empty.id][status_field("masks")] == "nothing"
    assert segmented(dataset).skipped == 4
    assert len(dataset.exists("masks", False)) == 0


OVER_AN_EDGE = [
    [-0.2, 0.1, 0.5, 0.5],
    [0.8, 0.2, 0.5, 0.3],
    [0.1, -0.3, 0.4, 0.9],
    [0.3, 0.7, 0.2, 0.6],
]


@pytest.mark.parametrize("box", OVER_AN_EDGE, ids=["left", "right", "top", "bottom"])
def test_d3_a_box_over_an_edge_has_a_mask_of_its_shape_inside_the_picture(
    make_dataset: Any, segmented: Any, box: list[float]
):
    dataset = make_dataset(1, boxes=1)
    sample = dataset.first()
    sample.boxes.detections[0].bounding_box = box
    sample.save()
    for mode in BoxMode:
        segmented(dataset, out=f"masks_{mode}", box_mode=mode)
        (label,) = dataset.first()[f"masks_{mode}"].detections
        x, y, width, height = label.bounding_box
        assert x >= 0
        assert y >= 0
        assert x + width <= 1 + 1e-9
        assert y + height <= 1 + 1e-9
        shape = (round(height * SIZE[0]), round(width * SIZE[1]))
        assert label.mask.shape == shape
        assert min(shape) > 0


def test_d4_what_lies_outside_a_box_that_is_too_tight_is_not_lost(
    make_dataset: Any, segmented: Any, require: Any
):
    weights = Path(sam_plugins.__file__).parent / "assets" / "nano.safetensors"
    require("nano", weights.exists())
    dataset = make_dataset(1, boxes=1)
    sample = dataset.first()
    asked = sample.boxes.detections[0]
    x, y, width, height = asked.bounding_box
    whole = width * SIZE[1] * height * SIZE[0] * np.pi / 4
    asked.bounding_box = [x + width / 8, y + height / 8, width * 3 / 4, height * 3 / 4]
    sample.save()
    segmented(dataset, sam_plugins.open_segmenter("nano"), box_mode=BoxMode.EXPAND)
    (label,) = dataset.first().masks.detections
    assert abs(label.area - whole) < 0.15 * whole
    assert label.box_iou_before < 0.9


@pytest.mark.parametrize("at", [(0, 0), (124, 93), (60, 40)])
def test_d5_a_mask_keeps_its_last_row_and_column(at: tuple[int, int]):
    crop = np.ones((3, 4), bool)
    box = (at[0], at[1], at[0] + 4, at[1] + 3)
    masked = MaskedObject(prompt_id="", crop=crop, box=box, quality=measure_mask(crop, box, SIZE))
    label = detection_of(masked, SIZE, run_id="run", model_id="model")
    found, where = mask_of(label, SIZE)
    assert np.count_nonzero(found) == label.area == 12
    assert where == box


def test_d8_every_mask_has_confidence_stability_and_a_link_to_its_prompt(
    make_dataset: Any, segmented: Any, segmenter: Any
):
    dataset = make_dataset(2, boxes=3)
    segmented(dataset)
    for sample in dataset:
        prompts = {str(label.id) for label in sample.boxes.detections}
        assert {label.prompt_id for label in sample.masks.detections} == prompts
        for label in sample.masks.detections:
            assert label.label == "disc"
            assert 0 <= label.confidence <= 1
            assert 0 <= label.stability_score <= 1
            assert label.model_id == segmenter.info.model_id
            assert all(label.has_field(name) for name in MASK_ATTRIBUTES)


def test_a_mask_of_one_pixel_is_no_file(make_dataset: Any, segmented: Any, monkeypatch: Any):
    crop, box = np.ones((1, 1), bool), (5, 6, 6, 7)
    one = MaskedObject(prompt_id="p", crop=crop, box=box, quality=measure_mask(crop, box, SIZE))
    answer = SampleAnswer(objects=(one,), unanswered=(), size=SIZE)
    monkeypatch.setattr("fiftyone_plugin.runs.working.mask_objects", lambda *_: answer)
    dataset = make_dataset(1, boxes=1)
    segmented(dataset, max_inline_bytes=0)
    found, where = mask_of(dataset.first().masks.detections[0], SIZE)
    assert found.tolist() == [[True]]
    assert where == box


def test_d9_masks_beyond_the_limit_are_files(make_dataset: Any, segmented: Any, tmp_path: Path):
    dataset = make_dataset(1, boxes=3)
    segmented(dataset, max_inline_bytes=0, folder=str(tmp_path / "masks"))
    for label in dataset.first().masks.detections:
        assert label.mask is None
        assert Path(label.mask_path).is_relative_to(tmp_path / "masks")
        found, box = mask_of(label, SIZE)
        assert found.shape == (box[3] - box[1], box[2] - box[0])
        assert np.count_nonzero(found) == label.area
