"""Any image: what is kept lies where the click was in the world."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("napari")

from session_doubles import Desk, Session

from sam_plugins.testing import FakeSegmenter

turns = st.floats(-180, 180)
scales = st.floats(0.05, 20)
shifts = st.floats(-500, 500)


def opened(data, *, desk=None, choice=None, **options):
    session = Session(desk=desk)
    layer = session.viewer.add_image(data, name="cells", **options)
    assert session.open(layer, **(choice or {}))
    return session


def checked(session, *position):
    """Click at data coordinates, keep, and look at where the pixels lie in the world."""
    session.click(*position)
    assert session.annotator.accept(), session.sentences()
    where = np.argwhere(session.labels == 1)
    assert len(where) > 50
    world = session.target.labels.data_to_world(where.mean(0))
    clicked = session.world(*position)
    scale = np.abs(np.asarray(session.target.labels.scale, float)).max()
    np.testing.assert_allclose(world, clicked, atol=1.5 * scale)
    on_image = session.target.layers[0].world_to_data(clicked)
    return tuple(round(v) for v in on_image)


@settings(max_examples=8, deadline=None)
@given(scales, scales, shifts, shifts, turns)
def test_in_the_plane_with_scale_translation_and_rotation(sy, sx, ty, tx, turn):
    session = opened(np.zeros((96, 128), np.uint8), scale=(sy, sx), translate=(ty, tx), rotate=turn)
    assert checked(session, 40, 50) == (40, 50)
    shown = session.target.labels.extent.world
    np.testing.assert_allclose(shown, session.target.layers[0].extent.world)


@settings(max_examples=6, deadline=None)
@given(scales, shifts, st.floats(0.1, 5), st.integers(0, 4))
def test_in_a_stack_with_anisotropic_scale(sz, tz, syx, z):
    session = opened(np.zeros((5, 96, 128), np.uint16), scale=(sz, syx, syx), translate=(tz, 3, 4))
    session.viewer.dims.set_point(0, session.world(z, 0, 0)[0])
    checked(session, z, 40, 50)
    assert np.flatnonzero(session.labels.any((1, 2))).tolist() == [z]


def test_units_are_those_of_the_image():
    session = opened(np.zeros((96, 128), np.uint8), scale=(0.2, 0.2), units=("um", "um"))
    assert session.target.labels.units == session.target.layers[0].units
    checked(session, 40, 50)


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_channels_may_be_any_axis(axis):
    data = np.moveaxis(np.zeros((3, 5, 96, 128), np.uint16), 0, axis)
    session = opened(data, choice={"channel_axis": axis, "channels": (0, 2)}, rgb=False)
    assert session.labels.shape[axis] == 1
    if axis == 3:
        session.viewer.dims.order = (3, 0, 1, 2)
    zs = next(n for n in range(4) if session.labels.shape[n] == 5)
    session.viewer.dims.set_current_step(zs, 2)
    place = {5: 2, 1: 0, 96: 40, 128: 50}
    position = [place[side] for side in session.labels.shape]
    session.click(*position)
    assert session.annotator.accept(), session.sentences()
    assert session.labels[tuple(position)] == 1
    others = tuple(n for n in range(4) if n != zs)
    assert np.flatnonzero(session.labels.any(others)).tolist() == [2]


def test_layers_as_channels_of_any_type():
    session = Session()
    layers = [
        session.viewer.add_image(np.zeros((96, 128), dtype), name=str(dtype), scale=(2, 2))
        for dtype in ("uint8", "uint16", "float32")
    ]
    assert session.open(*layers)
    checked(session, 40, 50)


def test_rgb():
    assert checked(opened(np.zeros((96, 128, 3), np.uint8), rgb=True), 40, 50)[:2] == (40, 50)


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_of_a_pyramid(level):
    levels = [np.zeros((192, 256), np.uint8), np.zeros((96, 128), np.uint8)]
    desk = Desk(FakeSegmenter(radius=12.0 / (level + 1)))
    session = opened(levels, desk=desk, multiscale=True, scale=(3, 3), choice={"level": level})
    assert session.labels.shape == levels[level].shape
    checked(session, 40, 50)


def test_of_a_large_lazy_picture_only_what_is_near_is_read():
    read = []

    def block(block_info=None):
        where = block_info[None]["array-location"]
        read.append(where)
        return np.zeros([b - a for a, b in where], np.uint16)

    data = da.map_blocks(block, chunks=((256,) * 16, (256,) * 16), dtype=np.uint16)
    session = opened(data, contrast_limits=(0, 1000), choice={"intensity": "contrast_limits"})
    read.clear()
    session.click(2000, 2000)
    assert session.annotator.accept()
    assert session.labels[2000, 2000] == 1
    assert len({tuple(map(tuple, where)) for where in read}) < 64
