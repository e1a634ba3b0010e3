"""Tiles: they cover the picture once with their cores, and see enough around them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_plugins.errors import ImageError
from sam_plugins.tiling import TileGrid, automatic_tile
from sam_plugins.tiling.grid import centred, margin_of, meets


@st.composite
def grids(draw):
    tile = draw(st.integers(4, 90))
    halo = draw(st.integers(0, tile // 4))
    return TileGrid((draw(st.integers(1, 400)), draw(st.integers(1, 400))), tile, halo)


@given(grids())
def test_cores_cover_every_pixel_once(grid):
    seen = np.zeros(grid.size, np.uint8)
    for number in range(len(grid)):
        x0, y0, x1, y1 = grid.core(number)
        assert 0 <= x0 < x1 <= grid.size[1]
        assert 0 <= y0 < y1 <= grid.size[0]
        seen[y0:y1, x0:x1] += 1
    assert (seen == 1).all()


@given(grids())
def test_windows_hold_their_core_with_a_halo_and_have_equal_sides(grid):
    for number in range(len(grid)):
        x0, y0, x1, y1 = grid.region(number)
        assert 0 <= x0 < x1 <= grid.size[1]
        assert 0 <= y0 < y1 <= grid.size[0]
        assert (y1 - y0, x1 - x0) == tuple(min(side, grid.tile) for side in grid.size)
        assert margin_of((x0, y0, x1, y1), grid.core(number), grid.size) >= grid.halo


@given(grids(), st.floats(0, 1), st.floats(0, 1))
def test_every_point_is_in_the_core_of_its_tile(grid, across, down):
    x, y = across * (grid.size[1] - 1), down * (grid.size[0] - 1)
    number = grid.at(x, y)
    x0, y0, x1, y1 = grid.core(number)
    assert x0 <= x < x1
    assert y0 <= y < y1
    assert margin_of(grid.region(number), (x, y, x, y), grid.size) >= grid.halo


@given(grids(), st.data())
def test_the_tiles_that_meet_a_region_are_found(grid, data):
    x0 = data.draw(st.integers(0, grid.size[1] - 1))
    y0 = data.draw(st.integers(0, grid.size[0] - 1))
    region = (
        x0,
        y0,
        data.draw(st.integers(x0 + 1, grid.size[1])),
        data.draw(st.integers(y0 + 1, grid.size[0])),
    )
    expected = [n for n in range(len(grid)) if meets(grid.region(n), region)]
    assert list(grid.meeting(region)) == expected


@given(st.tuples(*[st.floats(0, 300)] * 4), st.integers(1, 200), st.integers(1, 300))
def test_a_window_around_something_is_as_large_as_asked_and_inside(ends, side, length):
    extent = (min(ends[:2]), min(ends[2:]), max(ends[:2]), max(ends[2:]))
    x0, y0, x1, y1 = centred(extent, side, (length, 300))
    assert (x1 - x0, y1 - y0) == (min(side, 300), min(side, length))
    assert x0 >= 0
    assert y0 >= 0
    assert x1 <= 300
    assert y1 <= length
    middle = (extent[0] + extent[2]) / 2
    if x0 > 0 and x1 < 300:
        assert abs((x0 + x1) / 2 - middle) <= 1


@pytest.mark.parametrize("image_size", [1, 64, 384, 1024, 2048])
def test_automatic_tiles_show_the_model_all_detail_it_can_see(image_size):
    tile, halo = automatic_tile(image_size)
    assert tile >= max(image_size, 1024)
    assert tile // 8 <= halo <= tile // 4


@pytest.mark.parametrize(("tile", "halo"), [(0, 0), (100, 26), (100, -1)])
def test_tiles_that_cannot_be_are_refused(tile, halo):
    with pytest.raises(ImageError, match=r"halo"):
        TileGrid((500, 500), tile, halo)
