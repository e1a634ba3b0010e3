"""Answers looked at many at a time are what each of them says by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_plugins import mask_prompt, measure_answers
from sam_plugins.automatic import answers as answers_module
from sam_plugins.errors import PromptError
from sam_plugins.masks import mask_to_box, run_lengths, runs_to_crop, stability_score
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.transforms import mask_to_logits
from sam_plugins.types import Prompt

FAKE = FakeSegmenter()
SIZE = (60, 90)
PICTURE = sample_image(*SIZE)

points = st.tuples(st.floats(0, SIZE[1]), st.floats(0, SIZE[0]), st.integers(0, 1))


@given(st.lists(st.lists(points, min_size=1, max_size=3), max_size=20), st.booleans())
@settings(max_examples=40, deadline=None)
def test_each_is_its_best_answer_at_full_resolution(asked, cropped):
    region = (5, 3, 80, 55) if cropped else None
    embedding = FAKE.encode(PICTURE, region=region)
    x0, y0, x1, y1 = embedding.region
    prompts = [
        Prompt(
            point_coords=[(min(max(x, x0), x1), min(max(y, y0), y1)) for x, y, _ in some],
            point_labels=[label for _, _, label in some],
        )
        for some in asked
    ]
    given_answers = list(FAKE.decode_many(embedding, prompts))
    measured = measure_answers(given_answers)
    assert len(measured) == len(given_answers)
    for one, masks in zip(measured, given_answers, strict=True):
        index = masks.best_index
        mask = masks.mask(index)
        left, top, right, bottom = one.box
        assert one.box == mask_to_box(mask)
        assert (one.crop == mask[top:bottom, left:right]).all()
        assert one.crop.shape == (bottom - top, right - left)
        assert one.area == mask.sum()
        assert one.predicted_iou == masks.iou_predictions[index]
        assert one.stability_score == pytest.approx(float(stability_score(masks.logits(index))))


def test_few_answers_do_not_wait_for_a_kernel(monkeypatch):
    monkeypatch.setattr(answers_module, "is_prepared", lambda: False)
    monkeypatch.setattr(answers_module, "measure_masks", None)
    embedding = FAKE.encode(PICTURE)
    (one,) = measure_answers([FAKE.decode(embedding, Prompt(box=(10, 10, 40, 40)))])
    assert one.box[0] == pytest.approx(10, abs=2)


def test_answers_on_two_windows_are_not_measured_together():
    first = FAKE.decode(FAKE.encode(PICTURE), Prompt(box=(10, 10, 40, 40)))
    second = FAKE.decode(FAKE.encode(PICTURE, region=(0, 0, 50, 50)), Prompt(box=(10, 10, 40, 40)))
    with pytest.raises(ValueError, match="one embedding"):
        measure_answers([first, second])


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_a_crop_comes_back_from_its_runs(data, height, width):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, bool).reshape(height, width)
    x0, y0, x1, y1 = box = mask_to_box(mask)
    crop = mask[y0:y1, x0:x1]
    assert (runs_to_crop(run_lengths(crop, box, mask.shape), box, mask.shape) == crop).all()


def shape_of(y0, x0, y1, x1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask[y0:y1, x0:x1], (x0, y0, x1, y1), mask


def test_a_mask_prompt_is_the_mask_at_low_resolution_with_a_point_in_it():
    crop, box, mask = shape_of(20, 30, 45, 70)
    embedding = FAKE.encode(PICTURE)
    prompt = mask_prompt(crop, box, embedding, FAKE.info.low_res_size)
    expected = mask_to_logits(
        mask, embedding.region, embedding.input_size, embedding.padded_size, (64, 64)
    )
    assert np.allclose(prompt.mask_input, expected, atol=1e-4)
    ((x, y),) = prompt.point_coords.tolist()
    assert mask[round(y), round(x)]
    assert 35 < x < 65
    assert prompt.point_labels.tolist() == [1]
    assert FAKE.decode(embedding, prompt, multimask_output=False).best()[30, 50]


def test_of_a_mask_the_part_in_the_window_asks():
    crop, box, mask = shape_of(20, 30, 45, 70)
    embedding = FAKE.encode(PICTURE, region=(50, 10, 90, 40))
    prompt = mask_prompt(crop, box, embedding, FAKE.info.low_res_size)
    expected = mask_to_logits(
        mask, embedding.region, embedding.input_size, embedding.padded_size, (64, 64)
    )
    assert np.allclose(prompt.mask_input, expected, atol=1e-4)
    ((x, y),) = prompt.point_coords.tolist()
    assert 50 <= x < 70
    assert 20 <= y < 40
    assert prompt.mask_region == embedding.region


@pytest.mark.parametrize(
    ("crop", "box", "said"),
    [
        (np.ones((3, 3), bool), (0, 0, 4, 3), "shape of its box"),
        (np.zeros((3, 3), bool), (0, 0, 3, 3), "found none there"),
        (np.ones((3, 3), bool), (80, 0, 83, 3), "found none there"),
        (np.zeros((0, 0), bool), (9, 9, 9, 9), "found none there"),
    ],
)
def test_a_mask_that_is_not_there_is_refused(crop, box, said):
    embedding = FAKE.encode(PICTURE, region=(0, 0, 50, 50))
    with pytest.raises(PromptError, match=said):
        mask_prompt(crop, box, embedding, (64, 64))
