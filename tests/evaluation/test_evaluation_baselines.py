import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_plugins.errors import MissingExtraError
from sam_plugins.evaluation.baselines import (
    WALKER_SIDE,
    BaselineSettings,
    fill_box,
    flood_fill,
    grab_cut,
    inscribed_ellipse,
    random_walk,
)
from sam_plugins.evaluation.metrics import iou


def disc_scene(height=60, width=80, centre=(45, 30), radius=15, seed=0):
    """A bright disc on dark noise, and its mask."""
    rows, columns = np.ogrid[:height, :width]
    mask = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= radius**2
    noise = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    image = np.where(mask[..., None], (200, 160, 60), (40, 60, 90)) + noise
    return np.clip(image, 0, 255).astype(np.uint8), mask


@st.composite
def boxes(draw):
    x0, y0 = draw(st.integers(0, 30)), draw(st.integers(0, 20))
    return x0, y0, draw(st.integers(x0 + 1, 31)), draw(st.integers(y0 + 1, 21))


@given(boxes())
def test_the_ellipse_is_inscribed(box):
    x0, y0, x1, y1 = box
    filled, ellipse = fill_box((21, 31), box), inscribed_ellipse((21, 31), box)
    assert filled.sum() == (x1 - x0) * (y1 - y0)
    assert not (ellipse & ~filled).any()
    cut = ellipse[y0:y1, x0:x1]
    np.testing.assert_array_equal(cut, cut[::-1, ::-1])
    if min(x1 - x0, y1 - y0) >= 10:
        assert ellipse.any(axis=0).sum() >= x1 - x0 - 4
        assert ellipse.sum() / filled.sum() == pytest.approx(math.pi / 4, abs=0.03)


def test_flood_fill_stops_at_a_change_of_colour():
    image, mask = disc_scene()
    assert iou(flood_fill(image, (45, 30), 60), mask) > 0.99
    assert flood_fill(image, (45, 30), 255).all()
    assert flood_fill(image, (45, 30), 0)[30, 45]


def test_flood_fill_stays_connected_and_takes_any_channel():
    image = np.zeros((5, 9, 3), np.uint8)
    image[:, 4, 2] = 100
    expected = np.zeros((5, 9), bool)
    expected[:, :4] = True
    np.testing.assert_array_equal(flood_fill(image, (0, 0), 50), expected)
    assert flood_fill(image, (8, 4), 99.5)[:, 5:].all()


@pytest.mark.parametrize("margin", [1.0, math.inf])
def test_grab_cut_finds_the_object_in_the_box(margin):
    image, mask = disc_scene()
    box = (28, 13, 63, 48)
    found = grab_cut(image, box, margin=margin)
    assert iou(found, mask) > 0.95
    assert not (found & ~fill_box(mask.shape, box)).any()
    np.testing.assert_array_equal(found, grab_cut(image, box, margin=margin))


def test_grab_cut_knows_the_order_of_the_channels():
    image, _ = disc_scene()
    seen = []
    import cv2

    original = cv2.grabCut

    def spy(picture, *rest):
        seen.append(picture.copy())
        return original(picture, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cv2, "grabCut", spy)
        grab_cut(image, (28, 13, 63, 48))
    np.testing.assert_array_equal(seen[0], image[:, :, ::-1])


def test_a_box_over_the_whole_picture_is_the_answer():
    image, _ = disc_scene()
    assert grab_cut(image, (0, 0, 80, 60)).all()
    assert grab_cut(image, (3, 3, 4, 4)).sum() <= 1


def test_large_pictures_are_shrunk_and_answers_are_not():
    image, mask = disc_scene(300, 1200, (900, 150), 100)
    found = grab_cut(image, (790, 40, 1010, 260))
    assert found.shape == mask.shape
    assert iou(found, mask) > 0.9
    sizes = []

    def spy(data, labels, **options):
        sizes.append(data.shape)
        return np.where(labels == 1, 1, 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skimage.segmentation.random_walker", spy)
        walked = random_walk(image, (900, 150), radius=20)
    assert sizes == [(WALKER_SIDE // 4, WALKER_SIDE, 3)]
    rows, columns = np.nonzero(walked)
    assert walked.shape == mask.shape
    assert (columns.mean(), rows.mean()) == pytest.approx((900, 150), abs=3)


def test_the_random_walker_stops_at_edges():
    image, mask = disc_scene()
    found = random_walk(image, (45, 30), beta=2000)
    assert iou(found, mask) > 0.95
    np.testing.assert_array_equal(found, random_walk(image, (45, 30), beta=2000))


@pytest.mark.parametrize("point", [(0, 0), (7, 5), (3, 2)])
def test_the_random_walker_survives_clicks_on_the_border_and_flat_pictures(point):
    image = np.full((6, 8, 3), 90, np.uint8)
    found = random_walk(image, point)
    assert found.shape == (6, 8)
    assert found[point[1], point[0]]


def test_a_picture_of_seeds_needs_no_walk():
    image = np.full((2, 3, 3), 90, np.uint8)
    np.testing.assert_array_equal(
        random_walk(image, (0, 0), radius=0), [[True, False, False], [False] * 3]
    )


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sam-plugins\[train\]'"):
        grab_cut(np.zeros((4, 4, 3), np.uint8), (1, 1, 3, 3))


def test_settings_are_json_values():
    assert BaselineSettings().to_dict()["margin"] == "whole picture"
    assert BaselineSettings(margin=2.0, beta=5.0).to_dict() == {
        "tolerance": 32.0,
        "margin": 2.0,
        "beta": 5.0,
        "radius": 2.0,
    }
