"""Masks of video frames judged, compared, shown in views, and their duplicates resolved."""

from typing import Any

import discs
import numpy as np
import pytest

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.quality import (
    Finding,
    Thresholds,
    compare_fields,
    delete_duplicates,
    find_found,
    judge_masks,
    merge_duplicates,
    refs_of,
    restore,
    save_views,
)

FIELD = "frames.masks"


@pytest.fixture
def followed(make_video: Any, fiftyone_here: Any) -> Any:
    """``followed(rows, name)``: {frame number: [(x0, y0, x1, y1, values)]} as masks of a video."""
    fo = fiftyone_here

    def detection(row: Any) -> Any:
        x0, y0, x1, y1, *known = row
        width, height = discs.WIDTH, discs.HEIGHT
        return fo.Detection(
            **{
                "label": "disc",
                "bounding_box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
                "mask": np.ones((y1 - y0, x1 - x0), bool),
                **(known[0] if known else {}),
            }
        )

    def make(rows: dict[int, list[Any]], name: str = "masks", dataset: Any = None) -> Any:
        dataset = dataset or make_video({})
        sample = dataset.first()
        for number, found in rows.items():
            labels = fo.Detections(detections=[detection(row) for row in found])
            if number not in sample.frames:
                sample.frames[number] = fo.Frame()
            sample.frames[number][name] = labels
        sample.save()
        dataset.reload()
        return dataset

    return make


def row(x: int, y: int = 20, side: int = 20, index: int | None = 1, **more: Any) -> Any:
    return (x, y, x + side, y + side, {"index": index, **more})


def findings(dataset: Any, field: str = "masks") -> dict[int, list[Any]]:
    return {
        number: [each["findings"] for each in frame[field].detections]
        for number, frame in dataset.first().frames.items()
        if frame[field] is not None
    }


def test_each_frame_is_judged_as_a_picture(followed: Any) -> None:
    nested = row(14, 24, 8, None, confidence=0.5)
    dataset = followed({2: [row(10), nested], 4: [row(60, side=3, index=2)], 6: []})
    report = judge_masks(dataset, FIELD)
    assert findings(dataset) == {2: [[], ["duplicate"]], 4: [["tiny"]], 6: []}
    first, second = dataset.first().frames[2].masks.detections
    assert (first.area, second.area, second.duplicate_of) == (400, 64, first.id)
    assert (report.samples, report.objects, report.filled) == (2, 3, 3)
    assert dataset.get_field(f"{FIELD}.detections.shift") is not None


