"""Objects followed through videos of a dataset: what is written, kept, told and taken away."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import discs
import numpy as np
import pytest
from PIL import Image

from fiftyone_plugin.errors import FieldError, RunError
from fiftyone_plugin.quality import refs_of
from fiftyone_plugin.review import Verdict, decide
from fiftyone_plugin.runs import delete_run, open_run, retry_view, run_counts, work_on
from fiftyone_plugin.values import Mode, RunConfig, Status
from sam_plugins import open_segmenter
from sam_plugins.masks import mask_iou

FRAMES = discs.FRAMES
CONFIG = RunConfig(mode=Mode.VIDEO, label_field="frames.masks", box_field="frames.boxes")


@pytest.fixture(scope="module")
def nano() -> Any:
    return open_segmenter("nano", engine="torch")


def worked(dataset: Any, segmenter: Any, config: RunConfig = CONFIG, **options: Any) -> Any:
    run = open_run(dataset, config, segmenter.info.model_id, **options)
    return run, work_on(dataset, run, dataset.values("id"), segmenter)


def test_discs_are_followed_from_a_frame_in_the_middle_and_not_swapped(
    make_video: Any, nano: Any
) -> None:
    dataset = make_video({4: [(0, {"index": 7, "tags": ["drawn"]}), (1, {})]})
    steps: list[Any] = []
    run = open_run(dataset, CONFIG, nano.info.model_id)
    report = work_on(dataset, run, dataset.values("id"), nano, progress=steps.append)
    assert (report.done, report.objects) == (1, 2 * FRAMES)
    sample = dataset.first()
    assert (sample.masks_status, sample.masks_reason) == (Status.DONE, None)
    assert sorted(sample.frames) == list(range(1, FRAMES + 1))
    asked = {each.index: each.id for each in sample.frames[4].boxes.detections}
    for number, frame in sample.frames.items():
        found = {each.index: each for each in frame.masks.detections}
        assert sorted(found) == [7, 8]
        for index, disc in ((7, 0), (8, 1)):
            assert mask_iou(discs.whole(found[index]), discs.truth(number - 1, disc)) > 0.7
            assert found[index].run_id == run.run_id
            assert found[index].label == "disc"
        assert found[7].prompt_id == asked[7]
        assert found[7].tags == ["drawn"]
    parts = [each.done + each.part for each in steps]
    assert parts == sorted(parts)
    assert len({round(each, 3) for each in parts}) > FRAMES / 2
    assert steps[-1].done == 1
    assert any("frame" in each.label for each in steps)
    again = work_on(dataset, run, dataset.values("id"), nano)
    assert (again.skipped, again.objects) == (1, 0)
    assert run_counts(dataset, run.run_id)[Status.DONE] == 1


def documents(dataset: Any) -> Any:
    """Everything that the database holds of samples and frames, without times."""
    found = []
    for collection in (dataset._sample_collection, dataset._frame_collection):
        for each in collection.find({}).sort("_id"):
            each.pop("last_modified_at")
            found.append(each)
    dataset.reload()
    names = [*dataset.get_field_schema(flat=True), *dataset.get_frame_field_schema(flat=True)]
    return found, sorted(names), dataset.list_runs()


def test_an_object_that_ends_is_told_with_the_frame_number(
    make_video: Any, nano: Any, tmp_path: Path
) -> None:
    shown = [(0, 1) if frame < 5 else (0,) for frame in range(FRAMES)]
    path = discs.write_video(tmp_path / "ends.mp4", map(discs.picture, range(FRAMES), shown))
    dataset = make_video({2: [(0, {"index": 1}), (1, {"index": 2})]}, path)
    run, report = worked(dataset, nano)
    assert (report.partial, report.failed) == (1, 0)
    sample = dataset.first()
    assert sample.masks_status == Status.PARTIAL
    assert sample.masks_reason.startswith("Frame 6, disc 2: Not followed to this frame and beyond")
    assert "\n" not in sample.masks_reason
    there = [n for n, f in sample.frames.items() if 2 in {d.index for d in f.masks.detections}]
    assert there == [1, 2, 3, 4, 5]
    assert retry_view(dataset, run.run_id).values("id") == [sample.id]


def test_one_object_on_two_frames_is_one_track(make_video: Any, nano: Any) -> None:
    dataset = make_video({1: [(0, {"index": 5})], FRAMES: [(0, {"index": 5})]})
    assert worked(dataset, nano)[1].objects == FRAMES
    sample = dataset.first()
    asked = [sample.frames[n].boxes.detections[0].id for n in (1, FRAMES)]
    prompts = [frame.masks.detections[0].prompt_id for frame in sample.frames.values()]
    assert [prompts[0], prompts[-1]] == asked
    assert {frame.masks.detections[0].index for frame in sample.frames.values()} == {5}


def test_a_mask_of_three_by_four_pixels_keeps_its_last_row_and_column(
    make_video: Any, segmenter: Any, fiftyone_here: Any
) -> None:
    """Defect D5, through the whole of the run, at the frame's lower right corner too."""
    fo = fiftyone_here
    dataset = make_video({})
    sample = dataset.first()
    boxes = [[8 / 128, 4 / 96, 4 / 128, 3 / 96], [124 / 128, 93 / 96, 4 / 128, 3 / 96]]
    given = [fo.Detection(bounding_box=b, mask=np.ones((3, 4), bool)) for b in boxes]
    sample.frames[3] = fo.Frame(given=fo.Detections(detections=given))
    sample.save()
    worked(dataset, segmenter, RunConfig(mode=Mode.VIDEO, label_field="masks", mask_field="given"))
    found = dataset.first().frames[3].masks.detections
    assert [each.mask.shape for each in found] == [(3, 4), (3, 4)]
    assert [int(each.mask.sum()) for each in found] == [12, 12]
    assert [each.area for each in found] == [12, 12]
    for each, box in zip(found, boxes, strict=True):
        assert each.bounding_box == pytest.approx(box)


