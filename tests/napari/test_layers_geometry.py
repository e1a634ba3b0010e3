"""Where results lie: planes, Labels data and the world, under every transform of napari."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_plugin.layers import (
    ImageChoice,
    LayerImage,
    crop_kwargs,
    data_to_plane,
    labels_kwargs,
    plane_to_data,
    world_to_plane,
)
from napari_plugin.values import Plane
from sam_plugins.errors import ImageError

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

_SHAPE = (4, 5, 6, 7)


@st.composite
def placed(draw: Any, ndim: int, *, inside: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Any placement of a layer; with `inside`, one that mixes the axes `inside` only."""
    side = st.floats(0.05, 20)
    numbers = st.floats(-1, 1)
    axes = tuple(range(ndim)) if inside is None else inside
    mixed = np.eye(ndim)
    angle = draw(st.floats(-3, 3))
    turn = np.eye(ndim)
    i, j = axes[0], axes[-1]
    turn[i, i] = turn[j, j] = np.cos(angle)
    turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
    for axis in axes:
        for other in axes:
            mixed[axis, other] += 0.3 * draw(numbers)
    assume(abs(np.linalg.det(mixed)) > 0.1)
    shear = np.eye(ndim)
    shear[min(i, j), max(i, j)] = draw(numbers)
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = mixed
    affine[:ndim, ndim] = [10 * draw(numbers) for _ in range(ndim)]
    return {
        "scale": [draw(side) for _ in range(ndim)],
        "translate": [100 * draw(numbers) for _ in range(ndim)],
        "rotate": turn,
        "shear": shear,
        "affine": affine,
    }


def _labels(image: LayerImage, found: dict[str, Any], shape: Sequence[int] | None = None) -> Labels:
    return Labels(np.zeros(image.shape if shape is None else shape, int), **found)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), ndim=st.integers(2, 4))
def test_labels_lie_where_the_image_lies(data: Any, ndim: int) -> None:
    layer = Image(np.zeros(_SHAPE[:ndim]), **data.draw(placed(ndim)))
    image = LayerImage(layer)
    made = _labels(image, labels_kwargs(image))
    for coords in np.random.default_rng(0).uniform(-3, 9, (10, ndim)):
        expected = layer.data_to_world(coords)
        np.testing.assert_allclose(made.data_to_world(coords), expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), ndim=st.integers(2, 4))
def test_from_the_world_to_a_plane_and_back_is_where_it_was(data: Any, ndim: int) -> None:
    rows, columns = data.draw(st.permutations(range(ndim)))[:2]
    layer = Image(np.zeros(_SHAPE[:ndim]), **data.draw(placed(ndim, inside=(rows, columns))))
    image = LayerImage(layer)
    index = [0 if a in (rows, columns) else _SHAPE[a] - 1 for a in range(ndim)]
    plane = Plane(rows, columns, tuple(index))
    xy = (data.draw(st.floats(-5, 20)), data.draw(st.floats(-5, 20)))
    coords = plane_to_data(plane, xy)
    world = np.asarray(layer.data_to_world(coords))
    found = world_to_plane(image, plane, (7.0, *world))
    np.testing.assert_allclose(found, xy, rtol=1e-6, atol=1e-6)
    again = layer.data_to_world(plane_to_data(plane, found))
    np.testing.assert_allclose(again, world, rtol=1e-6, atol=1e-6)
    back, on = data_to_plane(plane, coords)
    assert on.all()
    np.testing.assert_array_equal(back, [xy])


