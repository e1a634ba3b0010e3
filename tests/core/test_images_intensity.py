"""Numbers to brightness, against direct formulas."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam_plugins.errors import ImageError
from sam_plugins.images import Intensity, as_rgb, intensity_limits


def line(values, low, high):
    """The definition, in double precision."""
    ratio = (np.clip(values.astype(np.float64), low, high) - low) / (high - low)
    return np.rint(ratio * 255).astype(np.uint8)


@pytest.fixture(params=["u2", ">u2", "i2", "i1", "u4", "i4", "f4", "f8"])
def image(request):
    rng = np.random.default_rng(5)
    dtype = np.dtype(request.param)
    if dtype.kind == "f":
        return rng.normal(1000, 300, (40, 30)).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min // 3, info.max // 2, (40, 30)).astype(dtype)


def test_the_default_stretches_between_the_percentiles(image):
    low, high = np.percentile(image.astype(np.float64), (0.1, 99.9))
    assert intensity_limits(image) == (low, high)
    np.testing.assert_array_equal(as_rgb(image)[:, :, 0], line(image, low, high))


def test_chosen_percentiles_extremes_limits_and_dtype(image):
    values = image.astype(np.float64)
    info = None if image.dtype.kind == "f" else np.iinfo(image.dtype)
    for intensity, low, high in [
        (Intensity("percentile", 5, 70), *np.percentile(values, (5, 70))),
        (Intensity("minmax"), values.min(), values.max()),
        (Intensity("limits", 20, 90.5), 20, 90.5),
        (Intensity("dtype"), *((0, 1) if info is None else (info.min, info.max))),
    ]:
        assert intensity_limits(image, intensity) == (low, high)
        found = as_rgb(image, intensity=intensity)[:, :, 0]
        np.testing.assert_array_equal(found, line(image, low, high), err_msg=str(intensity))


def test_limits_are_decided_over_all_channels_together():
    rng = np.random.default_rng(1)
    image = (rng.random((30, 20, 3)) * [100, 1000, 60000]).astype(np.uint16)
    low, high = np.percentile(image, (0.1, 99.9))
    np.testing.assert_array_equal(as_rgb(image), line(image, low, high))


def test_uint8_stays_unless_asked_and_bool_is_black_and_white():
    grey = np.arange(50, 90, dtype=np.uint8).reshape(5, 8)
    assert intensity_limits(grey) == (0, 255)
    np.testing.assert_array_equal(as_rgb(grey)[:, :, 1], grey)
    assert as_rgb(grey, intensity=Intensity("minmax")).min() == 0
    assert as_rgb(grey, intensity=Intensity("minmax")).max() == 255
    for intensity in (None, Intensity("limits", 0, 100)):
        np.testing.assert_array_equal(
            as_rgb(grey > 70, intensity=intensity)[:, :, 0], (grey > 70) * 255
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_the_display_range_give_back_the_uint8_picture(dtype):
    photo = np.random.default_rng(2).integers(20, 200, (30, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(as_rgb((photo / 255).astype(dtype)), photo)


def test_dim_floats_within_0_and_1_are_stretched():
    dim = np.random.default_rng(2).random((30, 40)) * 0.06
    assert intensity_limits(dim) == tuple(np.percentile(dim, (0.1, 99.9)))
    assert as_rgb(dim).max() == 255
    np.testing.assert_array_equal(
        as_rgb(dim, intensity=Intensity("dtype"))[:, :, 0], np.rint(dim * 255)
    )


def test_a_few_bright_spots_on_a_flat_background_stay_visible():
    image = np.zeros((200, 200), np.uint16)
    image[50, 50:55] = 400
    assert intensity_limits(image) == (0, 400)
    assert (as_rgb(image)[50, 50:55] == 255).all()


@pytest.mark.parametrize("dtype", ["bool", "i1", "u2", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    "intensity",
    [None, Intensity("minmax"), Intensity("percentile"), Intensity("minmax", per_channel=True)],
)
def test_constant_images_are_black_without_warnings(dtype, intensity):
    image = np.full((6, 7, 3), 0 if dtype == "bool" else 7, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not as_rgb(image, intensity=intensity).any()


def test_limits_of_a_constant_stack_can_be_reused():
    stack = np.full((3, 6, 7), 5, np.uint16)
    fixed = Intensity("limits", *intensity_limits(stack))
    assert not as_rgb(stack[0], intensity=fixed).any()
    assert (as_rgb(stack[0] + 1, intensity=fixed) == 255).all()


@given(
    hnp.arrays(
        np.float64, (5, 6), elements=st.floats(allow_nan=False, allow_infinity=False, width=64)
    )
)
def test_any_finite_floats_are_mapped_in_order_without_warnings(image):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rgb = as_rgb(image, intensity=Intensity("minmax"))
        as_rgb(image)
    order = np.argsort(image, axis=None)
    assert (np.diff(rgb[:, :, 0].ravel()[order].astype(int)) >= 0).all()
    if image.min() < image.max():
        assert rgb.min() == 0
        assert rgb.max() == 255


def test_more_values_than_are_sampled_give_nearly_the_same_percentiles(monkeypatch):
    image = np.random.default_rng(4).gamma(2, 500, (400, 500)).astype(np.uint16)
    low, high = intensity_limits(image, Intensity("percentile", 1, 99))
    monkeypatch.setattr("sam_plugins.images.intensity._MOST_SAMPLES", 10_000)
    fewer = intensity_limits(image, Intensity("percentile", 1, 99))
    assert fewer != (low, high)
    assert fewer[0] == pytest.approx(low, rel=0.15)
    assert fewer[1] == pytest.approx(high, rel=0.05)


def test_large_floats_are_mapped_in_blocks_like_small_ones(monkeypatch):
    image = np.random.default_rng(4).normal(size=(37, 11))
    whole = as_rgb(image)
    monkeypatch.setattr("sam_plugins.images.intensity._BLOCK_VALUES", 30)
    np.testing.assert_array_equal(as_rgb(image), whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gamma",), "must be percentile, minmax, limits or dtype, found 'gamma'"),
        (("limits",), "needs both low and high"),
        (("limits", 3), "needs both low and high"),
        (("limits", 9, 3), "in order, found 9 and 3"),
        (("limits", 0, math.nan), "finite"),
        (("limits", 0, math.inf), "finite"),
        (("percentile", 50, 50), "in order"),
        (("percentile", -1, 50), "0 to 100"),
        (("percentile", 5, 101), "0 to 100"),
        (("minmax", 1, 2), "takes no low and high"),
        (("dtype", None, 2), "takes no low and high"),
    ],
)
def test_impossible_intensities_are_refused(arguments, message):
    with pytest.raises(ImageError, match=message):
        Intensity(*arguments)


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.zeros((0, 3)), "empty"), (np.array([1.0, np.nan]), "1 of 2"), (np.zeros(3, "c8"), "real")],
)
def test_limits_of_no_numbers_are_refused(array, message):
    with pytest.raises(ImageError, match=message):
        intensity_limits(array)
