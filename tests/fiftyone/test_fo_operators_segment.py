"""Prompts to masks through FiftyOne's own execution: forms, counts, consent, failures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_server import link_plugin
from operating import execute, form
from PIL import Image

from fiftyone_plugin.fields import reason_field, status_field
from fiftyone_plugin.start.plugin_folder import PLUGIN

PROMPTS = f"{PLUGIN}/segment_prompts"
EVERYTHING = f"{PLUGIN}/segment_everything"


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(make_dataset: Callable[..., Any]) -> Any:
    return make_dataset(3, 2)


def test_boxes_become_masks_that_know_what_asked(dataset: Any) -> None:
    result = execute(PROMPTS, dataset, box_field="boxes", label_field="sam")
    assert {name: result[name] for name in ("done", "failed", "objects", "stopped")} == {
        "done": 3,
        "failed": 0,
        "objects": 6,
        "stopped": False,
    }
    assert result["run_id"].startswith("sam_")
    for sample in dataset:
        asked = {box.id for box in sample.boxes.detections}
        assert {mask.prompt_id for mask in sample.sam.detections} == asked
        assert all(mask.mask.any() and mask.label == "disc" for mask in sample.sam.detections)


def test_the_same_form_again_continues_and_changes_nothing(dataset: Any) -> None:
    params = {"box_field": "boxes", "label_field": "sam"}
    first = execute(PROMPTS, dataset, view=dataset.limit(2), **params)
    before = dict(zip(*dataset.values(["id", "sam.detections.id"]), strict=True))
    second = execute(PROMPTS, dataset, **params)
    assert (first["done"], second["done"], second["skipped"]) == (2, 1, 2)
    assert first["run_id"] == second["run_id"]
    after = dict(zip(*dataset.values(["id", "sam.detections.id"]), strict=True))
    assert {key: value for key, value in after.items() if before[key]} == {
        key: value for key, value in before.items() if value
    }


def test_a_view_of_patches_segments_the_samples_they_are_cut_from(dataset: Any) -> None:
    patches = dataset.limit(2).to_patches("boxes")
    result = execute(PROMPTS, dataset, view=patches, box_field="boxes", label_field="sam")
    assert (result["done"], result["objects"]) == (2, 4)


def test_a_dry_run_counts_and_writes_nothing(dataset: Any) -> None:
    bad = dataset.first()
    bad.boxes.detections[0].bounding_box = [2.0, 2.0, 0.1, 0.1]
    bad.save()
    last = dataset.last()
    last.boxes = None
    last.save()
    before = set(dataset.get_field_schema())
    result = execute(PROMPTS, dataset, box_field="boxes", label_field="sam", dry_run=True)
    assert result["dry_run"] is True
    assert (result["samples"], result["objects"]) == (3, 3)
    assert (result["unanswered"], result["without"]) == (1, 1)
    ((reason, number),) = result["reasons"].items()
    assert number == 1
    assert reason.endswith(".")
    assert set(dataset.get_field_schema()) == before
    assert dataset.list_runs() == []


def test_a_dry_run_knows_what_the_run_has_done(dataset: Any) -> None:
    params = {"box_field": "boxes", "label_field": "sam"}
    execute(PROMPTS, dataset, view=dataset.limit(1), **params)
    result = execute(PROMPTS, dataset, dry_run=True, **params)
    assert (result["samples"], result["before"], result["objects"]) == (2, 1, 4)


def test_one_unreadable_picture_costs_no_other_and_is_tried_again(dataset: Any) -> None:
    path = Path(dataset.first().filepath)
    picture = path.read_bytes()
    path.write_bytes(b"no picture")
    params = {"box_field": "boxes", "label_field": "sam"}
    result = execute(PROMPTS, dataset, **params)
    assert (result["done"], result["failed"]) == (2, 1)
    failed = dataset.match({status_field("sam"): "failed"}).first()
    assert failed.filepath == str(path)
    assert path.name in failed[reason_field("sam")]
    path.write_bytes(picture)
    assert execute(PROMPTS, dataset, **params)["done"] == 0
    assert execute(PROMPTS, dataset, retry=True, **params)["done"] == 1


def test_labels_of_others_are_replaced_only_with_consent(dataset: Any) -> None:
    import fiftyone.operators.executor as foe

    other = dataset.clone_sample_field("boxes", "theirs")
    assert other is None
    params = {"box_field": "boxes", "label_field": "theirs"}
    with pytest.raises(foe.ExecutionError, match="found 'theirs' with labels of others"):
        execute(PROMPTS, dataset, **params)
    assert dataset.count("theirs.detections.mask") == 0
    assert execute(PROMPTS, dataset, overwrite=True, **params)["objects"] == 6
    assert dataset.count("theirs.detections") == 6


def test_everything_needs_no_labels(make_dataset: Any) -> None:
    dataset = make_dataset(1, 1)
    result = execute(EVERYTHING, dataset, label_field="all", points_per_side=6)
    assert result["done"] + result["nothing"] == 1
    assert dataset.count("all.detections") == result["objects"]


def test_everything_inside_boxes_stays_inside_and_names_its_box(make_dataset: Any) -> None:
    dataset = make_dataset(2, 2)
    for sample in dataset:
        for label in sample.boxes.detections:
            x, y, width, height = label.bounding_box
            label.bounding_box = [x - width / 2, y - height / 2, 2 * width, 2 * height]
        sample.save()
    params = {"label_field": "parts", "box_field": "boxes", "points_per_side": 8}
    counted = execute(EVERYTHING, dataset, dry_run=True, **params)
    assert (counted["samples"], counted["objects"]) == (2, 4)
    result = execute(EVERYTHING, dataset, **params)
    assert result["done"] == 2
    assert result["objects"] >= 2
    dataset.reload()
    for sample in dataset:
        patches = {label.id: label for label in sample.boxes.detections}
        for found in sample.parts.detections:
            patch = patches[found.prompt_id]
            assert (found.label, found.index, found.tags) == ("disc", None, ["drawn"])
            x, y, width, height = found.bounding_box
            left, top, across, down = patch.bounding_box
            one = 1.01 / 96  # the box is taken to whole pixels
            assert x >= left - one
            assert y >= top - one
            assert x + width <= left + across + one
            assert y + height <= top + down + one
    assert execute(EVERYTHING, dataset, **params)["skipped"] == 2


def test_the_form_offers_only_fields_that_fit(dataset: Any) -> None:
    import fiftyone as fo

    plain = form(PROMPTS, dataset)
    assert plain["box_field"]["type"]["values"] == ["boxes"]
    assert plain["mask_field"]["type"]["values"] == ["boxes"]
    assert "point_field" not in plain
    assert "box_mode" not in plain
    sample = dataset.first()
    sample["clicks"] = fo.Keypoints(
        keypoints=[fo.Keypoint(points=[(0.5, 0.5)], sam_labels=[1], group="a")]
    )
    sample.save()
    dataset.add_dynamic_sample_fields()
    asked = form(PROMPTS, dataset, box_field="boxes", point_field="clicks")
    assert asked["point_field"]["type"]["values"] == ["clicks"]
    assert "group" in asked["link_attribute"]["type"]["values"]
    assert "box_mode" in asked
    signs = [each["value"] for each in asked["point_label_attribute"]["view"]["choices"]]
    assert "sam_labels" in signs
    assert asked["_errors"] == []


def test_the_form_lists_models_of_this_machine_and_a_file(dataset: Any) -> None:
    plain = form(PROMPTS, dataset, box_field="boxes")
    assert {"nano", "file"} <= set(plain["model"]["type"]["values"])
    assert "model_path" not in plain
    filled = form(PROMPTS, dataset, box_field="boxes", model="file")
    assert "model_path" in filled
    assert any("path of a checkpoint" in each for each in filled["_errors"])


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "at least one field to ask with"),
        ({"box_field": "boxes", "label_field": "boxes"}, "boxes"),
        ({"box_field": "boxes", "label_field": "filepath"}, "filepath"),
        ({"box_field": "boxes", "label_field": "a b"}, "a b"),
    ],
)
def test_what_is_wrong_stands_in_the_form(dataset: Any, params: dict[str, Any], told: str) -> None:
    shown = form(PROMPTS, dataset, **params)
    problem = shown["problem"]
    assert problem["invalid"]
    assert told in problem["error_message"]
    assert problem["view"]["label"] == problem["error_message"]
    assert problem["error_message"].startswith("Expected ")


def test_the_form_says_whether_a_run_continues_or_needs_consent(dataset: Any) -> None:
    params = {"box_field": "boxes", "label_field": "sam"}
    assert not {"continues", "overwrite"} & set(form(PROMPTS, dataset, **params))
    execute(PROMPTS, dataset, **params)
    again = form(PROMPTS, dataset, **params)
    assert "continues" in again
    assert again["_errors"] == []
    other = form(PROMPTS, dataset, box_mode="keep", **params)
    assert other["overwrite"]["invalid"]
    assert any("labels of others" in each for each in other["_errors"])
    agreed = form(PROMPTS, dataset, box_mode="keep", overwrite=True, **params)
    assert agreed["_errors"] == []


def test_without_a_dataset_the_form_asks_for_one() -> None:
    shown = form(PROMPTS, None)
    assert "open one first" in shown["problem"]["error_message"]


def test_a_video_dataset_is_told_that_pictures_are_expected(
    fiftyone_here: Any, tmp_path: Path
) -> None:
    fo = fiftyone_here
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(tmp_path / "film.mp4")))
    try:
        shown = form(EVERYTHING, dataset)
        assert "pictures" in shown["problem"]["error_message"]
    finally:
        dataset.delete()


def test_the_picture_of_a_large_sample_is_read_once_per_sample(
    fiftyone_here: Any, tmp_path: Path
) -> None:
    """Samples without metadata: their size is found when they are opened."""
    fo = fiftyone_here
    path = tmp_path / "plain.png"
    Image.new("RGB", (64, 48), (10, 200, 30)).save(path)
    dataset = fo.Dataset()
    box = fo.Detection(label="a", bounding_box=[0.25, 0.25, 0.5, 0.5])
    dataset.add_sample(fo.Sample(filepath=str(path), boxes=fo.Detections(detections=[box])))
    try:
        dry = execute(PROMPTS, dataset, box_field="boxes", dry_run=True)
        assert (dry["samples"], dry["unmeasured"], dry["objects"]) == (1, 1, 0)
        result = execute(PROMPTS, dataset, box_field="boxes")
        assert result["failed"] == 0
    finally:
        dataset.delete()