@settings(deadline=None, max_examples=40)
@given(data=st.data(), ndim=st.integers(2, 4))
def test_a_crop_lies_where_it_was_cut(data: Any, ndim: int) -> None:
    layer = Image(np.zeros(_SHAPE[:ndim]), **data.draw(placed(ndim)))
    image = LayerImage(layer)
    rows, columns = data.draw(st.permutations(range(ndim)))[:2]
    index = tuple(0 if a in (rows, columns) else 2 for a in range(ndim))
    plane = Plane(rows, columns, index)
    shape = [1] * ndim
    shape[rows], shape[columns] = 2, 3
    made = _labels(image, crop_kwargs(image, plane, (1, 2, 4, 4)), shape)
    start = np.array(index, float)
    start[rows], start[columns] = 2, 1
    for coords in np.random.default_rng(1).uniform(-3, 9, (5, ndim)):
        expected = layer.data_to_world(coords + start)
        np.testing.assert_allclose(made.data_to_world(coords), expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(data=st.data(), channel=st.booleans())
def test_turned_and_sheared_labels_have_each_value_where_the_image_has_it(
    data: Any, channel: bool
) -> None:
    values = np.arange(1, 31).reshape(5, 6) * np.ones((3, 1, 1), int)
    placing = data.draw(placed(3, inside=(1, 2)))
    viewer = ViewerModel()
    layer = viewer.add_image(values.astype(np.uint8), **placing)
    image = LayerImage(layer, ImageChoice(("",), channel_axis=0 if channel else None))
    made = viewer.add_labels(values[: image.shape[0]], **labels_kwargs(image))
    step = data.draw(st.integers(0, 2))
    viewer.dims.set_point(0, float(layer.data_to_world((step, 0, 0))[0]))
    plane = image.plane(viewer.dims)
    assert plane.index[0] == (0 if channel else step)
    for coords in np.random.default_rng(2).uniform(-1, 6, (20, 2)):
        assume(np.abs(np.abs(coords - np.round(coords)) - 0.5).min() > 1e-3)
        world = layer.data_to_world((step, *coords))
        expected = layer.get_value(world, world=True)
        assert made.get_value(world, world=True) == expected
        x, y = (round(c) for c in world_to_plane(image, plane, world, viewer.dims))
        inside = 0 <= x < 6 and 0 <= y < 5
        assert (values[0, y, x] if inside else None) == expected


def test_points_and_shapes_are_placed_by_the_same_words() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(
        np.zeros((4, 5, 6)), scale=(3, 2, 1), rotate=np.eye(3), units=("um",) * 3
    )
    image = LayerImage(layer, ImageChoice(("",), channel_axis=0, channels=(1,)))
    points = viewer.add_points(ndim=3, **labels_kwargs(image))
    shapes = viewer.add_shapes(ndim=3, **labels_kwargs(image))
    expected = layer.data_to_world((1.5, 2, 3))
    np.testing.assert_allclose(points.data_to_world((0, 2, 3)), expected)
    np.testing.assert_allclose(shapes.data_to_world((0, 2, 3)), expected)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_a_click_reads_the_value_that_labels_have_there(order: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    values = np.random.default_rng(0).integers(1, 1000, (4, 5, 6)).astype(np.uint16)
    layer = viewer.add_image(
        values, scale=(3, 0.5, 2), translate=(10, -4, 7), units=("um", "um", "um")
    )
    image = LayerImage(layer)
    made = viewer.add_labels(values.astype(int), **labels_kwargs(image))
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 2)
    plane = image.plane(viewer.dims)
    assert (plane.rows, plane.columns) == order[1:]
    assert plane.index[order[0]] == 2
    height, width = image.size(plane)
    for x, y in ((0, 0), (width - 1, height - 1), (1.4, 2.4)):
        world = layer.data_to_world(plane_to_data(plane, (x, y)))
        assert np.allclose(world_to_plane(image, plane, world, viewer.dims), (x, y))
        value = layer.get_value(world, world=True)
        assert value == made.get_value(world, world=True)
        index = tuple(int(np.round(c)) for c in plane_to_data(plane, (x, y)))
        assert value == values[index]


def test_a_click_is_where_napari_draws_although_another_layer_has_other_units() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 5, 6)), scale=(1000, 500, 500), units=("nm",) * 3)
    viewer.add_image(np.zeros((4, 5, 6)), scale=(1, 0.5, 0.5), units=("um",) * 3)
    viewer.layers.units = ("um",) * 3
    viewer.dims.units = viewer.layers.extent.units
    image = LayerImage(layer)
    viewer.dims.set_point(0, 2.0)
    plane = image.plane(viewer.dims)
    assert plane.index == (2, 0, 0)
    assert world_to_plane(image, plane, (2, 1.5, 2), viewer.dims) == pytest.approx((4, 3))


def test_one_voxel_of_labels_spans_all_channels() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((3, 5, 6)), scale=(2, 1, 1), translate=(5, 0, 0))
    image = LayerImage(layer, ImageChoice(("",), channel_axis=0))
    assert image.shape == (1, 5, 6)
    made = viewer.add_labels(np.full(image.shape, 7), **labels_kwargs(image))
    np.testing.assert_array_equal(made.scale, (6, 1, 1))
    np.testing.assert_array_equal(made.translate, (7, 0, 0))
    for channel in range(3):
        viewer.dims.set_point(0, 5 + 2 * channel)
        assert image.plane(viewer.dims) == Plane(1, 2, (0, 0, 0))
        assert made.get_value((5 + 2 * channel, 1, 1), world=True) == 7


