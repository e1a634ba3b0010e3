import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sam_plugins.interpolate import axis_weights, bilinear, upsample_logits

SIDE = st.integers(1, 60)


def by_torch(values, size):
    tensor = torch.from_numpy(values)[None]
    return F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0].numpy()


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 5, shape).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE)
def test_equals_torch(h, w, height, width):
    values = random(2, h, w)
    np.testing.assert_allclose(
        bilinear(values, (height, width)), by_torch(values, (height, width)), atol=2e-5
    )


@pytest.mark.parametrize(
    ("input_size", "window"),
    [
        ((768, 1024), (1500, 2000)),
        ((1024, 683), (481, 321)),
        ((1024, 1), (3000, 3)),
        ((1024, 1024), (7, 7)),
    ],
)
def test_twice_equals_the_published_way_back(input_size, window):
    logits = random(2, 256, 256)
    middle = by_torch(logits, (1024, 1024))[:, : input_size[0], : input_size[1]]
    expected = by_torch(np.ascontiguousarray(middle), window)
    found = upsample_logits(logits, (1024, 1024), input_size, window)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    sure = np.abs(expected) > 1e-5
    assert np.array_equal((found > 0)[sure], (expected > 0)[sure])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_part_equals_the_same_part_of_the_whole(data):
    """Bit for bit: a crop must not depend on how much of the image is looked at."""
    low, padded = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 40))
    inside = data.draw(st.integers(1, padded)), data.draw(st.integers(1, padded))
    window = data.draw(SIDE), data.draw(SIDE)
    spans = []
    for side in window:
        start = data.draw(st.integers(0, side - 1))
        spans.append((start, data.draw(st.integers(start + 1, side))))
    logits = random(low, low + 1)
    whole = upsample_logits(logits, (padded, padded), inside, window)
    part = upsample_logits(logits, (padded, padded), inside, window, *spans)
    assert np.array_equal(part, whole[slice(*spans[0]), slice(*spans[1])])


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE)
def test_weights_stay_inside(n_in, n_out):
    low, high, weight = axis_weights(n_in, n_out, (0, n_out))
    assert low.min() >= 0
    assert high.max() < n_in
    assert (high - low <= 1).all()
    assert (weight >= 0).all()
    assert (weight <= 1).all()


def test_same_size_changes_nothing():
    values = random(3, 7, 9)
    assert np.array_equal(bilinear(values, (7, 9)), values)


def test_never_leaves_the_range_of_its_source():
    values = random(1, 9, 9)
    found = bilinear(values, (301, 207))
    assert found.min() >= values.min() - 1e-5
    assert found.max() <= values.max() + 1e-5