def test_a_swap_and_a_sudden_growth_are_found_where_they_begin(followed: Any) -> None:
    """Objects 1 and 2 are swapped from frame 4 on; object 3 is a wider one in frame 3 alone."""
    rows: dict[int, list[Any]] = {}
    for number in range(1, 7):
        one, other = row(10 + 4 * number, 5, index=1), row(90 - 4 * number, 40, index=2)
        if number >= 4:
            one, other = row(90 - 4 * number, 40, index=1), row(10 + 4 * number, 5, index=2)
        side = 22 if number == 3 else 12
        rows[number] = [one, other, row(60 - side // 2, 75 - side // 2, side, index=3)]
    dataset = followed(rows)
    report = judge_masks(dataset, FIELD)
    jumps = {
        number: [each == ["jumps"] for each in rows] for number, rows in findings(dataset).items()
    }
    assert jumps == {
        1: [False] * 3,
        2: [False] * 3,
        3: [False, False, True],
        4: [True, True, True],
        5: [False] * 3,
        6: [False] * 3,
    }
    assert report.findings == {Finding.JUMPS: 4}
    third = [frame.masks.detections[2] for frame in dataset.first().frames.values()]
    assert third[2].growth == pytest.approx((22 / 12) ** 2)
    assert third[0].shift is None
    relaxed = Thresholds(max_shift=10, max_growth=10)
    assert judge_masks(dataset, FIELD, relaxed).findings == {}
    assert findings(dataset)[4] == [[], [], []]


def test_a_steady_fast_object_and_one_that_leaves_do_not_jump(followed: Any) -> None:
    """One goes its own length each frame after its start; one is cut by the edge, and gone."""
    fast = {number: row(2 + 14 * (number - 1), 70) for number in range(1, 7)}
    leaving = {number: (0, 10, 40 - 10 * number, 30, {"index": 2}) for number in range(1, 4)}
    dataset = followed(
        {n: [each for each in (fast.get(n), leaving.get(n)) if each] for n in range(1, 7)}
    )
    judge_masks(dataset, FIELD)
    found = findings(dataset)
    assert [number for number, rows in found.items() if "jumps" in rows[0]] == [2]
    assert all("jumps" not in rows[1] for rows in found.values() if len(rows) > 1)


def test_what_was_not_seen_in_between_does_not_jump(followed: Any) -> None:
    """Nobody knows how it came to its place in frame 8, nor which of two of one index is which."""
    dataset = followed({1: [row(10)], 2: [row(12)], 3: [row(14)], 8: [row(90)]})
    assert judge_masks(dataset, FIELD).findings == {}
    twice = followed({1: [row(10), row(60)], 2: [row(90), row(60)]})
    assert judge_masks(twice, FIELD).findings == {}
    sampled = followed({1: [row(10)], 5: [row(12)], 9: [row(90)]})
    judge_masks(sampled, FIELD)
    assert findings(sampled) == {1: [[]], 5: [[]], 9: [["jumps"]]}


def test_boxes_on_more_frames_than_masks_hide_no_jump(followed: Any) -> None:
    dataset = followed({1: [row(10)], 5: [row(12)], 9: [row(90)]})
    followed({number: [row(10)] for number in range(1, 10)}, "asked", dataset)
    assert judge_masks(dataset, FIELD).findings == {Finding.JUMPS: 1}
    assert judge_masks(dataset, FIELD, box_field="frames.asked").findings == {Finding.JUMPS: 1}
    assert findings(dataset) == {1: [[]], 5: [[]], 9: [["jumps"]]}


def test_tracks_go_on_across_batches_and_begin_anew_in_each_video(
    followed: Any, fiftyone_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fiftyone_plugin.quality.judge._BATCH", 1)
    dataset = followed({1: [row(10)], 2: [row(90)]})
    copy = fiftyone_here.Sample(filepath=dataset.first().filepath)
    for number, frame in dataset.first().frames.items():
        copy.frames[number] = fiftyone_here.Frame(masks=frame.masks.copy())
    dataset.add_samples([copy], progress=False)
    told: list[Any] = []
    assert judge_masks(dataset, FIELD, progress=told.append).findings == {Finding.JUMPS: 2}
    assert {(each.done, each.total) for each in told} == {(0, 2), (1, 2), (2, 2)}
    stopped = judge_masks(dataset, FIELD, stop=lambda: True)
    assert (stopped.stopped, stopped.samples) == (True, 0)


def test_tiny_for_a_class_through_all_frames(followed: Any) -> None:
    rows = {number: [row(10, 10, 40, index=None)] for number in range(1, 13)}
    rows[13] = [row(60, 60, 5, index=None)]
    dataset = followed(rows)
    assert judge_masks(dataset, FIELD).findings == {Finding.TINY: 1}
    assert findings(dataset)[13] == [["tiny"]]


def test_a_video_that_is_gone_is_measured_by_its_metadata(
    followed: Any, fiftyone_here: Any
) -> None:
    dataset = followed({1: [row(10)]})
    sample = dataset.first()
    sample.filepath = "/nowhere.mp4"
    sample.save()
    assert judge_masks(dataset, FIELD).without_size == 1
    sample.metadata = fiftyone_here.VideoMetadata(frame_width=128, frame_height=96)
    sample.save()
    assert judge_masks(dataset, FIELD).objects == 1
    assert dataset.first().frames[1].masks.detections[0].area == 400


def test_two_fields_of_frames_are_compared(followed: Any) -> None:
    dataset = followed({1: [row(10)], 3: [row(50)]})
    followed({1: [row(10)], 5: [row(80)]}, "other", dataset)
    report = compare_fields(dataset, FIELD, "frames.other")
    assert (report.objects, report.partners) == ((2, 2), 1)
    assert findings(dataset) == {1: [["in both fields"]], 3: [["fields disagree"]]}
    assert findings(dataset, "other") == {1: [["in both fields"]], 5: [["fields disagree"]]}
    assert dataset.first().frames[1].masks.detections[0].agreement_with == "frames.other"


def test_fields_of_samples_and_of_frames_are_not_mixed(followed: Any, fiftyone_here: Any) -> None:
    dataset = followed({1: [row(10)]})
    dataset.add_sample_field(
        "whole", fiftyone_here.EmbeddedDocumentField, embedded_doc_type=fiftyone_here.Detections
    )
    with pytest.raises(FieldError, match=r"'frames\.masks' and 'whole'"):
        compare_fields(dataset, FIELD, "whole")
    with pytest.raises(FieldError, match="both of one kind"):
        judge_masks(dataset, FIELD, box_field="whole")
    with pytest.raises(FieldError, match=r"frames\.masks, whole"):
        judge_masks(dataset, "frames.nothing")


def test_views_show_the_frames_that_have_a_finding(followed: Any) -> None:
    dataset = followed(
        {1: [row(10), row(60, index=2)], 2: [row(90), row(60, index=2)], 3: [row(90)]}
    )
    judge_masks(dataset, FIELD)
    names = save_views(dataset, FIELD)
    assert names[-1] == "frames.masks: jumps"
    assert "0.5 lengths" in dataset.get_saved_view_info(names[-1])["description"]
    view = dataset.load_saved_view("frames.masks: jumps")
    (sample,) = view
    shown = {n: [each.index for each in f.masks.detections] for n, f in sample.frames.items()}
    assert shown == {2: [1]}
    assert len(dataset.load_saved_view("frames.masks: ragged")) == 0
    jumping = sample.frames[2].masks.detections[0].id
    dataset.set_label_values(f"{FIELD}.detections.review", {jumping: "rejected"})
    assert len(dataset.load_saved_view("frames.masks: jumps")) == 0


def test_a_view_of_frames_is_judged_by_its_videos(followed: Any) -> None:
    dataset = followed({1: [row(10)], 2: [row(90)]})
    frames = dataset.to_frames(sample_frames="dynamic").match({"frame_number": 2})
    assert judge_masks(frames, "masks").objects == 2
    assert findings(dataset) == {1: [[]], 2: [["jumps"]]}


def test_labels_that_views_show(followed: Any) -> None:
    dataset = followed({1: [row(10)], 2: [row(90), row(50, index=2)]})
    everything = refs_of(dataset, FIELD)
    assert len(everything) == 3
    frame = dataset.first().frames[2]
    first, second = (each.id for each in frame.masks.detections)
    both = {(frame.id, first), (frame.id, second)}
    from fiftyone import ViewField as F

    for view in (
        dataset.match_frames(F("frame_number") == 2),
        dataset.to_frames(sample_frames="dynamic").match(F("frame_number") == 2),
        dataset.to_clips([[(2, 2)]]),
    ):
        assert set(refs_of(view, FIELD)) == both
    assert refs_of(dataset.select(dataset.first().id), FIELD) == everything
    assert refs_of(dataset.exclude(dataset.first().id), FIELD) == []
    labels = dataset.filter_labels(FIELD, F("index") == 2)
    assert refs_of(labels, FIELD) == [(frame.id, second)]
    patches = dataset.to_frames(sample_frames="dynamic").to_patches("masks")
    assert set(refs_of(patches.match(F("masks.index") == 2), FIELD)) == {(frame.id, second)}


@pytest.mark.parametrize(("resolve", "area"), [(delete_duplicates, 400), (merge_duplicates, 404)])
def test_duplicates_of_a_frame_are_resolved_and_come_back(
    followed: Any, resolve: Any, area: int
) -> None:
    nested = (14, 24, 18, 41, {"confidence": 0.5})
    dataset = followed({1: [row(10)], 3: [row(10), nested]})
    judge_masks(dataset, FIELD)
    before = findings(dataset)
    removal = resolve(dataset, FIELD)
    (left,) = dataset.first().frames[3].masks.detections
    assert int(left.mask.sum()) == area
    assert restore(dataset, removal.removal_id).labels == removal.removed + removal.changed
    dataset.reload()
    assert sorted(map(len, findings(dataset).values())) == [1, 2]
    assert sorted(findings(dataset)[3]) == sorted(before[3])
    masks = [each.mask for each in dataset.first().frames[3].masks.detections]
    assert sorted(int(mask.sum()) for mask in masks) == [68, 400]


def test_duplicates_of_frames_that_a_view_does_not_show_stay(followed: Any) -> None:
    from fiftyone import ViewField as F

    nested = row(14, 24, 8, None, confidence=0.5)
    dataset = followed({number: [row(10), nested] for number in (1, 2, 3)})
    judge_masks(dataset, FIELD)
    frames = dataset.to_frames(sample_frames="dynamic")
    some = frames.select(dataset.first().frames[2].id)
    for view, count in (
        (dataset, 3),
        (dataset.select(dataset.first().id), 3),
        (some, 1),
        (dataset.match_frames(F("frame_number") > 1), 2),
        (dataset.to_clips([[(1, 2)]]), 2),
        (dataset.match_frames(F("frame_number") > 3), 0),
    ):
        assert len(find_found(view, FIELD).going) == count
    assert delete_duplicates(some, FIELD).removed == 1
    dataset.reload()
    assert [len(rows) for rows in findings(dataset).values()] == [2, 1, 2]