def test_a_coarser_level_lies_as_napari_takes_it_out() -> None:
    viewer = ViewerModel()
    finest = np.arange(16 * 8, dtype=float).reshape(16, 8)
    levels = [finest, finest.reshape(8, 2, 4, 2).mean(axis=(1, 3))]
    layer = viewer.add_image(levels, multiscale=True, scale=(2, 0.5), translate=(3, 4))
    image = LayerImage(layer, ImageChoice(("",), level=1))
    assert image.shape == (8, 4)
    found = labels_kwargs(image)
    np.testing.assert_allclose(found["scale"], (4, 1))
    np.testing.assert_allclose(found["translate"], (3 + 1, 4 + 0.25))
    corner = layer.data_to_world((-0.5, -0.5))
    assert world_to_plane(image, Plane(0, 1, (0, 0)), corner) == pytest.approx((-0.5, -0.5))


@pytest.mark.parametrize("level", [0, 1])
def test_the_slice_of_a_level_is_the_one_its_labels_show(level: int) -> None:
    viewer = ViewerModel()
    volumes = [np.zeros((8, 16, 16)), np.zeros((4, 8, 8))]
    layer = viewer.add_image(volumes, multiscale=True, scale=(2, 1, 1))
    image = LayerImage(layer, ImageChoice(("",), level=level))
    made = viewer.add_labels(
        np.arange(image.shape[0])[:, None, None] * np.ones(image.shape, int) + 1,
        **labels_kwargs(image),
    )
    for z in range(8):
        viewer.dims.set_point(0, 2 * z)
        plane = image.plane(viewer.dims)
        assert made.get_value((2 * z, 3, 3), world=True) == plane.index[0] + 1


def test_a_layer_with_fewer_axes_than_the_viewer() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((9, 3, 4, 5)))
    image = LayerImage(viewer.add_image(np.zeros((3, 4, 5))))
    viewer.dims.set_current_step(1, 2)
    assert image.plane(viewer.dims) == Plane(1, 2, (2, 0, 0))
    viewer.dims.order = (2, 3, 0, 1)
    with pytest.raises(ImageError, match="roll the axes back"):
        image.plane(viewer.dims)


def test_places_without_a_plane_are_said() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((9, 4, 5)))
    image = LayerImage(viewer.add_image(np.zeros((3, 4, 5))))
    viewer.dims.set_current_step(0, 8)
    with pytest.raises(ImageError, match="nothing at this place"):
        image.plane(viewer.dims)
    viewer.dims.ndisplay = 3
    with pytest.raises(ImageError, match="switch to 2D"):
        image.plane(viewer.dims)


def test_points_between_slices_belong_to_the_one_they_round_to() -> None:
    plane = Plane(1, 2, (2, 0, 0))
    xy, on = data_to_plane(plane, [(2.4, 1, 3), (2.6, 5, 6), (1.5, 0, 0)])
    np.testing.assert_array_equal(xy, [(3, 1), (6, 5), (0, 0)])
    assert on.tolist() == [True, False, True]


def test_a_plane_seen_from_its_edge_and_a_short_position_are_said() -> None:
    c, s = np.cos(np.pi / 2), np.sin(np.pi / 2)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    image = LayerImage(Image(np.zeros((3, 4, 5)), rotate=turn))
    with pytest.raises(ImageError, match="from its edge"):
        world_to_plane(image, Plane(1, 2, (0, 0, 0)), (1, 1, 1))
    with pytest.raises(ImageError, match="3 coordinates"):
        world_to_plane(image, Plane(1, 2, (0, 0, 0)), (1, 1))


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_a_click_hits_the_pixel_that_is_drawn_although_axes_leave_the_plane(data: Any) -> None:
    layer = Image(np.zeros((4, 5, 6)), **data.draw(placed(3)))
    image = LayerImage(layer)
    shown = [2, 1]
    # What napari hands to the canvas for the two axes it shows.
    drawn = layer._transforms.simplified.set_slice(shown)
    assume(np.linalg.cond(drawn.linear_matrix) < 1e4)
    canvas = drawn(np.array([5.0, 3.0]))
    world = np.zeros(3)
    world[shown] = canvas
    found = world_to_plane(image, Plane(2, 1, (3, 0, 0)), world)
    np.testing.assert_allclose(found, (3, 5), rtol=1e-6, atol=1e-6)
