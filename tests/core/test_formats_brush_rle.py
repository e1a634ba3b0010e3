"""Label Studio's brush run lengths: as its own library writes and reads them, and damaged ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sam_plugins.errors import ImageError
from sam_plugins.formats import brush_rle_to_crop, crop_to_brush_rle
from sam_plugins.masks import mask_to_box

GOLDEN = bytes.fromhex("0000008c391bfe2300bfff6c02fffe37008ffc")
"""Written by label-studio-sdk 2.1.2 for the mask of `small`."""


def small():
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:6] = True
    mask[4, 6] = True
    return mask


def encoded(mask):
    x0, y0, x1, y1 = mask_to_box(mask)
    return crop_to_brush_rle(mask[y0:y1, x0:x1], (x0, y0, x1, y1), mask.shape)


def decoded(rle, size):
    crop, (x0, y0, x1, y1) = brush_rle_to_crop(rle, size)
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = crop
    return mask


def read_plainly(rle):
    """A second reader: a string of bits, cut from the front."""
    bits = "".join(f"{byte:08b}" for byte in rle)

    def take(count):
        nonlocal bits
        head, bits = bits[:count], bits[count:]
        assert len(head) == count
        return int(head, 2)

    total, width = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        repeats = take(1)
        count = take(sizes[take(2)]) + 1
        values += [take(width)] * count if repeats else [take(width) for _ in range(count)]
    assert len(values) == total
    assert len(bits) < 8
    return values


masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=24))


@settings(max_examples=80, deadline=None)
@given(masks)
def test_any_mask_is_read_back_and_read_by_others(mask):
    rle = encoded(mask)
    np.testing.assert_array_equal(decoded(rle, mask.shape), mask)
    np.testing.assert_array_equal(decoded(bytes(rle), mask.shape), mask)
    rgba = np.array(read_plainly(rle), np.uint8).reshape(*mask.shape, 4)
    np.testing.assert_array_equal(rgba, np.where(mask, 255, 0)[..., None].repeat(4, axis=2))


def test_it_is_what_label_studios_library_writes():
    assert bytes(encoded(small())) == GOLDEN
    np.testing.assert_array_equal(decoded(GOLDEN, (5, 7)), small())


def test_long_runs_are_cut_and_runs_over_rows_are_one():
    mask = np.ones((700, 300), bool)
    rle = encoded(mask)
    assert len(rle) < 64
    assert decoded(rle, mask.shape).all()
    crop, box = brush_rle_to_crop(rle, (700, 300))
    assert crop.shape == (700, 300)
    assert box == (0, 0, 300, 700)


def test_listed_values_are_read_by_their_fourth_channel():
    """As the page writes what was erased with a soft edge: half of a pixel is seen or it is not."""
    values = [9, 9, 9, 255, 0, 0, 0, 127, 1, 2, 3, 128]
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    bits += "0" + "01" + f"{len(values) - 1:04b}" + "".join(f"{value:08b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)]
    np.testing.assert_array_equal(decoded(rle, (1, 3)), [[True, False, True]])


def test_an_empty_mask_is_empty():
    rle = crop_to_brush_rle(np.zeros((0, 0), bool), (0, 0, 0, 0), (6, 9))
    crop, box = brush_rle_to_crop(rle, (6, 9))
    assert crop.size == 0
    assert box == (0, 0, 0, 0)


@pytest.mark.parametrize("length", range(len(GOLDEN)))
def test_what_is_cut_off_is_a_sentence(length):
    with pytest.raises(ImageError, match=r"cut off|do not belong"):
        brush_rle_to_crop(GOLDEN[:length], (5, 7))


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=8, max_size=60), st.integers(0, 40))
def test_damage_is_a_sentence_or_a_mask_and_nothing_else(noise, start):
    damaged = bytes(GOLDEN[:start]) + noise
    try:
        crop, (x0, y0, x1, y1) = brush_rle_to_crop(damaged, (5, 7))
    except ImageError:
        return
    assert crop.shape == (y1 - y0, x1 - x0)


def test_another_size_and_what_are_no_bytes_are_refused():
    with pytest.raises(ImageError, match="5 x 8"):
        brush_rle_to_crop(GOLDEN, (5, 8))
    with pytest.raises(ImageError, match="numbers from 0 to 255"):
        brush_rle_to_crop([0, 1, 256], (5, 7))
    with pytest.raises(ImageError, match="does not fit"):
        crop_to_brush_rle(np.ones((2, 2), bool), (4, 4, 6, 6), (5, 5))
    with pytest.raises(ImageError, match="use polygons"):
        crop_to_brush_rle(np.ones((1, 1), bool), (0, 0, 1, 1), (40_000, 40_000))
