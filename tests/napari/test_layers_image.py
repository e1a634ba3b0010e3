"""Any image layer as planes of RGB: dtypes, channels, brightness, lazy data, bad input."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_plugin.layers import ImageChoice, LayerImage, fingerprint, guess_channel_axis
from napari_plugin.layers.checks import check_shown
from napari_plugin.values import Plane
from sam_plugins.errors import ImageError
from sam_plugins.images import as_rgb
from sam_plugins.ports import ImageSource

_RNG = np.random.default_rng(0)


class Counting:
    """An array that counts the values it gives away."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.read = values, 0
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, where: Any) -> np.ndarray:
        found = self.values[where]
        self.read += found.size
        return np.asarray(found)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.read += self.values.size
        return self.values


def _image(values: Any, choice: ImageChoice | None = None, **kwargs: Any) -> LayerImage:
    return LayerImage(Image(values, **kwargs), choice)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64, bool])
def test_a_plane_alone_looks_as_the_same_picture_from_a_file(dtype: Any) -> None:
    values = (_RNG.random((20, 30)) * 200).astype(dtype)
    source: ImageSource = _image(values).source(Plane(0, 1, (0, 0)))
    np.testing.assert_array_equal(source.read(0), as_rgb(values))


def test_frames_follow_an_axis_and_windows_agree_with_the_whole() -> None:
    values = _RNG.integers(0, 60000, (3, 4, 20, 30)).astype(np.uint16)
    image = _image(values)
    along_t = image.source(Plane(2, 3, (1, 2, 0, 0)), axis=0)
    assert along_t.shape == (3, 20, 30)
    along_z = image.source(Plane(2, 3, (1, 2, 0, 0)), axis=1)
    np.testing.assert_array_equal(along_t.read(1), along_z.read(2))
    np.testing.assert_array_equal(along_t.read(2, (3, 5, 11, 9)), along_t.read(2)[5:9, 3:11])
    across = image.source(Plane(3, 1, (1, 0, 7, 0)))
    assert across.shape == (1, 30, 4)
    np.testing.assert_array_equal(across.read(0)[:, 2], along_z.read(2)[7])


def test_brightness_is_the_same_for_every_slice_direction_and_thread() -> None:
    values = np.zeros((30, 40, 50), np.uint16)
    values += np.arange(30, dtype=np.uint16)[:, None, None] * 100
    source = _image(values).source(Plane(1, 2, (0, 0, 0)), axis=0)
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(source.read, range(30)))
    levels = [int(frame[0, 0, 0]) for frame in frames]
    assert levels == sorted(levels)
    assert levels[0] < 20
    assert levels[-1] > 235
    side = _image(values).source(Plane(0, 2, (0, 5, 0))).read(0)
    assert side[:, 0, 0].tolist() == levels


def test_hot_pixels_do_not_darken_the_rest() -> None:
    values = _RNG.integers(100, 200, (4, 64, 64)).astype(np.uint16)
    values[1, 3, 3] = 65535
    shown = _image(values).source(Plane(1, 2, (0, 0, 0))).read(0)
    assert shown.max() > 240
    assert shown.min() < 15


def test_contrast_limits_are_those_of_the_layer_until_asked_anew() -> None:
    layer = Image(np.arange(100, dtype=np.uint16).reshape(10, 10), contrast_limits=(20, 60))
    image = LayerImage(layer, ImageChoice(("x",), intensity="contrast_limits"))
    assert image.choice.limits == ((20, 60),)
    shown = image.source(Plane(0, 1, (0, 0))).read(0)[:, :, 0].ravel()
    assert shown[20] == 0
    assert shown[40] == 128
    assert shown[60] == 255
    layer.contrast_limits = (0, 99)
    assert image.choice.limits == ((20, 60),)
    assert image.with_current_contrast().choice.limits == ((0, 99),)


