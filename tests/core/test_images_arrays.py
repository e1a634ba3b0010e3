"""Arrays to RGB: channel axes, channel choices, dtypes and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images import Intensity, Limits, as_rgb, intensity_limits, load_image

sides = st.integers(5, 12)
counts = st.integers(1, 3)
dtypes = st.sampled_from(
    ["bool", "u1", "i1", "<u2", ">u2", "i2", "u4", "i4", "i8", "f2", "<f4", ">f4", "f8"]
)


@st.composite
def pictures(draw, channels=counts, dtype=dtypes):
    """(H, W, C) finite numbers of any dtype, with H and W above four."""
    kind = np.dtype(draw(dtype))
    shape = (draw(sides), draw(sides), draw(channels))
    elements = (
        hnp.from_dtype(kind, allow_nan=False, allow_infinity=False) if kind.kind == "f" else None
    )
    return draw(hnp.arrays(kind, shape, elements=elements))


@given(pictures(channels=st.just(3), dtype=st.just("u1")))
def test_uint8_rgb_is_returned_unchanged_and_uncopied(image):
    assert as_rgb(image) is image or np.shares_memory(as_rgb(image), image)
    np.testing.assert_array_equal(as_rgb(image), image)


@given(pictures())
@settings(max_examples=80)
def test_channel_first_equals_channel_last(image):
    first = as_rgb(np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(first, as_rgb(image))
    np.testing.assert_array_equal(first, as_rgb(image, channel_axis=2))
    np.testing.assert_array_equal(first, as_rgb(image.swapaxes(1, 2), channel_axis=-2))


@given(pictures())
@settings(max_examples=80)
def test_result_is_contiguous_uint8_whatever_the_memory_layout_and_input_is_untouched(image):
    before = image.copy()
    image.setflags(write=False)
    expected = as_rgb(image)
    assert expected.shape == (*image.shape[:2], 3)
    assert expected.dtype == np.uint8
    assert expected.flags.c_contiguous
    padded = np.zeros((image.shape[0] * 2, image.shape[1] * 3, image.shape[2]), image.dtype)
    padded[::2, ::3] = image
    flipped = np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1]
    for layout in (np.asfortranarray(image), padded[::2, ::3], flipped):
        np.testing.assert_array_equal(as_rgb(layout), expected)
        assert as_rgb(layout).flags.c_contiguous
    np.testing.assert_array_equal(image, before)


@given(pictures(channels=st.just(1)))
@settings(max_examples=80)
def test_grey_is_equal_in_all_channels_and_brighter_stays_brighter(image):
    rgb = as_rgb(image)
    assert (rgb[:, :, :1] == rgb).all()
    order = np.argsort(image, axis=None, kind="stable")
    assert (np.diff(rgb[:, :, 0].ravel()[order].astype(int)) >= 0).all()
    np.testing.assert_array_equal(as_rgb(image[:, :, 0]), rgb)


@pytest.fixture
def planes():
    return np.random.default_rng(3).integers(0, 256, (7, 6, 5), dtype=np.uint8)


def test_chosen_channels_become_red_green_and_blue(planes):
    np.testing.assert_array_equal(
        as_rgb(planes, channel_axis=-1, channels=(2, 0, 1)), planes[:, :, [2, 0, 1]]
    )
    np.testing.assert_array_equal(
        as_rgb(planes, channel_axis=2, channels=(4, 4, 0)), planes[:, :, [4, 4, 0]]
    )
    grey = as_rgb(planes, channel_axis=2, channels=3)
    np.testing.assert_array_equal(grey, planes[:, :, [3, 3, 3]])
    np.testing.assert_array_equal(as_rgb(planes, channel_axis=2, channels=[3]), grey)
    two = as_rgb(planes, channel_axis=2, channels=(1, 4))
    np.testing.assert_array_equal(two[:, :, :2], planes[:, :, [1, 4]])
    assert not two[:, :, 2].any()


def test_two_channels_are_red_and_green_and_four_in_uint8_lose_their_alpha(planes):
    two = as_rgb(planes[:, :, :2])
    np.testing.assert_array_equal(two[:, :, :2], planes[:, :, :2])
    assert not two[:, :, 2].any()
    np.testing.assert_array_equal(as_rgb(planes[:, :, :4]), planes[:, :, :3])
    np.testing.assert_array_equal(
        as_rgb(planes[:, :, :4], channels=(3, 2, 1)), planes[:, :, [3, 2, 1]]
    )


@pytest.mark.parametrize("channels", [(0, 1, 5), (-1, 0, 1), (), (0, 1, 2, 3), 7, (0.5,), "red"])
def test_wrong_channels_say_what_there_is(planes, channels):
    with pytest.raises(ImageError, match=r"has 5 channels, so that `channels` must be .* 0 to 4"):
        as_rgb(planes, channel_axis=2, channels=channels)


def test_more_channels_than_colours_ask_for_a_choice(planes):
    with pytest.raises(ImageError, match=r"5 channels and three can be shown.*channels="):
        as_rgb(planes, channel_axis=2)
    with pytest.raises(ImageError, match=r"4 channels and three can be shown"):
        as_rgb(planes[:, :, :4].astype(np.uint16))


def test_where_both_ends_could_be_channels_the_last_wins_unless_told():
    image = np.arange(3 * 8 * 3, dtype=np.uint8).reshape(3, 8, 3)
    np.testing.assert_array_equal(as_rgb(image), image)
    np.testing.assert_array_equal(as_rgb(image, channel_axis=0), np.moveaxis(image, 0, -1))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5), np.uint8), r"empty, its shape is \(0, 5\)"),
        (np.zeros((5, 5, 0), np.uint8), "empty"),
        (np.zeros((1, 1), np.uint8), "single pixel"),
        (np.zeros((1, 1, 3), np.uint8), "single pixel"),
        (np.zeros(9, np.uint8), "1-D of shape"),
        (np.uint8(9), "0-D of shape"),
        (np.zeros((2, 3, 4, 5), np.uint8), r"4-D of shape \(2, 3, 4, 5\)"),
        (np.zeros((7, 8, 9), np.uint8), "give channel_axis"),
        (np.zeros((5, 5), np.complex64), "complex64: take numpy.abs"),
        (np.array([[1, "a"]], object), "dtype object"),
        (np.array([["a", "b"]]), "dtype <U1"),
        (np.zeros((5, 5), "M8[s]"), "datetime64"),
        ([[1, 2], [3]], "convertible"),
        (None, "NoneType"),
    ],
    ids=str,
)
def test_arrays_that_are_no_picture_get_one_clear_sentence(array, message):
    with pytest.raises(ImageError, match=message):
        as_rgb(array)
    with pytest.raises(ImageError, match=message):
        load_image(array)


@pytest.mark.parametrize("axis", [3, -4])
def test_channel_axis_must_be_an_axis(axis):
    with pytest.raises(ImageError, match=f"0, 1 or 2 .* found {axis}"):
        as_rgb(np.zeros((5, 5, 3), np.uint8), channel_axis=axis)


def test_channel_axis_of_a_grey_image_is_refused():
    with pytest.raises(ImageError, match="has no channels"):
        as_rgb(np.zeros((5, 5), np.uint8), channel_axis=0)


def test_nan_and_infinity_are_counted_in_the_chosen_channels_only():
    image = np.linspace(0, 1, 5 * 6 * 5).reshape(5, 6, 5)
    image[1, 2, 4], image[0, 0, 4], image[4, 4, 4] = np.nan, np.inf, -np.inf
    with pytest.raises(ImageError, match=r"3 of 30.*nan_to_num"):
        as_rgb(image, channel_axis=2, channels=4)
    assert as_rgb(image, channel_axis=2, channels=(0, 1, 2)).max() > 250


def test_a_line_of_pixels_is_a_picture():
    assert as_rgb(np.array([[0, 9]], np.uint8)).tolist() == [[[0] * 3, [9] * 3]]


def test_objects_that_numpy_can_convert_are_arrays():
    class Lazy:
        shape = (5, 6)

        def __array__(self, dtype=None, copy=None):
            return np.full(self.shape, 7, np.uint8)

    assert (load_image(Lazy()) == 7).all()
    with pytest.raises(LimitError, match="30 pixels and at most 29"):
        load_image(Lazy(), limits=Limits(29, None, None))


def test_array_limits_and_pages():
    image = np.zeros((50, 40, 3), np.float64)
    with pytest.raises(LimitError, match="2,000 pixels and at most 1,999"):
        load_image(image, limits=Limits(1999, None, None))
    with pytest.raises(LimitError, match="48,000 bytes and at most 47,999"):
        load_image(image, limits=Limits(None, 47_999, None))
    assert load_image(image, limits=Limits(2000, 48_000, 1)).shape == (50, 40, 3)
    with pytest.raises(ImageError, match=r"one page, number 0, found page=1"):
        load_image(image, page=1)


def test_per_channel_stretches_each_channel_alone_and_the_default_all_together():
    image = np.stack([np.linspace(0, 10, 30), np.linspace(0, 1000, 30)], -1).reshape(5, 6, 2)
    together = as_rgb(image, intensity=Intensity("minmax"))
    apart = as_rgb(image, intensity=Intensity("minmax", per_channel=True))
    assert together[:, :, 0].max() == 3
    assert together[:, :, 1].max() == 255
    np.testing.assert_array_equal(apart[:, :, 0], apart[:, :, 1])
    assert apart.max() == 255


def test_a_stack_reuses_limits_decided_once():
    stack = np.random.default_rng(0).integers(100, 3000, (4, 20, 20)).astype(np.uint16)
    fixed = Intensity("limits", *intensity_limits(stack))
    whole = as_rgb(stack.reshape(80, 20))
    for number, plane in enumerate(stack):
        np.testing.assert_array_equal(
            as_rgb(plane, intensity=fixed), whole[20 * number : 20 * number + 20]
        )
