"""Relative coordinates and pixels are the same places."""

from hypothesis import given
from hypothesis import strategies as st

from fiftyone_plugin.geometry import (
    clip_box,
    pixel_to_relative_points,
    pixels_to_relative_box,
    relative_to_pixel_box,
    relative_to_pixel_points,
    whole_box,
    whole_to_relative_box,
)

sizes = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))


@given(sizes, st.data())
def test_a_box_of_whole_pixels_comes_back_the_same(size: tuple[int, int], data: st.DataObject):
    height, width = size
    x0 = data.draw(st.integers(0, width - 1))
    y0 = data.draw(st.integers(0, height - 1))
    box = (x0, y0, data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height)))
    assert whole_box(relative_to_pixel_box(pixels_to_relative_box(box, size), size), size) == box


@given(sizes, st.data())
def test_whole_pixels_are_found_again_by_cutting_off_decimals(size, data):
    height, width = size
    x0 = data.draw(st.integers(0, width - 1))
    y0 = data.draw(st.integers(0, height - 1))
    box = (x0, y0, data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height)))
    x, y, w, h = whole_to_relative_box(box, size)
    found = (int(width * x), int(height * y), int(width * (x + w)), int(height * (y + h)))
    assert found == box
    assert max(x + w, y + h) <= 1
    assert whole_box(relative_to_pixel_box((x, y, w, h), size), size) == box


@given(sizes, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5))
def test_points_come_back_where_they_were(size, points):
    pixels = relative_to_pixel_points(points, size)
    for there, back in zip(points, pixel_to_relative_points(pixels, size), strict=True):
        assert abs(there[0] - back[0]) < 1e-9
        assert abs(there[1] - back[1]) < 1e-9


def test_the_first_pixel_of_a_picture_is_at_its_centre():
    assert relative_to_pixel_points([[0.5 / 4, 0.5 / 2]], (2, 4)).tolist() == [[0.0, 0.0]]


@given(sizes, st.tuples(*[st.floats(-3e4, 3e4)] * 4))
def test_a_clipped_box_lies_inside_and_has_an_area(size, box):
    height, width = size
    clipped, whole = clip_box(box, size), whole_box(box, size)
    assert (clipped is None) == (whole is None)
    if clipped is not None and whole is not None:
        assert 0 <= clipped[0] < clipped[2] <= width
        assert 0 <= clipped[1] < clipped[3] <= height
        assert 0 <= whole[0] < whole[2] <= width
        assert 0 <= whole[1] < whole[3] <= height
        assert whole[0] <= clipped[0] + 1e-3
        assert whole[2] >= clipped[2] - 1e-3


def test_a_box_that_barely_reaches_into_the_picture_has_its_last_pixel():
    assert whole_box((9.99999, 4.99999, 20, 20), (5, 10)) == (9, 4, 10, 5)
