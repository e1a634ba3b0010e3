"""Videos that are tried again: what is there stays, what was taken out stays out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import discs
import pytest

from fiftyone_plugin.fields import asked_field, fields_beside
from fiftyone_plugin.labels import shown_by
from fiftyone_plugin.quality import refs_of
from fiftyone_plugin.review import Verdict, decide
from fiftyone_plugin.runs import open_run, work_on
from fiftyone_plugin.values import Mode, RunConfig
from sam_plugins import open_segmenter

FRAMES = discs.FRAMES
CONFIG = RunConfig(mode=Mode.VIDEO, label_field="frames.masks", box_field="frames.boxes")


@pytest.fixture(scope="module")
def nano() -> Any:
    return open_segmenter("nano", engine="torch")


def begun(dataset: Any, nano: Any, **options: Any) -> tuple[Any, Any, Any]:
    run = open_run(dataset, CONFIG, nano.info.model_id, **options)
    return run, dataset.first(), work_on(dataset, run, dataset.values("id"), nano)


def again(dataset: Any, run: Any, sample: Any, nano: Any) -> Any:
    report = work_on(dataset, run, [sample.id], nano, retry=True)
    sample.reload()
    return report


def mask(sample: Any, number: int, index: int = 1) -> Any:
    (found,) = [each for each in sample.frames[number].masks.detections if each.index == index]
    return found


def there(sample: Any, index: int) -> list[int]:
    found = {n: f.masks.detections if f.masks else [] for n, f in sample.frames.items()}
    return sorted(n for n, masks in found.items() for each in masks if each.index == index)


def take_out(dataset: Any, sample: Any, number: int, index: int = 1) -> None:
    dataset.delete_labels(ids=[mask(sample, number, index).id])
    sample.reload()


def draw(fo: Any, sample: Any, number: int, disc: int, **values: Any) -> None:
    label = fo.Detection(label="disc", bounding_box=discs.box(number - 1, disc), **values)
    if sample.frames[number].boxes is None:
        sample.frames[number].boxes = fo.Detections()
    sample.frames[number].boxes.detections.append(label)
    sample.save()


@pytest.mark.parametrize("lost", [{}, {99: [(1, {"index": 3})]}])
def test_frames_that_were_missing_come_with_the_whole_file(
    make_video: Any, nano: Any, tmp_path: Path, lost: dict[int, Any]
) -> None:
    """Whether or not some object is lost besides, and without what was taken out before."""
    path = tmp_path / "film.avi"
    discs.write_video(path, map(discs.picture, range(FRAMES)), "MJPG")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    dataset = make_video({1: [(0, {"index": 1}), (1, {"index": 2})], **lost}, str(path))
    run, sample, report = begun(dataset, nano)
    assert report.partial == 1
    assert f"of {FRAMES} frames can be read" in sample.masks_reason
    assert 2 < len(there(sample, 1)) < FRAMES - 2
    take_out(dataset, sample, 2)
    path.write_bytes(whole)
    report = again(dataset, run, sample, nano)
    assert (report.partial, report.done) == (len(lost), 1 - len(lost))
    assert there(sample, 1) == [n for n in range(1, FRAMES + 1) if n != 2]
    assert there(sample, 2) == [*range(1, FRAMES + 1)]
    assert "frames can be read" not in (sample.masks_reason or "")


def test_a_mask_that_was_taken_out_stays_out_when_more_of_its_track_is_shown(
    make_video: Any, nano: Any
) -> None:
    dataset = make_video({1: [(0, {"index": 1, "tags": ["seen"]})], 8: [(0, {"index": 1})]})
    view = dataset.select_labels(tags="seen", fields="frames.boxes")
    _, sample, _ = begun(dataset, nano, shown=shown_by(view, CONFIG))
    take_out(dataset, sample, 7)
    begun(dataset, nano)
    sample.reload()
    assert sample[asked_field("masks")] is None
    assert there(sample, 1) == [n for n in range(1, FRAMES + 1) if n != 7]


def test_a_mask_that_was_taken_out_stays_out_when_a_box_of_its_track_is_mended(
    make_video: Any, nano: Any
) -> None:
    dataset = make_video({1: [(0, {"index": 1})], 8: [(0, {"index": 1})]})
    sample = dataset.first()
    sample.frames[8].boxes.detections[0].bounding_box = [0.1, -2, 0.2, 0.2]
    sample.save()
    run, sample, report = begun(dataset, nano)
    assert report.partial == 1
    take_out(dataset, sample, 7)
    sample.frames[8].boxes.detections[0].bounding_box = discs.box(7, 0)
    sample.save()
    assert again(dataset, run, sample, nano).done == 1
    assert there(sample, 1) == [n for n in range(1, FRAMES + 1) if n != 7]


def test_frames_as_a_text_are_of_bounded_length_and_leave_none_out() -> None:
    from fiftyone_plugin.runs.ranges import numbers_in, ranges_text

    assert ranges_text([], 10) == ""
    assert ranges_text([9, 3, 5, 6], 20) == "3-3,5-6,9-9"
    assert ranges_text([1, 3, 5, 100], 18) == "1-5,100-100"
    assert ranges_text([1, 3, 100], 0) == "1-100"
    odd = range(1, 100_001, 2)
    text = ranges_text(odd, 2000)
    assert 1000 < len(text) <= 2000
    assert set(odd) <= set(numbers_in(text))
    assert list(numbers_in(ranges_text(odd, 1 << 20))) == list(odd)


# -- what is there ---------------------------------------------------------------------------------

_HIDDEN = 7
"""The frame on which disc 0 is not; of a box on frame 8, frames 5 to 9 are nearest."""


@pytest.fixture
def lost(make_video: Any, nano: Any, tmp_path: Path) -> Any:
    """A video whose one object is lost on frame 7, and its run."""
    shown = [() if number == _HIDDEN else (0,) for number in range(1, FRAMES + 1)]
    path = discs.write_video(tmp_path / "lost.mp4", map(discs.picture, range(FRAMES), shown))
    dataset = make_video({1: [(0, {"index": 1})]}, path)
    run, sample, report = begun(dataset, nano)
    assert report.partial == 1
    assert there(sample, 1) == [1, 2, 3, 4, 5, 6]
    return dataset, run, sample


def moved(dataset: Any, label: Any) -> None:
    label.bounding_box[0] += 0.01


def renamed(dataset: Any, label: Any) -> None:
    label.label = "mine"


def decided(dataset: Any, label: Any) -> None:
    (ref,) = [ref for ref in refs_of(dataset, "frames.masks") if str(ref[1]) == label.id]
    decide(dataset, "frames.masks", [ref], Verdict.ACCEPTED, reviewer="ann")


def tagged(dataset: Any, label: Any) -> None:
    label.tags.append("seen")


@pytest.mark.parametrize("change", [moved, renamed, decided, tagged])
def test_another_box_of_a_track_changes_no_mask_that_is_there(
    lost: Any, nano: Any, fiftyone_here: Any, change: Any
) -> None:
    dataset, run, sample = lost
    change(dataset, mask(sample, 6))
    if change is not decided:
        sample.save()
    sample.reload()
    take_out(dataset, sample, 3)
    draw(fiftyone_here, sample, 8, 0, index=1)
    before = {n: sample.frames[n].masks.to_dict() for n in range(1, 7)}
    report = again(dataset, run, sample, nano)
    assert {n: sample.frames[n].masks.to_dict() for n in range(1, 7)} == before
    assert report.objects == 2
    assert there(sample, 1) == [1, 2, 4, 5, 6, 8, 9]


def test_a_retry_leaves_frames_alone_to_which_it_adds_nothing(
    lost: Any, nano: Any, fiftyone_here: Any
) -> None:
    dataset, run, sample = lost
    draw(fiftyone_here, sample, 8, 0, index=1)
    times = {n: sample.frames[n].last_modified_at for n in range(1, 6)}
    again(dataset, run, sample, nano)
    assert {n: sample.frames[n].last_modified_at for n in range(1, 6)} == times


def test_work_that_came_to_no_end_begins_again_with_what_is_asked_now(
    lost: Any, nano: Any, fiftyone_here: Any
) -> None:
    """As where it was killed between its frames and the sample, and its box was drawn anew."""
    dataset, run, sample = lost
    moved(dataset, mask(sample, 2))
    sample.save()
    sample.reload()
    edited = mask(sample, 2).to_dict()
    ids = {mask(sample, n).id for n in range(1, 7)}
    sample.frames[1].boxes.detections = []
    draw(fiftyone_here, sample, 1, 0, index=1)
    for name in fields_beside("masks"):
        sample[name] = None
    sample.save()
    work_on(dataset, run, [sample.id], nano)
    sample.reload()
    assert there(sample, 1) == [1, 2, 3, 4, 5, 6]
    assert mask(sample, 2).to_dict() == edited
    assert {mask(sample, n).id for n in range(1, 7)} & ids == {mask(sample, 2).id}


def test_masks_that_stay_count_for_what_the_database_holds(
    make_video: Any, nano: Any, fiftyone_here: Any, tmp_path: Path
) -> None:
    """One disc fits into the document of a frame, and two do not."""
    dataset = make_video({1: [(0, {"index": 1})], 99: [(1, {"index": 2})]})
    config = replace(CONFIG, max_inline_bytes=250, folder=str(tmp_path / "masks"))
    run = open_run(dataset, config, nano.info.model_id)
    work_on(dataset, run, dataset.values("id"), nano)
    sample = dataset.first()
    assert not any(mask(sample, n).mask_path for n in there(sample, 1))
    draw(fiftyone_here, sample, 1, 1, index=2)
    again(dataset, run, sample, nano)
    assert len(there(sample, 2)) == FRAMES
    assert all(mask(sample, n, 2).mask_path for n in there(sample, 2))
    assert not any(mask(sample, n).mask_path for n in there(sample, 1))


# -- what is said ----------------------------------------------------------------------------------


def over(dataset: Any, segmenter: Any, tag: str, **options: Any) -> Any:
    """The run, over a view that shows the boxes with a tag alone."""
    shown = shown_by(dataset.select_labels(tags=tag, fields="frames.boxes"), CONFIG)
    run = open_run(dataset, CONFIG, segmenter.info.model_id, shown=shown)
    return work_on(dataset, run, dataset.values("id"), segmenter, **options)


def test_a_video_says_of_each_prompt_why_it_has_no_mask_and_of_none_that_has(
    make_video: Any, segmenter: Any
) -> None:
    asked = {n: [(0, {"index": n, "tags": [f"t{n}"]})] for n in (1, 2, 99)}
    dataset = make_video(asked)
    sample = dataset.first()
    sample.frames[1].boxes.detections[0].bounding_box = [0.1, -2, 0.2, 0.2]
    sample.save()

    def lines() -> list[str]:
        sample.reload()
        return [each.split(":")[0] for each in (sample.masks_reason or "").splitlines()]

    assert over(dataset, segmenter, "t1").failed == 1
    assert lines() == ["Frame 1"]
    assert over(dataset, segmenter, "none", retry=True).failed == 1
    assert lines() == ["Frame 1"]
    assert over(dataset, segmenter, "t99").failed == 1
    assert over(dataset, segmenter, "t99", retry=True).failed == 1
    assert lines() == ["Frame 1", "Frame 99, disc 99"]
    sample.frames[1].boxes.detections[0].bounding_box = discs.box(0, 0)
    sample.save()
    assert over(dataset, segmenter, "t1", retry=True).partial == 1
    assert lines()[0] == "Frame 99, disc 99"
    assert not any(each == "Frame 1" for each in lines())
