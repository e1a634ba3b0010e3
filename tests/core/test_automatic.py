"""Everything-mode on a segmenter that knows the truth: what is found, kept and dropped."""

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_plugins.automatic import (
    DEFAULT_SETTINGS,
    AutomaticSettings,
    Progress,
    default_settings,
    generate_masks,
    point_grid,
)
from sam_plugins.errors import PromptError
from sam_plugins.formats import mask_to_rle, rle_to_mask
from sam_plugins.masks import mask_to_box
from sam_plugins.ports import SegmenterInfo
from sam_plugins.testing import FakeSegmenter
from sam_plugins.types import Embedding, MaskRecord, Masks, Prompt

SIZE = (48, 64)
OBJECTS = {1: (slice(4, 20), slice(4, 24)), 2: (slice(24, 44), slice(30, 60))}


class Oracle:
    """Answers a click with the object under it, drawn in `picture[..., 0]` as its number.

    The three answers are the object, its left half (sure of the left quarter only), and
    everything.
    """

    def __init__(self, scores=(0.95, 0.6, 0.7)):
        self.scores = np.array(scores, np.float32)
        self.asked = 0
        self.info = SegmenterInfo(
            name="oracle",
            encoder_id="o",
            model_id="o",
            image_size=64,
            low_res_size=(64, 64),
            numerics="fp32",
            device="cpu",
            engine="oracle",
        )

    def encode(self, image, *, region=None):
        self.left, self.top, x1, y1 = region
        window = image[self.top : y1, self.left : x1]
        self.stride = -(-max(window.shape) // 64)
        self.truth = window[:: self.stride, :: self.stride, 0]
        return Embedding(
            features={"x": np.zeros((1, 1, 1), np.float32)},
            region=region,
            original_size=image.shape[:2],
            input_size=self.truth.shape,
            padded_size=(64, 64),
            encoder_id="o",
            key="k",
        )

    def decode_many(self, embedding, prompts, *, multimask_output=None, pred_iou_thresh=None):
        assert multimask_output is True
        for prompt in prompts:
            self.asked += 1
            x, y = (prompt.point_coords[0] - (self.left, self.top)).astype(int) // self.stride
            name = self.truth[y, x]
            mask = self.truth == name if name else np.zeros_like(self.truth, bool)
            x0, _, x1, _ = mask_to_box(mask)
            half = mask & (np.arange(mask.shape[1]) < (x0 + x1) // 2)
            answers = np.full((3, 64, 64), -8, np.float32)
            for answer, pixels in zip(answers, (mask, half, np.ones_like(mask)), strict=True):
                answer[: mask.shape[0], : mask.shape[1]][pixels] = 8
            unsure = half & (np.arange(mask.shape[1]) >= (3 * x0 + x1) // 4)
            answers[1, : mask.shape[0], : mask.shape[1]][unsure] = 0.5
            found = Masks(
                low_res_logits=answers,
                iou_predictions=self.scores,
                region=embedding.region,
                original_size=embedding.original_size,
                input_size=embedding.input_size,
                padded_size=embedding.padded_size,
            )
            yield found.above(pred_iou_thresh)


@pytest.fixture
def picture():
    image = np.zeros((*SIZE, 3), np.uint8)
    for name, where in OBJECTS.items():
        image[where] = name
    return image


def records_of(events):
    return [event for event in events if isinstance(event, MaskRecord)]


def keep_all(**changes):
    return AutomaticSettings(
        **{
            "points_per_side": 8,
            "pred_iou_thresh": 0.0,
            "stability_score_thresh": 0.0,
            "box_nms_thresh": 1.0,
            "max_area_fraction": 1.0,
            **changes,
        }
    )


def test_each_object_is_found_once_with_its_exact_pixels(picture):
    events = list(generate_masks(Oracle(), picture, AutomaticSettings(points_per_side=8)))
    records = records_of(events)
    assert sorted(r.area for r in records) == [16 * 20, 20 * 30]
    for record in records:
        (name,) = {int(picture[int(y), int(x), 0]) for x, y in [record.point_coords]}
        truth = picture[..., 0] == name
        np.testing.assert_array_equal(rle_to_mask(record.segmentation), truth)
        assert record.box == mask_to_box(truth)
        assert record.crop_box == (0, 0, 64, 48)
        assert record.predicted_iou == pytest.approx(0.95)
        assert record.stability_score == 1.0


def test_progress_counts_points_and_comes_before_the_masks(picture):
    events = list(generate_masks(Oracle(), picture, AutomaticSettings(points_per_side=20)))
    steps = list(itertools.takewhile(lambda event: isinstance(event, Progress), events))
    assert len(records_of(events)) == len(events) - len(steps) == 2
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 400
    assert {step.total for step in steps} == {400}


def test_closing_the_generator_stops_the_work(picture):
    oracle = Oracle()
    events = generate_masks(oracle, picture, AutomaticSettings(points_per_side=32))
    for event in events:
        if event.done > 0:
            break
    asked = oracle.asked
    events.close()
    assert oracle.asked == asked == event.done == 1


@pytest.mark.parametrize("crop_n_layers", [0, 1])
def test_a_search_that_is_stopped_gives_what_it_found(picture, crop_n_layers):
    oracle = Oracle()
    settings = AutomaticSettings(points_per_side=32, crop_n_layers=crop_n_layers)

    def stop():
        return oracle.asked >= 10 * 32

    records = records_of(generate_masks(oracle, picture, settings, stop=stop))
    assert oracle.asked == 10 * 32
    assert [record.area for record in records] == [16 * 20]


def test_a_score_must_exceed_the_iou_threshold_but_only_reach_the_stability_threshold(picture):
    scores = (0.5, 0.25, 0.125)
    kept = records_of(generate_masks(Oracle(scores), picture, keep_all(pred_iou_thresh=0.25)))
    assert {r.predicted_iou for r in kept} == {0.5}
    for threshold, kept_scores in ((0.5, {0.5, 1.0}), (0.500001, {1.0})):
        settings = keep_all(stability_score_thresh=threshold)
        kept = records_of(generate_masks(Oracle(), picture, settings))
        assert {r.stability_score for r in kept} == kept_scores


def test_stability_is_counted_at_the_size_of_the_picture(picture):
    oracle = Oracle()
    large = np.kron(picture, np.ones((10, 10, 1), np.uint8))
    settings = keep_all(points_per_side=1, pred_iou_thresh=0.9)
    (record,) = records_of(generate_masks(oracle, large, settings))
    (masks,) = oracle.decode_many(
        oracle.encode(large, region=(0, 0, 640, 480)),
        [Prompt(point_coords=[record.point_coords], point_labels=[1])],
        multimask_output=True,
    )
    logits = masks.logits(0)
    assert logits.shape == (480, 640)
    expected = (logits > 1).sum() / (logits > -1).sum()
    assert expected < 1
    assert record.stability_score == pytest.approx(expected, abs=1e-7)


def test_masks_of_nearly_the_whole_picture_are_dropped(picture):
    whole = picture.shape[0] * picture.shape[1]
    settings = keep_all()
    assert whole in [r.area for r in records_of(generate_masks(Oracle(), picture, settings))]
    settings = dataclasses.replace(settings, max_area_fraction=0.95)
    areas = [r.area for r in records_of(generate_masks(Oracle(), picture, settings))]
    assert areas
    assert max(areas) <= 0.95 * whole


def test_empty_answers_are_no_objects():
    blank = np.zeros((*SIZE, 3), np.uint8)
    events = list(generate_masks(Oracle(), blank, keep_all(max_area_fraction=0.9)))
    assert records_of(events) == []
    assert isinstance(events[-1], Progress)


def test_of_overlapping_masks_the_best_predicted_one_stays(picture):
    settings = keep_all(box_nms_thresh=0.3, max_area_fraction=0.9)
    for scores in ((0.9, 0.2, 0.1), (0.2, 0.9, 0.1)):
        records = records_of(generate_masks(Oracle(scores), picture, settings))
        assert {round(r.predicted_iou, 6) for r in records} == {0.9}
        assert len(records) == 2


def test_the_best_come_first_and_can_be_limited(picture):
    scores = (0.3, 0.8, 0.1)
    everything = records_of(generate_masks(Oracle(scores), picture, keep_all()))
    values = [r.predicted_iou for r in everything]
    assert values == sorted(values, reverse=True)
    few = records_of(generate_masks(Oracle(scores), picture, keep_all(max_masks=3)))
    assert [r.segmentation for r in few] == [r.segmentation for r in everything[:3]]


def test_small_holes_are_filled_and_small_islands_dropped(picture):
    picture[10:12, 10:12] = 0
    picture[40:42, 2:4] = 1
    settings = AutomaticSettings(points_per_side=8, min_mask_region_area=5)
    records = records_of(generate_masks(Oracle(), picture, settings))
    truth = np.zeros(SIZE, bool)
    truth[OBJECTS[1]] = True
    assert mask_to_rle(truth) in [r.segmentation for r in records]
    (cleaned,) = [r for r in records if r.segmentation == mask_to_rle(truth)]
    assert cleaned.area == truth.sum()
    assert cleaned.box == mask_to_box(truth)


def test_areas_are_limited_in_pixels(picture):
    areas = {r.area for r in records_of(generate_masks(Oracle(), picture, keep_all()))}
    assert {320, 600} < areas
    kept = records_of(generate_masks(Oracle(), picture, keep_all(min_area=320, max_area=600)))
    assert {r.area for r in kept} == {area for area in areas if 320 <= area <= 600}


def test_masks_at_the_border_go_after_they_have_removed_their_duplicates(picture):
    picture[4:20, 0:24] = 1
    options = keep_all(pred_iou_thresh=0.9, box_nms_thresh=0.7)
    kept = records_of(generate_masks(Oracle(), picture, options))
    assert sorted(r.area for r in kept) == [16 * 24, 20 * 30]
    options = dataclasses.replace(options, exclude_border=True)
    kept = records_of(generate_masks(Oracle(), picture, options))
    assert [r.area for r in kept] == [20 * 30]
    smaller = Oracle((0.95, 0.94, 0.1))
    assert [r.area for r in records_of(generate_masks(smaller, picture, options))] == [600, 300]
    options = dataclasses.replace(options, box_nms_thresh=0.4)
    assert [r.area for r in records_of(generate_masks(smaller, picture, options))] == [600]


def test_masks_share_no_pixel_if_asked(picture):
    options = keep_all(overlaps="small_on_top", box_nms_thresh=0.9)
    records = records_of(generate_masks(Oracle(), picture, options))
    total = sum(rle_to_mask(r.segmentation).astype(int) for r in records)
    assert total.max() == 1
    assert total.min() == 1
    assert sorted(r.area for r in records) == [160, 160, 300, 300, 48 * 64 - 920]
    options = keep_all(overlaps="best_on_top", box_nms_thresh=0.9)
    records = records_of(generate_masks(Oracle(), picture, options))
    assert sorted(r.area for r in records) == [320, 600, 48 * 64 - 920]


def test_crops_are_searched_and_the_mask_of_the_smaller_one_stays(picture):
    large = np.kron(picture, np.ones((4, 4, 1), np.uint8))
    options = keep_all(points_per_side=8, crop_n_layers=1, pred_iou_thresh=0.9, box_nms_thresh=0.7)
    oracle = Oracle()
    events = list(generate_masks(oracle, large, options))
    assert oracle.asked == 5 * 64
    steps = [event for event in events if isinstance(event, Progress)]
    assert {step.total for step in steps} == {5 * 64}
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert any("(5 of 5)" in step.message for step in steps)
    records = records_of(events)
    # Each object lies whole within one crop; the others cut it off.
    by_size = sorted(records, key=lambda r: r.area)
    assert [r.crop_box for r in by_size] == [(0, 0, 161, 129), (96, 64, 256, 192)]
    np.testing.assert_allclose(by_size[0].box, (16, 16, 96, 80), atol=3)
    np.testing.assert_allclose(by_size[1].box, (120, 96, 240, 176), atol=3)
    alone = dataclasses.replace(options, skip_whole_image=True, crop_n_points_downscale_factor=2)
    oracle = Oracle()
    records = records_of(generate_masks(oracle, large, alone))
    assert oracle.asked == 4 * 16
    assert sorted(r.crop_box for r in records) == [(0, 0, 161, 129), (96, 64, 256, 192)]


def test_hopeless_answers_are_left_to_the_segmenter_to_skip(picture):
    class Asked(Oracle):
        def decode_many(self, embedding, prompts, **options):
            thresholds.append(options["pred_iou_thresh"])
            return super().decode_many(embedding, prompts, **options)

    for threshold, expected in ((0.8, 0.8), (0.0, None)):
        thresholds = []
        list(generate_masks(Asked(), picture, keep_all(pred_iou_thresh=threshold)))
        assert set(thresholds) == {expected}


@pytest.mark.slow
def test_a_thousand_masks_of_a_large_picture_need_no_memory_for_their_pixels():
    segmenter, large = FakeSegmenter(radius=45), np.zeros((3072, 4096, 3), np.uint8)
    settings = AutomaticSettings(
        pred_iou_thresh=0,
        stability_score_thresh=0,
        min_mask_region_area=30,
        exclude_border=True,
        overlaps="small_on_top",
    )
    tracemalloc.start()
    try:
        records = records_of(generate_masks(segmenter, large, settings))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records) > 1000
    # One label image of two bytes a pixel, and as much again to spare; a mask of the picture's
    # size for each would be 12 GB.
    assert peak < 3 * large[..., 0].size * 2


@given(st.integers(1, 12), st.integers(0, 50), st.integers(0, 50), st.integers(1, 70))
def test_points_lie_at_the_centres_of_equal_cells(n, x0, y0, side):
    points = point_grid(n, (x0, y0, x0 + side, y0 + 2 * side))
    assert points.shape == (n * n, 2)
    cell = (points - (x0, y0)) / (side / n, 2 * side / n)
    expected = [(i + 0.5, j + 0.5) for j in range(n) for i in range(n)]
    np.testing.assert_allclose(cell, expected, rtol=1e-12)


def test_models_have_their_own_settings_and_unknown_ones_the_published():
    assert default_settings("vit_b") == AutomaticSettings()
    assert (AutomaticSettings().pred_iou_thresh, AutomaticSettings().stability_score_thresh) == (
        0.88,
        0.95,
    )
    assert default_settings("nano") is DEFAULT_SETTINGS["nano"] != AutomaticSettings()


@pytest.mark.parametrize(
    "change",
    [
        {"points_per_side": 0},
        {"points_per_side": 10_000},
        {"pred_iou_thresh": 88},
        {"stability_score_thresh": -0.1},
        {"stability_score_offset": float("nan")},
        {"box_nms_thresh": 2},
        {"max_masks": 0},
        {"min_mask_region_area": -1},
        {"crop_n_layers": -1},
        {"crop_nms_thresh": 1.5},
        {"crop_overlap_ratio": 1},
        {"max_area": 0},
        {"overlaps": "none"},
        {"skip_whole_image": True},
    ],
)
def test_settings_out_of_range_are_refused_by_name(change):
    (name,) = change
    with pytest.raises(PromptError, match=name):
        AutomaticSettings(**change)
