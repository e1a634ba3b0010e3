"""Everything-mode on a segmenter that knows the truth: what is found, kept and dropped."""

import dataclasses
import itertools

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
        self.stride = max(image.shape) // 64
        self.truth = image[:: self.stride, :: self.stride, 0]
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
            x, y = (int(v) // self.stride for v in prompt.point_coords[0])
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
    assert 0 < oracle.asked == asked < 32 * 32


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
    ],
)
def test_settings_out_of_range_are_refused_by_name(change):
    (name,) = change
    with pytest.raises(PromptError, match=name):
        AutomaticSettings(**change)
