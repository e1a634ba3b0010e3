import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam_plugins.evaluation.metrics import (
    boundary_band,
    boundary_iou,
    crop_boundary_iou,
    crop_iou,
    crop_overlap,
    iou,
)

SHAPE = (9, 11)
masks = arrays(bool, SHAPE)


@st.composite
def crops(draw):
    """A whole mask, and the same mask as a crop of any box that holds it."""
    x0, x1 = sorted((draw(st.integers(0, SHAPE[1])), draw(st.integers(0, SHAPE[1]))))
    y0, y1 = sorted((draw(st.integers(0, SHAPE[0])), draw(st.integers(0, SHAPE[0]))))
    crop = draw(arrays(bool, (y1 - y0, x1 - x0)))
    whole = np.zeros(SHAPE, bool)
    whole[y0:y1, x0:x1] = crop
    return whole, crop, (x0, y0, x1, y1)


def test_iou_counts_pixels():
    a, b = np.zeros((2, 4, 4), bool)
    a[:2], b[1:3] = True, True
    assert iou(a, b) == pytest.approx(4 / 12)
    assert iou(a, a) == 1
    assert iou(a, ~a) == 0
    assert iou(a & ~a, a & ~a) == 0


@given(masks, masks, masks)
def test_ignored_pixels_never_matter(a, b, ignore):
    assert iou(a, b, ignore) == iou(a | ignore, b & ~ignore, ignore)
    kept = ~ignore
    assert iou(a, b, ignore) == iou(a[kept][None], b[kept][None])


@given(crops(), crops(), st.none() | masks)
def test_crops_score_like_whole_masks(first, second, ignore):
    (a, a_crop, a_box), (b, b_crop, b_box) = first, second
    before = a_crop.copy(), b_crop.copy()
    assert crop_iou(a_crop, a_box, b_crop, b_box, ignore) == pytest.approx(iou(a, b, ignore))
    assert (a_crop == before[0]).all()
    assert (b_crop == before[1]).all()


@given(crops(), crops(), st.none() | masks, st.sampled_from([0.02, 0.1, 0.2, 0.5]))
def test_crops_have_the_border_of_whole_masks(first, second, ignore, dilation):
    (a, a_crop, a_box), (b, b_crop, b_box) = first, second
    found = crop_boundary_iou(a_crop, a_box, b_crop, b_box, SHAPE, ignore, dilation=dilation)
    assert found == boundary_iou(a, b, ignore, dilation=dilation)


@given(crops(), crops())
def test_overlap_counts_shared_pixels(first, second):
    (a, a_crop, a_box), (b, b_crop, b_box) = first, second
    assert crop_overlap(a_crop, a_box, b_crop, b_box) == np.count_nonzero(a & b)


def test_the_empty_answer_scores_nothing():
    target = np.ones((2, 2), bool)
    assert crop_iou(np.zeros((0, 0), bool), (0, 0, 0, 0), target, (3, 3, 5, 5)) == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        iou(np.ones((2, 2), bool), np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="one shape"):
        iou(np.ones((2, 2), bool), np.ones((2, 2), bool), np.ones((1, 2), bool))


@given(masks, st.integers(1, 4))
def test_the_band_is_what_erosion_takes_away(mask, width):
    padded = np.pad(mask, width)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * width + 1, 2 * width + 1))
    eroded = windows.all(axis=(2, 3))
    np.testing.assert_array_equal(boundary_band(mask, width), mask & ~eroded)


def test_boundary_iou_sees_an_outline_that_iou_overlooks():
    a, b = np.zeros((2, 200, 200), bool)
    a[20:180, 20:180] = True
    b[23:177, 23:177] = True
    assert iou(a, b) > 0.9
    assert boundary_iou(a, b) < 0.5
    assert boundary_iou(a, a) == 1
    ring = a & ~b
    assert boundary_iou(a, b, ring) > boundary_iou(a, b)
