"""What holds for any picture and any prompt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_plugins.masks import mask_iou, mask_to_box
from sam_plugins.testing import FakeSegmenter, sample_image, tiny_segmenter
from sam_plugins.transforms import (
    boxes_from_input,
    boxes_to_input,
    points_from_input,
    points_to_input,
    resized_size,
)
from sam_plugins.types import Prompt

SIDE = st.integers(1, 5000)
SMALL = st.integers(1, 150)


@st.composite
def windows(draw):
    """A window of any size anywhere, and the size it is resized to."""
    height, width = draw(SIDE), draw(SIDE)
    x0, y0 = draw(st.integers(0, 3000)), draw(st.integers(0, 3000))
    side = draw(st.sampled_from([64, 512, 1024]))
    return (x0, y0, x0 + width, y0 + height), resized_size((height, width), side)


def inside(data, region):
    x0, y0, x1, y1 = region
    numbers = {"allow_nan": False, "allow_subnormal": False}
    return data.draw(st.floats(x0, x1, **numbers)), data.draw(st.floats(y0, y1, **numbers))


@given(windows(), st.data())
def test_points_go_there_and_back_within_half_a_pixel(window, data):
    region, size = window
    point = np.array(inside(data, region))
    there = points_to_input(point, region, size)
    assert (there >= 0).all()
    assert (there <= (size[1], size[0])).all()
    assert np.abs(points_from_input(there, region, size) - point).max() < 0.5


@given(windows(), st.data())
def test_boxes_go_there_and_back_within_half_a_pixel(window, data):
    region, size = window
    box = np.array([*inside(data, region), *inside(data, region)])
    there = boxes_to_input(box, region, size)
    assert np.abs(boxes_from_input(there, region, size) - box).max() < 0.5


@given(SIDE, SIDE, st.sampled_from([64, 512, 1024]))
def test_the_longest_side_is_met_and_the_shape_kept(height, width, side):
    size = resized_size((height, width), side)
    assert max(size) == side
    assert min(size) >= 1
    exact = np.array([height, width]) * side / max(height, width)
    assert np.abs(np.maximum(exact, 0.5) - size).max() <= 0.5


@settings(max_examples=60, deadline=None)
@given(SMALL, SMALL, st.data())
def test_a_click_is_answered_where_it_was_made(height, width, data):
    """From pixels to the model's input, low-resolution logits and back, for any (H, W)."""
    segmenter = FakeSegmenter(radius=0.2 * max(height, width) + 1)
    embedding = segmenter.encode(sample_image(height, width))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    answer = segmenter.decode(embedding, Prompt(point_coords=[(x, y)], point_labels=[1]))
    for mask in answer.masks:
        assert mask.shape == (height, width)
        assert mask[y, x]
    away = segmenter.decode(embedding, Prompt(point_coords=[(x, y)], point_labels=[0]))
    assert not away.masks.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(60, 200), st.integers(60, 200), st.data())
def test_a_box_is_answered_with_its_inside(height, width, data):
    segmenter = FakeSegmenter()
    embedding = segmenter.encode(sample_image(height, width))
    x0, y0 = data.draw(st.integers(0, width - 40)), data.draw(st.integers(0, height - 40))
    x1, y1 = data.draw(st.integers(x0 + 40, width)), data.draw(st.integers(y0 + 40, height))
    mask = segmenter.decode(embedding, Prompt(box=(x0, y0, x1, y1))).best()
    expected = np.zeros((height, width), bool)
    expected[y0:y1, x0:x1] = True
    assert mask_iou(mask, expected) > 0.85
    assert np.abs(np.subtract(mask_to_box(mask), (x0, y0, x1, y1))).max() <= 3


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_window_answers_in_coordinates_of_the_image(data):
    """The same pixels prompted in place and cut out: masks agree after the shift."""
    image = sample_image(90, 120)
    x0, y0 = data.draw(st.integers(0, 80)), data.draw(st.integers(0, 50))
    x1, y1 = data.draw(st.integers(x0 + 20, 120)), data.draw(st.integers(y0 + 20, 90))
    x, y = data.draw(st.integers(x0, x1 - 1)), data.draw(st.integers(y0, y1 - 1))
    segmenter = FakeSegmenter(radius=9)
    window = segmenter.encode(image, region=(x0, y0, x1, y1))
    there = segmenter.decode(window, Prompt(point_coords=[(x, y)], point_labels=[1]))
    alone = segmenter.encode(image[y0:y1, x0:x1])
    here = segmenter.decode(alone, Prompt(point_coords=[(x - x0, y - y0)], point_labels=[1]))
    expected = np.zeros((3, 90, 120), bool)
    expected[:, y0:y1, x0:x1] = here.masks
    assert np.array_equal(there.masks, expected)


@pytest.fixture(scope="module")
def torch_segmenter():
    return tiny_segmenter()


@st.composite
def prompts(draw):
    fields = {}
    for _ in range(draw(st.integers(0, 3))):
        fields.setdefault("point_coords", []).append(
            (draw(st.floats(0, 50, width=32)), draw(st.floats(0, 40, width=32)))
        )
        fields.setdefault("point_labels", []).append(draw(st.integers(0, 1)))
    if not fields or draw(st.booleans()):
        x, y = draw(st.integers(0, 40)), draw(st.integers(0, 30))
        fields["box"] = (x, y, x + draw(st.integers(1, 10)), y + draw(st.integers(1, 10)))
    if draw(st.booleans()):
        fields["mask_input"] = np.full((16, 16), draw(st.integers(-5, 5)))
    return Prompt(**fields)


@settings(max_examples=40, deadline=None)
@given(wanted=st.lists(prompts(), max_size=9), multimask=st.sampled_from([None, True, False]))
def test_many_prompts_are_answered_as_one_by_one(torch_segmenter, wanted, multimask):
    embedding = torch_segmenter.encode(sample_image(40, 50))
    together = torch_segmenter.decode_many(embedding, wanted, multimask_output=multimask)
    for prompt, answer in zip(wanted, together, strict=True):
        alone = torch_segmenter.decode(embedding, prompt, multimask_output=multimask)
        np.testing.assert_allclose(answer.low_res_logits, alone.low_res_logits, rtol=0, atol=1e-5)
        np.testing.assert_allclose(answer.iou_predictions, alone.iou_predictions, rtol=0, atol=1e-5)
