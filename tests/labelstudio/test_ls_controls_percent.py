"""Percent and pixels: x before y, pictures that are not square, borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstudio_backend.controls.percent import (
    corners_to_percent,
    percent_to_corners,
    percent_to_points,
)

sizes = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))
shares = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=8)


def test_x_is_a_share_of_the_width_and_y_of_the_height():
    assert percent_to_corners([(25, 50)], (600, 800)).tolist() == [[200, 300]]
    assert corners_to_percent([(200, 300)], (600, 800)) == [[25, 50]]


def test_borders_are_0_and_100():
    assert percent_to_corners([(0, 0), (100, 100)], (7, 11)).tolist() == [[0, 0], [11, 7]]
    assert corners_to_percent([(0, 0), (11, 7)], (7, 11)) == [[0, 0], [100, 100]]


def test_a_click_on_the_middle_of_a_pixel_is_that_pixel():
    size = (10, 20)
    for x, y in ((0, 0), (3, 7), (19, 9)):
        percent = [((x + 0.5) * 100 / 20, (y + 0.5) * 100 / 10)]
        assert percent_to_points(percent, size) == pytest.approx(np.array([[x, y]]))


@given(size=sizes, corners=st.data())
def test_corners_come_back_after_a_round_trip(size, corners):
    height, width = size
    xy = st.tuples(st.integers(0, width), st.integers(0, height))
    pixels = corners.draw(st.lists(xy, min_size=1, max_size=8))
    back = percent_to_corners(corners_to_percent(pixels, size), size)
    # Half of the last decimal, of the longest side.
    assert np.abs(back - pixels).max() <= 0.5e-8 * max(size) + 1e-9


@given(size=sizes, percent=shares)
def test_percent_come_back_after_a_round_trip(size, percent):
    back = corners_to_percent(percent_to_corners(percent, size), size)
    assert np.allclose(back, percent, rtol=0, atol=0.6e-6)


@given(
    size=sizes,
    percent=st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=8),
)
def test_points_never_leave_the_picture(size, percent):
    points = percent_to_points(percent, size)
    assert (points >= -0.5).all()
    assert (points <= (size[1] - 0.5, size[0] - 0.5)).all()
    # They are not mixed up either: what is further right stays further right.
    assert (np.diff(points[np.argsort([x for x, _ in percent]), 0]) >= 0).all()