def test_a_video_that_cannot_be_read_fails_alone(
    make_video: Any, segmenter: Any, fiftyone_here: Any, tmp_path: Path
) -> None:
    dataset = make_video({1: [(0, {})]})
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    dataset.add_samples([fiftyone_here.Sample(filepath=str(broken))], progress=False)
    dataset.add_samples([fiftyone_here.Sample(filepath="/no/such.mp4")], progress=False)
    _, report = worked(dataset, segmenter)
    assert (report.done + report.partial, report.failed) == (1, 2)
    reasons = dataset.match({"masks_status": "failed"}).values("masks_reason")
    assert all(each.startswith("Expected a video") for each in reasons)


def test_frames_that_are_pictures_stand_in_for_a_file_that_is_gone(
    make_video: Any, nano: Any, tmp_path: Path
) -> None:
    """Every second frame was sampled; the others are not there."""
    dataset = make_video({3: [(0, {"index": 1})]}, str(tmp_path / "gone.mp4"))
    sample = dataset.first()
    for number in range(1, FRAMES + 1, 2):
        path = tmp_path / f"{number:06d}.png"
        Image.fromarray(discs.picture(number - 1)).save(path)
        sample.frames[number]["filepath"] = str(path)
    sample.save()
    _, report = worked(dataset, nano)
    assert (report.done, report.objects) == (1, (FRAMES + 1) // 2)
    for number, frame in dataset.first().frames.items():
        (found,) = frame.masks.detections
        assert mask_iou(discs.whole(found), discs.truth(number - 1, 0)) > 0.7


@pytest.mark.parametrize("inline", [1 << 20, 0])
def test_deleting_a_run_leaves_everything_as_it_was(
    make_video: Any, segmenter: Any, tmp_path: Path, inline: int
) -> None:
    dataset = make_video({2: [(0, {}), (1, {})]})
    before = documents(dataset)
    folder = tmp_path / "masks"
    config = replace(CONFIG, max_inline_bytes=inline, folder=str(folder))
    run, report = worked(dataset, segmenter, config)
    assert report.objects > FRAMES
    labels = [d for f in dataset.first().frames.values() for d in f.masks.detections]
    assert len(labels) == report.objects
    assert {bool(each.mask_path) for each in labels} == {inline == 0}
    assert all((each.get_mask() > 0).sum() == each.area for each in labels)
    deleted = delete_run(dataset, run.run_id)
    assert (deleted.labels, deleted.kept) == (report.objects, 0)
    assert deleted.files == (0 if inline else report.objects)
    assert documents(dataset) == before
    assert not folder.exists() or not any(folder.rglob("*.png"))


def test_what_people_changed_and_added_stays(
    make_video: Any, segmenter: Any, fiftyone_here: Any
) -> None:
    dataset = make_video({2: [(0, {}), (1, {})]})
    run, report = worked(dataset, segmenter)
    sample = dataset.first()
    sample.frames[4].masks.detections[0].label = "mine"
    own = fiftyone_here.Detection(label="by hand", bounding_box=[0, 0, 0.5, 0.5])
    sample.frames[5].masks.detections.append(own)
    sample["masks_status"] = "partial"
    sample.save()
    report = work_on(dataset, run, [sample.id], segmenter, retry=True)
    assert report.skipped == 0
    dataset.reload()
    sample = dataset.first()
    assert [each.label for each in sample.frames[4].masks.detections].count("mine") == 1
    assert len(sample.frames[4].masks.detections) == 2
    assert len(sample.frames[5].masks.detections) == 3
    deleted = delete_run(dataset, run.run_id)
    assert deleted.kept == 1
    dataset.reload()
    left = {n: f.masks for n, f in dataset.first().frames.items() if f.masks is not None}
    assert {n: [d.label for d in m.detections] for n, m in left.items()} == {
        4: ["mine"],
        5: ["by hand"],
    }


def test_labels_of_others_need_consent(make_video: Any, segmenter: Any, fiftyone_here: Any) -> None:
    dataset = make_video({2: [(0, {})]})
    sample = dataset.first()
    own = fiftyone_here.Detection(label="by hand", bounding_box=[0, 0, 0.5, 0.5])
    sample.frames[1]["masks"] = fiftyone_here.Detections(detections=[own])
    sample.save()
    with pytest.raises(FieldError, match="found labels in it in 1 samples"):
        worked(dataset, segmenter)
    run, _ = worked(dataset, segmenter, overwrite=True)
    labels = {d.label for f in dataset.first().frames.values() for d in f.masks.detections}
    assert labels == {"disc"}
    other = replace(CONFIG, min_area=5)
    with pytest.raises(RunError, match="min_area is 5"):
        worked(dataset, segmenter, other)
    second, _ = worked(dataset, segmenter, other, overwrite=True)
    dataset.reload()
    ids = {d.run_id for f in dataset.first().frames.values() for d in f.masks.detections}
    assert ids == {second.run_id} != {run.run_id}


def test_a_stop_writes_nothing_of_the_video_and_the_next_call_goes_on(
    make_video: Any, segmenter: Any
) -> None:
    dataset = make_video({1: [(0, {})]})
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    steps: list[Any] = []
    report = work_on(
        dataset,
        run,
        dataset.values("id"),
        segmenter,
        progress=steps.append,
        stop=lambda: len(steps) > 3,
    )
    assert report.stopped
    assert run_counts(dataset, run.run_id)[None] == 1
    assert work_on(dataset, run, dataset.values("id"), segmenter).objects > 1


def test_tracks_have_a_number_each(make_video: Any, segmenter: Any) -> None:
    """Two labels of a frame with one index are two objects, and no free number is given twice."""
    dataset = make_video({1: [(0, {"index": 3}), (1, {"index": 3})], 2: [(0, {"index": 3})]})
    worked(dataset, segmenter)
    for frame in dataset.first().frames.values():
        indices = [each.index for each in frame.masks.detections]
        assert len(indices) == len(set(indices))
        assert set(indices) <= {3, 4}
        assert len({each.id for each in frame.masks.detections}) == len(indices)


def test_boxes_of_every_frame_without_tracks_are_not_followed_each(
    make_video: Any, segmenter: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("fiftyone_plugin.labels.videos._OBJECTS", 5)
    dataset = make_video({number: [(0, {})] for number in range(1, 8)})
    assert worked(dataset, segmenter)[1].failed == 1
    assert "found 7: labels of one object" in dataset.first().masks_reason


def test_a_label_beyond_the_end_costs_no_other(make_video: Any, segmenter: Any) -> None:
    dataset = make_video({1: [(0, {})], FRAMES + 3: [(1, {})]})
    assert worked(dataset, segmenter)[1].partial == 1
    assert (
        f"Frame {FRAMES + 3}, disc 2: The video has no such frame" in dataset.first().masks_reason
    )


def test_nothing_asked_is_nothing_done(make_video: Any, segmenter: Any) -> None:
    dataset = make_video({1: [(0, {})]})
    sample = dataset.first()
    sample.frames.clear()
    sample.save()
    assert worked(dataset, segmenter)[1].nothing == 1


def test_frames_dot_and_the_plain_name_are_one_run() -> None:
    plain = replace(CONFIG, label_field="masks")
    assert plain == CONFIG
    assert plain.run_id("x") == CONFIG.run_id("x")


def test_what_is_left_out_is_told_with_its_frames_and_bounded(
    make_video: Any, segmenter: Any, tmp_path: Path
) -> None:
    path = discs.write_video(tmp_path / "long.mp4", map(discs.picture, range(60)))
    dataset = make_video({1: [(0, {"index": 1}), (1, {"index": 2})]}, path)
    worked(dataset, segmenter, replace(CONFIG, min_area=5000))
    reason = dataset.first().masks_reason
    assert dataset.first().masks_status == Status.FAILED
    assert reason.startswith("Frame")
    assert "disc 1: " in reason
    assert len(reason) < 20 * 600


def test_an_end_that_another_frame_makes_good_is_not_told(
    make_video: Any, nano: Any, tmp_path: Path
) -> None:
    """The disc is hidden on one frame, and asked for on both sides of it."""
    shown = [(0,) if frame != 4 else () for frame in range(FRAMES)]
    path = discs.write_video(tmp_path / "hidden.mp4", map(discs.picture, range(FRAMES), shown))
    asked = {number: [(0, {"index": 1})] for number in (1, 8)}
    dataset = make_video(asked, path)
    worked(dataset, nano)
    sample = dataset.first()
    assert [number for number, frame in sample.frames.items() if frame.masks] == [
        *(1, 2, 3, 4),
        *(6, 7, 8, 9),
    ]
    assert all(each.startswith("Frame 5, disc 1") for each in sample.masks_reason.split("\n"))


def test_videos_of_a_grouped_dataset_are_worked_on(
    fiftyone_here: Any, make_dataset: Any, segmenter: Any, film: str
) -> None:
    fo = fiftyone_here
    dataset = make_dataset(0, 1)
    dataset.add_group_field("group", default="camera")
    group = fo.Group()
    camera = fo.Sample(filepath=film, group=group.element("camera"))
    boxes = [fo.Detection(label="disc", bounding_box=discs.box(0, 0))]
    camera.frames[1] = fo.Frame(boxes=fo.Detections(detections=boxes))
    still = fo.Sample(filepath="/no/such.png", group=group.element("still"))
    dataset.add_samples([camera, still], progress=False)
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    report = work_on(dataset, run, [camera.id, still.id], segmenter)
    assert (report.done + report.partial, report.failed) == (1, 1)
    assert run_counts(dataset, run.run_id)[None] == 0
    delete_run(dataset, run.run_id)
    assert not dataset.has_frame_field("masks")


def test_a_retry_brings_no_label_back_that_was_taken_out(
    make_video: Any, nano: Any, tmp_path: Path
) -> None:
    """Disc 1 is on all frames, disc 2 is lost: it is followed again, disc 1 is left alone."""
    shown = [(0, 1) if frame < 5 else (0,) for frame in range(FRAMES)]
    path = discs.write_video(tmp_path / "ends.mp4", map(discs.picture, range(FRAMES), shown))
    dataset = make_video({2: [(0, {"index": 1}), (1, {"index": 2})]}, path)
    run, report = worked(dataset, nano)
    assert report.partial == 1
    sample = dataset.first()
    out = [
        label.id
        for number, index in ((3, 1), (4, 2))
        for label in sample.frames[number].masks.detections
        if label.index == index
    ]
    dataset.delete_labels(ids=out)
    sample.reload()
    sample.frames[1].masks.detections[0].tags.append("seen")
    sample.save()

    def there(index: int) -> list[int]:
        sample.reload()
        found = {n: {d.index for d in f.masks.detections} for n, f in sample.frames.items()}
        return sorted(number for number, objects in found.items() if index in objects)

    for _ in range(2):
        assert work_on(dataset, run, [sample.id], nano, retry=True).partial == 1
        assert there(1) == [n for n in range(1, FRAMES + 1) if n != 3]
        assert there(2) == [1, 2, 3, 5]
        assert "Frame 6, disc 2" in sample.masks_reason
        assert "seen" in sample.frames[1].masks.detections[0].tags


def test_decisions_and_tags_on_frames_survive_a_retry(make_video: Any, segmenter: Any) -> None:
    """A label on a frame that the video does not have makes it partial, so that it is retried."""
    dataset = make_video({4: [(0, {"index": 7})], 99: [(1, {"index": 8})]})
    run, report = worked(dataset, segmenter)
    assert report.partial == 1
    sample = dataset.first()
    numbers = sorted(n for n, frame in sample.frames.items() if frame.masks)
    first = [ref for ref in refs_of(dataset, "frames.masks") if ref[0] == sample.frames[1].id]
    decide(dataset, "frames.masks", first, Verdict.REJECTED, reviewer="ann")
    sample.frames[numbers[1]].masks.detections[0].tags.append("seen")
    sample.save()
    before = {n: sample.frames[n].masks.detections[0].id for n in numbers}
    again = work_on(dataset, run, [sample.id], segmenter, retry=True)
    assert again.partial == 1
    sample.reload()
    frames = [sample.frames[n].masks.detections for n in numbers]
    assert {n: found.id for n, (found,) in zip(numbers, frames, strict=True)} == before
    assert (frames[0][0].review, frames[0][0].tags[-1]) == ("rejected", "rejected")
    assert "seen" in frames[1][0].tags
