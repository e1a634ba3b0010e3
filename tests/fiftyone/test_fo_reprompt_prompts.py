"""What the panel sends becomes prompts in pixels, or a sentence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.review import read_interaction

sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
shares = st.floats(0, 1)


@given(sizes, st.lists(st.tuples(shares, shares, st.sampled_from([0, 1])), min_size=1, max_size=9))
def test_clicks_are_where_they_were_made_and_inside_the_picture(size: Any, points: Any) -> None:
    height, width = size
    read = read_interaction({"points": [list(point) for point in points]}, size)
    for (x, y, sign), (px, py, label) in zip(points, read.points, strict=True):
        assert 0 <= px <= width - 1
        assert 0 <= py <= height - 1
        assert abs((px + 0.5) / width - x) <= 0.5 / width + 1e-9
        assert abs((py + 0.5) / height - y) <= 0.5 / height + 1e-9
        assert label == sign


def test_the_middle_of_a_pixel_is_that_pixel() -> None:
    read = read_interaction({"points": [[10.5 / 80, 20.5 / 60, 1]], "answer": 2}, (60, 80))
    assert read.points == ((pytest.approx(10), pytest.approx(20), 1),)
    assert read.answer == 2


def test_a_box_is_cut_to_the_picture() -> None:
    read = read_interaction({"points": [], "box": [0.5, -0.5, 1.0, 1.0]}, (60, 80))
    assert read.box == pytest.approx((40, 0, 80, 30))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"points": [], "box": None},
        {"points": "all"},
        {"points": [[0.5, 0.5]]},
        {"points": [[0.5, 0.5, 2]]},
        {"points": [[0.5, float("nan"), 1]]},
        {"points": [[1.5, 0.5, 1]]},
        {"points": [["0.5", 0.5, 1]]},
        {"points": [[0.5, 0.5, 1]] * 257},
        {"box": [0.5, 0.5, 0.1]},
        {"box": [2, 2, 0.1, 0.1]},
        {"box": [0.5, 0.5, float("inf"), 0.1]},
        {"points": [[0.5, 0.5, 1]], "answer": 3},
        {"points": [[0.5, 0.5, 1]], "answer": True},
        {"points": [[0.5, 0.5, 1]], "answer": "1"},
    ],
)
def test_anything_else_is_refused_in_a_sentence(said: Any) -> None:
    with pytest.raises(ReviewError, match=r"\w+ .*\.$|: "):
        read_interaction(said, (60, 80))
