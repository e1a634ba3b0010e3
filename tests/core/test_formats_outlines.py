"""Outlines along pixel edges: simple rings that enclose exactly the mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sam_plugins.errors import ImageError
from sam_plugins.formats import fill_rings, mask_outlines

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


def shoelace(ring):
    x, y = np.asarray(ring, float).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


@given(MASKS, st.integers(0, 7), st.integers(0, 7))
@settings(max_examples=300)
def test_outlines_are_simple_rings_that_enclose_the_mask(mask, left, top):
    outlines = mask_outlines(mask, (left, top))
    pieces, count = ndimage.label(mask)
    areas = []
    for outline in outlines:
        rings = (outline.exterior, *outline.holes)
        for ring in rings:
            corners = [tuple(corner) for corner in ring.tolist()]
            assert len(set(corners)) == len(corners), "a ring meets no corner twice"
            steps = np.diff(ring, axis=0, append=ring[:1])
            assert ((steps != 0).sum(axis=1) == 1).all(), "edges run along pixels"
            assert ((steps[:, 0] != 0) != (np.roll(steps, 1, 0)[:, 0] != 0)).all(), "no flat corner"
        assert shoelace(outline.exterior) > 0
        assert all(shoelace(hole) < 0 for hole in outline.holes)
        areas.append(sum(map(shoelace, rings)))
    assert areas == np.bincount(pieces.ravel(), minlength=count + 1)[1:].tolist()
    height, width = mask.shape
    rings = [ring for outline in outlines for ring in (outline.exterior, *outline.holes)]
    box = (left, top, left + width, top + height)
    np.testing.assert_array_equal(fill_rings(rings, box), mask)


def test_one_pixel_has_its_four_corners_and_the_first_is_at_the_origin():
    (outline,) = mask_outlines(np.array([[True]]))
    assert outline.exterior.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert outline.holes == ()


def test_a_hole_that_touches_the_exterior_at_a_corner_is_a_hole():
    mask = np.ones((3, 3), bool)
    mask[0, 0] = mask[1, 1] = False
    (outline,) = mask_outlines(mask)
    assert (shoelace(outline.exterior), [shoelace(hole) for hole in outline.holes]) == (8, [-1])


@given(
    st.lists(st.tuples(st.floats(-3, 12), st.floats(-3, 12)), min_size=3, max_size=8),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
@settings(max_examples=200)
def test_any_polygon_is_filled_by_pixel_centres(ring, origin):
    x0, y0 = origin
    box = (x0, y0, 9, 8)
    expected = np.zeros((8 - y0, 9 - x0), bool)
    for row, column in np.ndindex(expected.shape):
        x, y, inside = x0 + column + 0.5, y0 + row + 0.5, False
        for (xa, ya), (xb, yb) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if (ya <= y) != (yb <= y):
                crossing = (xa - x0) + (row + 0.5 - (ya - y0)) / (yb - ya) * (xb - xa)
                if abs(crossing + x0 - x) < 1e-9:
                    return
                inside ^= crossing + x0 <= x
        expected[row, column] = inside
    np.testing.assert_array_equal(fill_rings([ring], box), expected)


@pytest.mark.parametrize("ring", [[], [(0, 0), (1, 1)], [(0, 0), (1, 0), (np.nan, 1)], [1, 2, 3]])
def test_what_is_no_ring_is_refused(ring):
    with pytest.raises(ImageError, match="ring"):
        fill_rings([ring], (0, 0, 2, 2))