def test_what_was_decided_can_be_replayed() -> None:
    values = _RNG.integers(0, 5000, (2, 3, 40, 40)).astype(np.uint16)
    image = _image(values, ImageChoice((), channel_axis=1, channels=(2, 0)), name="cells")
    assert image.choice.limits is None
    first = image.source(Plane(2, 3, (1, 0, 0, 0))).read(0)
    said = json.loads(json.dumps(image.choice.to_json()))
    choice = ImageChoice.from_json(said)
    assert choice == image.choice
    assert choice.layers == ("cells",)
    again = _image(values * 2 // 2, choice).source(Plane(2, 3, (1, 0, 0, 0))).read(0)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_channels_along_any_axis_become_the_colours_they_are_mapped_to(axis: int) -> None:
    values = _RNG.integers(0, 256, (5, 12, 14, 2)).astype(np.uint8)
    moved = np.moveaxis(values, 0, axis)
    image = _image(moved, ImageChoice((), channel_axis=axis, channels=(4, 0, 2)))
    rows, columns, time = [a for a in range(4) if a != axis]
    assert image.shape[axis] == 1
    index = [0] * 4
    index[time] = 1
    shown = image.source(Plane(rows, columns, tuple(index))).read(0, (2, 3, 9, 8))
    np.testing.assert_array_equal(shown, np.moveaxis(values[[4, 0, 2], 3:8, 2:9, 1], 0, -1))


def test_few_channels_need_no_mapping_and_many_do() -> None:
    two = _image(np.full((2, 8, 8), 9, np.uint8), ImageChoice((), channel_axis=0))
    assert two.source(Plane(1, 2, (0, 0, 0))).read(0)[0, 0].tolist() == [9, 9, 0]
    with pytest.raises(ImageError, match="4 channels and three can be shown"):
        _image(np.zeros((4, 8, 8), np.uint8), ImageChoice((), channel_axis=0))
    with pytest.raises(ImageError, match="0 to 3"):
        _image(np.zeros((4, 8, 8)), ImageChoice((), channel_axis=0, channels=(4,)))


def test_each_channel_has_its_own_black_and_white() -> None:
    values = np.stack([_RNG.integers(0, 100, (50, 50)), _RNG.integers(0, 60000, (50, 50))])
    image = _image(values.astype(np.uint16), ImageChoice((), channel_axis=0))
    shown = image.source(Plane(1, 2, (0, 0, 0))).read(0)
    assert shown[:, :, 0].max() > 240
    assert shown[:, :, 1].max() > 240


def test_layers_are_channels() -> None:
    parts = [_RNG.integers(0, 256, (3, 8, 9)).astype(np.uint8) for _ in range(3)]
    layers = [Image(part, name=name) for part, name in zip(parts, "abc", strict=True)]
    image = LayerImage(layers)
    assert image.choice.layers == ("a", "b", "c")
    assert image.shape == (3, 8, 9)
    shown = image.source(Plane(1, 2, (2, 0, 0))).read(0)
    np.testing.assert_array_equal(shown, np.stack([part[2] for part in parts], axis=-1))
    assert image.notes() == ()
    layers[1].translate = (0, 1, 0)
    assert "'b' lies elsewhere than 'a'" in image.notes()[0]


@pytest.mark.parametrize("colours", [3, 4])
def test_rgb_with_time(colours: int) -> None:
    values = _RNG.integers(0, 256, (3, 8, 9, colours)).astype(np.uint8)
    viewer = ViewerModel()
    image = LayerImage(viewer.add_image(values, rgb=True))
    assert image.ndim == 3
    assert image.shape == (3, 8, 9)
    viewer.dims.set_current_step(0, 2)
    plane = image.plane(viewer.dims)
    np.testing.assert_array_equal(image.source(plane).read(0), values[2, :, :, :3])
    frames = image.source(plane, axis=0)
    np.testing.assert_array_equal(frames.read(1, (1, 2, 4, 7)), values[1, 2:7, 1:4, :3])
    viewer.dims.order = (0, 2, 1)
    turned = image.source(image.plane(viewer.dims)).read(0)
    np.testing.assert_array_equal(turned, values[2, :, :, :3].swapaxes(0, 1))


def test_windows_read_only_what_they_show() -> None:
    import dask.array as da

    counted = Counting(_RNG.integers(0, 9999, (64, 1000, 1000), dtype=np.uint16))
    lazy = da.from_array(counted, chunks=(1, 250, 250), asarray=False, fancy=False)
    image = _image(lazy, contrast_limits=(0, 9999))
    source = image.source(Plane(1, 2, (30, 0, 0)), axis=0)
    before = counted.read
    source.read(5, (10, 10, 60, 60))
    sampled = counted.read - before
    assert sampled < counted.values.size / 5
    source.read(6, (10, 10, 60, 60))
    assert counted.read - before - sampled <= 250 * 250


def test_pages_of_files_are_sampled_once_each() -> None:
    import dask.array as da

    counted = Counting(_RNG.integers(0, 9999, (20, 700, 800), dtype=np.uint16))
    lazy = da.from_array(counted, chunks=(1, 700, 800), asarray=False, fancy=False)
    plain = _image(counted.values).source(Plane(1, 2, (3, 0, 0))).read(0)
    image = _image(lazy, contrast_limits=(0, 9999))
    before = counted.read
    shown = image.source(Plane(1, 2, (3, 0, 0))).read(0)
    assert counted.read - before <= 9 * 700 * 800
    np.testing.assert_array_equal(shown, plain)


def test_zarr_is_read_like_numpy(tmp_path: Path, require: Callable[[str], Any]) -> None:
    zarr = require("zarr")
    values = _RNG.integers(0, 9999, (6, 50, 60)).astype(np.uint16)
    stored = zarr.create_array(str(tmp_path / "a.zarr"), data=values, chunks=(1, 20, 20))
    plane = Plane(0, 2, (0, 7, 0))
    lazy = _image(stored, contrast_limits=(0, 9999)).source(plane).read(0)
    np.testing.assert_array_equal(lazy, _image(values).source(plane).read(0))


def test_levels_of_a_multiscale_layer() -> None:
    levels = [_RNG.integers(0, 255, (8, 32, 32)).astype(np.uint8)]
    levels.append(levels[0][:, ::2, ::2])
    layer = Image(levels, multiscale=True)
    finest = LayerImage(layer)
    assert finest.shape == (8, 32, 32)
    coarse = LayerImage(layer, ImageChoice((), level=1))
    shown = coarse.source(Plane(1, 2, (3, 0, 0))).read(0)
    np.testing.assert_array_equal(shown[:, :, 0], levels[1][3])
    with pytest.raises(ImageError, match="2 resolution levels"):
        LayerImage(layer, ImageChoice((), level=2))


def test_values_that_are_no_numbers_are_black_and_noted() -> None:
    values = _RNG.random((4, 32, 32)) * 50
    values[:, :8] = np.nan
    values[0, 20, 20], values[0, 21, 21] = np.inf, -np.inf
    image = _image(values, contrast_limits=(0, 50))
    shown = image.source(Plane(1, 2, (0, 0, 0))).read(0)
    assert not shown[:8].any()
    assert not shown[[20, 21], [20, 21]].any()
    assert shown[8:].max() > 240
    assert "25 % of the values" in image.notes()[0]


def test_nothing_but_nan_is_said() -> None:
    image = _image(np.full((16, 16), np.nan), contrast_limits=(0, 1))
    with pytest.raises(ImageError, match="holds no numbers"):
        image.source(Plane(0, 1, (0, 0))).read(0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Labels(np.zeros((4, 4), int)), "labels layer"),
        (lambda: Points(np.zeros((4, 2))), "no image layer"),
        (lambda: Image(np.zeros((1, 1))), "single pixel"),
    ],
)
def test_layers_that_are_no_picture_are_said(make: Any, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        LayerImage(make())


def test_complex_numbers_and_no_pixels_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    # napari 0.9 fails on both by itself when the layer is made.
    layer = Image(np.ones((4, 4)))
    with pytest.raises(ImageError, match="is empty"):
        check_shown(layer, (0, 5), ImageChoice(()))
    monkeypatch.setattr(Image, "dtype", property(lambda _: np.dtype(complex)))
    with pytest.raises(ImageError, match=r"numpy\.abs"):
        LayerImage(layer)


def test_choices_that_do_not_fit_are_said() -> None:
    rgb = Image(np.zeros((5, 6, 3), np.uint8), rgb=True)
    with pytest.raises(ImageError, match="RGB image"):
        LayerImage(rgb, ImageChoice((), channel_axis=0))
    with pytest.raises(ImageError, match="must be 0 to 1"):
        _image(np.zeros((5, 6)), ImageChoice((), channel_axis=2))
    with pytest.raises(ImageError, match="no axes are left"):
        _image(np.zeros((5, 6)), ImageChoice((), channel_axis=1))
    with pytest.raises(ImageError, match="one channel among others"):
        LayerImage([rgb, rgb])
    with pytest.raises(ImageError, match="must have one shape"):
        LayerImage([Image(np.zeros((5, 6))), Image(np.zeros((5, 7)))])
    with pytest.raises(ImageError, match="found 0 layers"):
        LayerImage([])
    image = _image(np.zeros((2, 5, 6)), ImageChoice((), channel_axis=0))
    with pytest.raises(ImageError, match="holds channels"):
        image.source(Plane(0, 2, (0, 0, 0)))
    with pytest.raises(ImageError, match="holds channels"):
        image.source(Plane(1, 2, (0, 0, 0)), axis=0)
    with pytest.raises(ImageError, match="must lie within"):
        image.source(Plane(1, 2, (1, 0, 0)))
    with pytest.raises(ImageError, match="not shown"):
        image.source(Plane(1, 2, (0, 0, 0)), axis=1)


def test_data_that_were_replaced_are_noticed() -> None:
    layer = Image(np.zeros((4, 5, 6)))
    image = LayerImage(layer)
    assert image.is_current
    layer.data = np.ones((4, 5, 6))
    assert not image.is_current
    layer.data = np.ones((3, 5, 6))
    with pytest.raises(ImageError, match="choose the image again"):
        image.source(Plane(1, 2, (0, 0, 0)))


def test_a_multiscale_layer_stays_current_until_its_data_are_replaced() -> None:
    layer = Image([np.zeros((8, 8)), np.zeros((4, 4))], multiscale=True)
    image = LayerImage(layer)
    assert image.is_current
    layer.translate = (1, 1)
    assert image.is_current
    layer.data = [np.ones((8, 8)), np.ones((4, 4))]
    assert not image.is_current


def test_contrast_limits_that_are_no_numbers_are_said() -> None:
    layer = Image(np.zeros((4, 5)), contrast_limits=(0, np.inf))
    with pytest.raises(ImageError, match="contrast limits"):
        LayerImage(layer, ImageChoice((), intensity="contrast_limits"))


def test_a_broken_store_is_said() -> None:
    class Broken(Counting):
        def __getitem__(self, where: Any) -> np.ndarray:
            if self.read < 0:
                raise OSError("disk gone")
            return super().__getitem__(where)

    broken = Broken(np.zeros((2, 40, 40), np.uint16))
    image = _image(broken, contrast_limits=(0, 1))
    broken.read = -(10**9)
    with pytest.raises(ImageError, match="disk gone"):
        image.source(Plane(1, 2, (0, 0, 0))).read(0)


@pytest.mark.parametrize("said", [None, {}, {"layers": 3}, {"layers": ["a"], "level": "x"}])
def test_a_choice_that_is_none_is_refused(said: Any) -> None:
    with pytest.raises(ImageError):
        ImageChoice.from_json(said)


def test_the_channel_axis_is_guessed_from_names_before_sizes() -> None:
    named = Image(np.zeros((3, 4, 20, 20)), axis_labels=("z", "c", "y", "x"))
    assert guess_channel_axis(named) == 1
    told = Image(np.zeros((3, 4, 20, 20)), metadata={"axes": "TZYX"})
    assert guess_channel_axis(told) is None
    assert guess_channel_axis(Image(np.zeros((40, 3, 20, 20)))) == 1
    assert guess_channel_axis(Image(np.zeros((40, 1, 20, 20)))) is None
    assert guess_channel_axis(Image(np.zeros((3, 4)))) is None
    assert guess_channel_axis(Image(np.zeros((4, 8, 8, 3), np.uint8), rgb=True)) is None


def test_a_fingerprint_tells_images_apart_and_knows_them_again() -> None:
    values = _RNG.integers(0, 9999, (5, 64, 64)).astype(np.uint16)
    first = fingerprint(_image(values))
    assert len(first) == 32
    assert fingerprint(_image(values.copy(), name="other", scale=(2, 1, 1))) == first
    assert fingerprint(_image(values.astype(np.int32))) != first
    assert fingerprint(_image(values.reshape(5, 32, 128))) != first
    values[2] += 1
    assert fingerprint(_image(values)) != first


def test_a_fingerprint_is_that_of_the_pixels_however_they_are_stored_and_taken() -> None:
    values = _RNG.integers(0, 9999, (4, 96, 64)).astype(np.uint16)
    first = fingerprint(_image(values))
    assert fingerprint(_image(values.astype(">u2"))) == first
    chosen = ImageChoice(("x",), channel_axis=0, channels=(0, 1, 3))
    assert fingerprint(LayerImage(Image(values), chosen)) == first


def test_a_fingerprint_reads_little() -> None:
    counted = Counting(np.zeros((30, 2000, 2000), np.uint8))
    image = _image(counted, contrast_limits=(0, 255))
    before = counted.read
    fingerprint(image)
    assert 0 < counted.read - before < 10**5
