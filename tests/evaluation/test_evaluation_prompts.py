import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sam_plugins.errors import PromptError
from sam_plugins.evaluation.prompts import centre_point, jittered_box, random_point

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)).filter(np.any)


def distance_to_outside(mask, x, y):
    """Squared distance from a pixel to the nearest one outside the mask, by trying all."""
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded) - 1
    return ((outside - (y, x)) ** 2).sum(axis=1).min()


@given(masks)
def test_the_centre_is_as_far_from_the_border_as_any_pixel(mask):
    x, y = centre_point(mask)
    assert mask[y, x]
    best = max(distance_to_outside(mask, column, row) for row, column in np.argwhere(mask))
    assert distance_to_outside(mask, x, y) == best


def test_the_edge_of_the_image_is_a_border():
    assert centre_point(np.ones((9, 9), bool)) == (4, 4)
    half = np.zeros((9, 20), bool)
    half[:, :9] = True
    assert centre_point(half) == (4, 4)


def test_equally_far_pixels_are_decided_by_the_centroid():
    bar = np.zeros((5, 40), bool)
    bar[1:4, 3:36] = True
    assert centre_point(bar) == (19, 2)


def test_exact_ties_take_the_upper_left():
    pair = np.zeros((7, 7), bool)
    pair[1:3, 1:3] = pair[4:6, 4:6] = True
    assert centre_point(pair) == (2, 2)
    assert centre_point(np.ones((2, 2), bool)) == (0, 0)


@given(masks, st.integers(0, 2**32 - 1))
def test_a_random_point_lies_in_the_mask_and_follows_its_seed(mask, seed):
    x, y = random_point(mask, np.random.default_rng(seed))
    assert mask[y, x]
    assert (x, y) == random_point(mask, np.random.default_rng(seed))


def test_every_pixel_can_be_the_random_point():
    mask = np.zeros((4, 5), bool)
    mask[1, 4] = mask[3, 0] = mask[2, 2] = True
    rng = np.random.default_rng(0)
    found = {random_point(mask, rng) for _ in range(100)}
    assert found == {(4, 1), (0, 3), (2, 2)}


@pytest.mark.parametrize("make", [centre_point, lambda m: random_point(m, np.random.default_rng())])
def test_an_empty_mask_has_no_point(make):
    with pytest.raises(PromptError, match="empty mask of shape"):
        make(np.zeros((3, 4), bool))


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.data(),
    st.integers(0, 2**32 - 1),
    st.floats(0, 2),
)
def test_a_jittered_box_stays_a_box_inside_the_image(height, width, data, seed, fraction):
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    box, size = (x0, y0, x1, y1), (height, width)
    left, top, right, bottom = jittered_box(
        box, size, np.random.default_rng(seed), fraction=fraction
    )
    assert 0 <= left <= right - 1 + 1e-9
    assert right <= width
    assert 0 <= top <= bottom - 1 + 1e-9
    assert bottom <= height


def test_jitter_has_the_papers_spread_and_limit():
    rng = np.random.default_rng(3)
    boxes = np.array([jittered_box((400, 400, 500, 600), (1000, 1000), rng) for _ in range(4000)])
    moves = boxes - (400, 400, 500, 600)
    assert np.abs(moves).max() <= 20
    assert moves[:, 0].std() == pytest.approx(9.5, abs=0.5)
    assert (np.abs(moves[:, 1]) == 20).mean() == pytest.approx(0.317, abs=0.03)
    np.testing.assert_allclose(moves.mean(axis=0), 0, atol=1)


def test_no_jitter_is_the_box():
    rng = np.random.default_rng(0)
    assert jittered_box((2, 3, 9, 8), (20, 20), rng, fraction=0) == (2, 3, 9, 8)
