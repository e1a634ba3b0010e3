"""The compiled pass against NumPy on whole images: equal to the last pixel, or it is wrong."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sam_plugins.formats import mask_to_rle, runs_to_rle
from sam_plugins.interpolate import upsample_logits
from sam_plugins.mask_statistics import (
    MaskStatistics,
    Window,
    compiled,
    compiled_kernel,
    is_prepared,
    kernel,
    measure,
    measure_masks,
    measure_plain,
)
from sam_plugins.masks import mask_to_box, stability_score
from sam_plugins.transforms import resized_size


@st.composite
def windows(draw):
    """A window anywhere in an image, resized to the model's input as pictures are."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x1, y1 = draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))
    side = draw(st.sampled_from((32, 48, 64)))
    input_size = resized_size((y1 - y0, x1 - x0), side)
    assume(min(input_size) > 0)
    return Window((x0, y0, x1, y1), (height, width), input_size, (side, side))


@st.composite
def logits(draw):
    """Noise, smooth shapes, mostly background, exact zeros, and values that round badly."""
    side = draw(st.sampled_from((8, 12, 16)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(("noise", "sparse", "discs", "steps", "huge", "empty", "full")))
    shape = (draw(st.integers(1, 3)), side, side)
    noise = rng.normal(0, 3, shape)
    y, x = np.mgrid[:side, :side]
    found = {
        "noise": noise,
        "sparse": np.where(rng.random(shape) < 0.05, noise, -5),
        "discs": side / 3 - np.hypot(y - side * rng.random(), x - side * rng.random()) + 0 * noise,
        "steps": np.round(noise),
        "huge": noise * 10.0 ** rng.integers(-6, 7, shape),
        "empty": -2 - np.abs(noise),
        "full": 2 + np.abs(noise),
    }[kind]
    return found.astype(np.float32)


def whole_image(low, window, threshold):
    """The mask of the whole image, and its logits in the window."""
    large = upsample_logits(low, window.padded_size, window.input_size, window.size)
    mask = np.zeros(window.original_size, bool)
    x0, y0, x1, y1 = window.region
    mask[y0:y1, x0:x1] = large > threshold
    return mask, large


@pytest.mark.parametrize("way", ["compiled", "plain"])
@settings(deadline=None, max_examples=150)
@given(
    window=windows(),
    low=logits(),
    threshold=st.sampled_from((0.0, 0.5, -1.25)),
    offset=st.sampled_from((1.0, 0.3, 0.0)),
)
def test_statistics_are_those_of_the_whole_image(way, window, low, threshold, offset):
    options = {"mask_threshold": threshold, "offset": offset}
    if way == "compiled":
        measured = measure_masks(low, window, **options)
    else:
        measured = [measure_plain(one, window, **options) for one in low]
    for one, found in zip(low, measured, strict=True):
        mask, large = whole_image(one, window, threshold)
        assert found.area == mask.sum()
        assert found.box == mask_to_box(mask)
        assert found.outer == (large > threshold - offset).sum()
        assert found.inner == (large > threshold + offset).sum()
        assert found.stability_score == stability_score(large, threshold, offset)
        if not found.area:
            assert found.runs is None
        else:
            rle = runs_to_rle(found.runs, window.original_size)
            assert rle == mask_to_rle(mask)


@settings(deadline=None, max_examples=30)
@given(window=windows(), low=logits())
def test_the_kernel_does_the_same_without_being_compiled(window, low):
    expected = measure_masks(low[:1], window)
    tables = measure._tables(low.shape[1:], window)
    levels = np.array((-1, 0, 1, -1.00001, 0), np.float32)
    counts, boxes = np.zeros((1, 3), np.int64), np.zeros((1, 4), np.int64)
    ends = np.zeros(1, np.int64)
    place = np.array((*window.region[:2], *window.original_size), np.int64)
    with np.errstate(all="ignore"):
        runs = kernel.measure(low[:1], *tables, levels, place, counts, boxes, ends)
    assert counts[0].tolist() == [expected[0].outer, expected[0].area, expected[0].inner]
    assert tuple(boxes[0]) == expected[0].box
    np.testing.assert_array_equal(
        runs[: ends[0]], [] if expected[0].runs is None else expected[0].runs
    )


def discs(count, side, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centres, radii = rng.uniform(0, side, (count, 2)), rng.uniform(1, side / 3, count)
    distance = np.hypot(y - centres[:, 0, None, None], x - centres[:, 1, None, None])
    return (radii[:, None, None] - distance).astype(np.float32)


def test_threads_change_nothing_and_order_is_kept():
    window = Window((5, 7, 305, 200), (240, 310), (165, 256), (256, 256))
    low = discs(45, 64)
    alone, together = (measure_masks(low, window, threads=n) for n in (1, 4))
    assert len(alone) == 45
    assert [described(one) for one in alone] == [described(one) for one in together]


def described(found):
    runs = None if found.runs is None else found.runs.tolist()
    return found.outer, found.inner, found.area, found.box, runs


def test_unstable_masks_are_measured_but_not_encoded():
    window = Window((0, 0, 64, 64), (64, 64), (64, 64), (64, 64))
    low = discs(20, 16)
    scores = np.array([one.stability_score for one in measure_masks(low, window)])
    middle = float(np.median(scores))
    assert scores.min() < middle < scores.max()
    for one, score in zip(
        measure_masks(low, window, stability_score_thresh=middle), scores, strict=True
    ):
        assert (one.runs is not None) == (score >= np.float32(middle))
        assert one.area > 0


def test_a_small_window_of_a_huge_image_costs_nothing_of_its_size():
    window = Window((60_000, 59_000, 60_064, 59_064), (2**16, 2**15 * 2), (64, 64), (64, 64))
    (found,) = measure_masks(np.full((1, 16, 16), 5, np.float32), window)
    assert found.box == window.region
    assert len(found.runs) == 2 * 64 + 1
    assert found.runs.sum() == 2**32
    assert found.runs[0] == 60_000 * 2**16 + 59_000


def test_no_masks_are_no_statistics():
    window = Window((0, 0, 64, 64), (64, 64), (64, 64), (64, 64))
    assert measure_masks(np.zeros((0, 16, 16), np.float32), window) == []


def test_without_numba_numpy_measures_after_one_warning(monkeypatch):
    window = Window((0, 0, 64, 64), (64, 64), (64, 64), (64, 64))
    low = discs(3, 16)
    expected = [described(one) for one in measure_masks(low, window)]
    monkeypatch.setattr(compiled, "_once", compiled._Once())
    monkeypatch.setitem(sys.modules, "numba", None)
    assert not is_prepared()
    with pytest.warns(RuntimeWarning, match="NumPy"):
        found = measure_masks(low, window)
    assert [described(one) for one in found] == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(measure_masks(low, window)[0], MaskStatistics)


COMPILE = """
from sam_plugins.mask_statistics import compiled_kernel
kernel = compiled_kernel()
print(kernel is not None, sum(kernel.stats.cache_hits.values()))
"""


def compiled_in_a_new_process(cache):
    environment = os.environ | {"SAM_PLUGINS_CACHE": str(cache)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMPILE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    there, hits = result.stdout.split()
    assert there == "True"
    return int(hits)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners and modes of folders")
def test_compiled_code_is_kept_for_its_owner_only(tmp_path):
    assert compiled_in_a_new_process(tmp_path) == 0
    assert compiled_in_a_new_process(tmp_path) == 1
    (folder,) = (path for path in tmp_path.rglob("compiled") if path.is_dir())
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)
    assert compiled_in_a_new_process(tmp_path) == 0


def test_compiling_is_done_once():
    assert compiled_kernel() is compiled_kernel()
    assert is_prepared()
