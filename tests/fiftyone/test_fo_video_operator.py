"""Objects followed from FiftyOne's form, and from the command line, in videos of moving discs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import discs
import pytest
from app_server import link_plugin
from operating import execute, form
from typer.testing import CliRunner

from fiftyone_plugin.runs import list_runs
from fiftyone_plugin.start.plugin_folder import PLUGIN
from sam_plugins.cli.app import app as cli
from sam_plugins.masks import mask_iou

FOLLOW = f"{PLUGIN}/follow_video"


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(make_video: Any) -> Any:
    return make_video({1: [(0, {"index": 1}), (1, {"index": 2})]})


def check(dataset: Any, field: str) -> None:
    """Masks of both discs on all frames, at their places."""
    sample = dataset.first()
    ious = []
    for number, frame in sample.frames.items():
        found = {each.index: each for each in frame[field].detections}
        assert sorted(found) == [1, 2]
        ious += [
            mask_iou(discs.whole(found[disc + 1]), discs.truth(number - 1, disc)) for disc in (0, 1)
        ]
    assert len(ious) == 2 * discs.FRAMES
    assert min(ious) > 0.7
    assert sum(ious) / len(ious) > 0.85


def test_the_form_asks_for_fields_of_frames(dataset: Any, make_dataset: Any) -> None:
    shown = form(FOLLOW, dataset, label_field="sam")
    assert shown["box_field"]["type"]["values"] == ["frames.boxes"]
    assert any("field of boxes or of masks to follow" in each for each in shown["_errors"])
    filled = form(FOLLOW, dataset, box_field="frames.boxes", label_field="sam")
    assert not filled["_errors"]
    assert "overwrite" not in filled
    of_pictures = form(FOLLOW, make_dataset(1, 1), box_field="boxes")
    assert any("found pictures" in each for each in of_pictures["_errors"])


def test_the_operator_follows_counts_and_continues(dataset: Any) -> None:
    params = {"box_field": "frames.boxes", "label_field": "sam"}
    dry = execute(FOLLOW, dataset, dry_run=True, **params)
    assert (dry["samples"], dry["objects"]) == (1, 2)
    assert not dataset.has_frame_field("sam")
    result = execute(FOLLOW, dataset, **params)
    assert (result["done"], result["objects"]) == (1, 2 * discs.FRAMES)
    check(dataset, "sam")
    assert execute(FOLLOW, dataset, **params)["skipped"] == 1
    shown = form(FOLLOW, dataset, **params)
    assert "continues" in shown
    other = form(FOLLOW, dataset, min_area=3, **params)
    assert any("labels of others" in each for each in other["_errors"])


def test_the_command_follows_and_deletes(dataset: Any) -> None:
    def invoke(*words: str) -> Any:
        return CliRunner().invoke(cli, ["fiftyone", *words])

    words = ["segment", dataset.name, "--follow", "--boxes", "frames.boxes"]
    made = invoke(*words, "--out", "frames.sam", "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["objects"] == 2 * discs.FRAMES
    dataset.reload()
    check(dataset, "sam")
    again = invoke(*words, "--out", "frames.sam", "--json")
    assert json.loads(again.stdout)["skipped"] == 1
    dataset.reload()
    (run,) = list_runs(dataset)
    assert "video by nano, 1 done" in invoke("runs", dataset.name).stdout
    gone = invoke("delete-run", dataset.name, run.run_id, "--yes")
    assert gone.exit_code == 0, gone.stderr
    dataset.reload()
    assert not dataset.has_frame_field("sam")
    assert list(dataset.first().frames) == [1]


def test_follow_and_everything_are_not_one_command(dataset: Any) -> None:
    said = CliRunner().invoke(
        cli, ["fiftyone", "segment", dataset.name, "--follow", "--everything"]
    )
    assert said.exit_code != 0


@pytest.mark.parametrize("cut", ["filtered", "frames", "frame patches", "clips"])
def test_only_what_a_view_of_frames_shows_is_followed(make_video: Any, cut: str) -> None:
    from fiftyone import ViewField

    dataset = make_video({1: [(0, {})], 3: [(1, {})]})
    sample = dataset.first()
    for number, frame in sample.frames.items():
        frame["filepath"] = f"/not/sampled/{number}.png"
    sample.save()
    first = dataset.first().frames[1].boxes.detections[0].id
    made: dict[str, Callable[[], Any]] = {
        "filtered": lambda: dataset.select_labels(ids=[first], fields="frames.boxes"),
        "frames": lambda: dataset.to_frames().match(ViewField("frame_number") == 1),
        "frame patches": lambda: dataset.to_frames().to_patches("boxes").limit(1),
        "clips": lambda: dataset.to_clips([[(1, 2)]]),
    }
    view = made[cut]()
    params = {"box_field": "frames.boxes", "label_field": "sam"}
    assert execute(FOLLOW, dataset, view=view, dry_run=True, **params)["objects"] == 1
    assert execute(FOLLOW, dataset, view=view, **params)["objects"] == discs.FRAMES
    dataset.reload()
    assert set(dataset.values("frames.sam.detections.prompt_id", unwind=True)) == {first}
    before = dataset.values("frames.sam.detections.id", unwind=True)
    again = execute(FOLLOW, dataset, view=view, **params)
    assert (again["skipped"], again["objects"]) == (1, 0)
    assert execute(FOLLOW, dataset, dry_run=True, **params)["objects"] == 1
    assert execute(FOLLOW, dataset, **params)["objects"] == discs.FRAMES
    assert set(before) <= set(dataset.values("frames.sam.detections.id", unwind=True))
    check(dataset, "sam")
    assert execute(FOLLOW, dataset, **params)["skipped"] == 1
