"""Masks as few rings: what they show, how holes and parts are kept, and what is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from sam_plugins.errors import ImageError
from sam_plugins.formats import fill_rings, simplified_polygons
from sam_plugins.formats.polygons import _cross
from sam_plugins.masks import mask_iou, mask_to_box

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def blob(seed, side=120, wobble=0.35, fine=6.0):
    """One hole-free object with a wavy border."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), fine)
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    inside = np.hypot(x, y * 1.4) < side * (0.35 + wobble * 0.3 * noise / noise.std())
    parts, count = ndimage.label(inside)
    if not count:
        return np.zeros((side, side), bool)
    largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
    return ndimage.binary_fill_holes(parts == largest)


def simplified(mask, **options):
    x0, y0, x1, y1 = mask_to_box(mask)
    return simplified_polygons(mask[y0:y1, x0:x1], (x0, y0, x1, y1), **options)


def filled(rings, shape):
    return fill_rings(rings, (0, 0, shape[1], shape[0]))


def filled_by_winding(rings, shape):
    """The other usual rule, slowly: how often a ring goes round each pixel's centre."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    turns = np.zeros(shape, int)
    for ring in rings:
        for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if ay == by:
                continue
            upward, (lx, ly), (hx, hy) = (
                (-1, (ax, ay), (bx, by)) if ay < by else (1, (bx, by), (ax, ay))
            )
            right_of = lx + (y - ly) / (hy - ly) * (hx - lx) <= x
            turns += upward * ((ly <= y) & (y < hy) & right_of)
    return turns != 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    wobble=st.floats(0, 1),
    fine=st.floats(1.5, 12),
    tolerance=st.floats(0, 12),
)
def test_hole_free_objects_share_at_least_98_percent_with_their_ring(seed, wobble, fine, tolerance):
    mask = blob(seed, wobble=wobble, fine=fine)
    if mask.sum() < 1000:
        return
    found = simplified(mask, tolerance=tolerance)
    assert len(found.rings) == 1
    assert found.area_lost == 0
    assert mask_iou(filled(found.rings, mask.shape), mask) >= 0.98
    assert not _cross(found.rings)


def test_a_smooth_object_needs_far_fewer_corners_than_its_pixels():
    mask = blob(3, side=300)
    exact, few = simplified(mask, tolerance=0), simplified(mask, tolerance=1.0)
    assert len(few.rings[0]) * 4 < len(exact.rings[0])
    assert (filled(exact.rings, mask.shape) == mask).all()


@settings(max_examples=80, deadline=None)
@given(mask=masks)
def test_without_tolerance_slits_lose_nothing_whatever_the_mask(mask):
    found = simplified(mask, tolerance=0, holes="bridge", parts="bridge")
    assert len(found.rings) == (1 if mask.any() else 0)
    assert found.area_lost == 0
    assert (filled(found.rings, mask.shape) == mask).all()
    assert (filled_by_winding(found.rings, mask.shape) == mask).all()


@settings(max_examples=80, deadline=None)
@given(mask=masks, tolerance=st.floats(0, 4))
def test_each_part_is_a_ring_and_every_corner_lies_in_the_picture(mask, tolerance):
    found = simplified(mask, tolerance=tolerance)
    _, count = ndimage.label(mask)
    assert len(found.rings) == count
    for ring in found.rings:
        assert len(ring) >= 3
        assert (ring >= 0).all()
        assert (ring <= (mask.shape[1], mask.shape[0])).all()


@settings(max_examples=80, deadline=None)
@given(mask=masks, tolerance=st.floats(0, 4), parts=st.sampled_from(["split", "bridge"]))
def test_small_and_ragged_masks_stay_alike_too(mask, tolerance, parts):
    found = simplified(mask, tolerance=tolerance, parts=parts)
    if mask.any():
        assert mask_iou(filled(found.rings, mask.shape), mask) >= 0.97


def two_parts_and_two_holes():
    mask = np.zeros((80, 120), bool)
    mask[5:65, 5:65] = True
    mask[20:40, 20:40] = False
    mask[50:52, 50:52] = False
    mask[10:30, 80:110] = True
    return mask


def test_a_hole_survives_as_a_slit_and_dropping_it_says_what_was_lost():
    mask = two_parts_and_two_holes()
    bridged = simplified(mask, tolerance=1.0)
    assert (filled(bridged.rings, mask.shape) == mask).all()
    assert bridged.area_lost == 0
    dropped = simplified(mask, holes="drop")
    assert (filled(dropped.rings, mask.shape) == ndimage.binary_fill_holes(mask)).all()
    assert dropped.area_lost == pytest.approx(404 / mask.sum())


def test_parts_are_split_largest_first_left_out_or_joined():
    mask = two_parts_and_two_holes()
    split = simplified(mask, parts="split")
    assert [ring[:, 0].max() for ring in split.rings] == [65, 110]
    largest = simplified(mask, parts="largest")
    assert [ring[:, 0].max() for ring in largest.rings] == [65]
    assert largest.area_lost == pytest.approx(600 / mask.sum())
    (joined,) = simplified(mask, parts="bridge").rings
    assert (filled([joined], mask.shape) == mask).all()


def test_what_is_smaller_than_asked_for_is_left_out_but_never_everything():
    mask = two_parts_and_two_holes()
    found = simplified(mask, min_area=10)
    assert len(found.rings) == 2
    assert not filled(found.rings, mask.shape)[30, 30]
    assert filled(found.rings, mask.shape)[51, 51]
    assert found.area_lost == pytest.approx(4 / mask.sum())
    only = simplified(mask, min_area=100_000)
    assert [ring[:, 0].max() for ring in only.rings] == [65]
    assert only.area_lost == pytest.approx((600 + 404) / mask.sum())


def test_of_very_many_holes_the_largest_are_kept():
    mask = np.ones((120, 120), bool)
    mask[1:-1:4, 1:-1:4] = False
    mask[40:60, 40:60] = False
    count = ndimage.label(~mask)[1]
    assert count > 200
    found = simplified(mask)
    kept = ndimage.label(~filled(found.rings, mask.shape))[1]
    assert kept == 200
    assert not filled(found.rings, mask.shape)[40:60, 40:60].any()
    assert found.area_lost == pytest.approx((count - 200) / mask.sum())


def test_a_thin_line_is_not_simplified_away():
    mask = np.zeros((50, 50), bool)
    mask[np.arange(2, 48), np.arange(2, 48)] = True
    mask[np.arange(2, 47), np.arange(3, 48)] = True
    found = simplified(mask, tolerance=5)
    assert mask_iou(filled(found.rings, mask.shape), mask) >= 0.98


def test_two_edges_that_cross_are_seen_and_edges_that_touch_are_none():
    bow = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], float)
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
    right, below, aslant = (square + np.array(by) for by in ((10, 0), (10, 10), (5, 5)))
    assert _cross([bow])
    assert not _cross([square, right, below])
    assert _cross([square, aslant])


def test_nothing_gives_nothing():
    found = simplified_polygons(np.zeros((0, 0), bool), (4, 4, 4, 4))
    assert found.rings == ()
    assert found.area_lost == 0


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(ImageError, match="tolerance"):
        simplified_polygons(np.ones((2, 2), bool), (0, 0, 2, 2), tolerance=tolerance)


def test_a_crop_that_does_not_fit_its_box_is_refused():
    with pytest.raises(ImageError, match="does not fit"):
        simplified_polygons(np.ones((2, 2), bool), (0, 0, 3, 2))


@settings(max_examples=60, deadline=None)
@given(
    ring=arrays(
        float, st.tuples(st.integers(3, 8), st.just(2)), elements=st.integers(0, 12).map(float)
    )
)
def test_rings_are_filled_the_same_whichever_way_they_are_walked(ring):
    box = (0, 0, 12, 12)
    assert (fill_rings([ring], box) == fill_rings([ring[::-1]], box)).all()
    assert not fill_rings([ring, ring[::-1]], box).any()
