"""Many masks at once: the compiled kernel on several threads, or NumPy."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from sam_plugins.interpolate import axis_weights
from sam_plugins.mask_statistics.compiled import Kernel, compiled_kernel
from sam_plugins.mask_statistics.plain import measure_plain
from sam_plugins.mask_statistics.values import MaskStatistics, Window
from sam_plugins.types import Size

__all__ = ["measure_masks"]

_MASKS_AT_ONCE = 8
"""Handed to a thread together: enough that the call costs nothing, few enough to share fairly."""

Axis = tuple[NDArray[np.uint32], NDArray[np.float32]]


def measure_masks(
    low_res_logits: NDArray[np.float32],
    window: Window,
    *,
    mask_threshold: float = 0.0,
    offset: float = 1.0,
    stability_score_thresh: float = 0.0,
    threads: int = 1,
) -> list[MaskStatistics]:
    """Stability, area, box and run lengths of masks, with nothing of the image's size stored.

    The masks are those of the logits at the size of the image (`interpolate.upsample_logits`), to
    the last bit: the kernel computes each of them as the NumPy path does and forgets it at once.

    Parameters
    ----------
    low_res_logits
        (N, h, w) float32, covering the padded model input.
    window
        What they cover.
    mask_threshold
        A pixel belongs to the mask when its logit is greater.
    offset
        Stability compares the masks at ``mask_threshold + offset`` and ``- offset``.
    stability_score_thresh
        Run lengths are left out for masks of less stability; 0 leaves out none.
    threads
        Used together; each takes some of the masks.

    Returns
    -------
    One `MaskStatistics` per mask, in order.
    """
    logits = np.require(low_res_logits, np.float32, ["C", "W"])
    if not len(logits):
        return []
    kernel = compiled_kernel()
    if kernel is None:
        return [
            measure_plain(
                one,
                window,
                mask_threshold=mask_threshold,
                offset=offset,
                stability_score_thresh=stability_score_thresh,
            )
            for one in logits
        ]
    outer = mask_threshold - offset
    # Rounding can lift an interpolated value above its neighbours by a few units in the last place.
    floor = outer - 1e-5 * abs(outer)
    levels = np.array(
        (outer, mask_threshold, mask_threshold + offset, floor, stability_score_thresh), np.float32
    )
    work = partial(_measured, kernel, window=window, levels=levels)
    parts = [logits[i : i + _MASKS_AT_ONCE] for i in range(0, len(logits), _MASKS_AT_ONCE)]
    if threads == 1 or len(parts) == 1:
        return [found for part in parts for found in work(part)]
    with ThreadPoolExecutor(min(threads, len(parts))) as pool:
        return [found for some in pool.map(work, parts) for found in some]


def _measured(
    kernel: Kernel, logits: NDArray[np.float32], *, window: Window, levels: NDArray[np.float32]
) -> list[MaskStatistics]:
    n, size = len(logits), (logits.shape[1], logits.shape[2])
    height, width = window.original_size
    place = np.array((window.region[0], window.region[1], height, width), np.int64)
    counts, boxes = np.zeros((n, 3), np.int64), np.zeros((n, 4), np.int64)
    ends = np.zeros(n, np.int64)
    runs = kernel(logits, *_tables(size, window), levels, place, counts, boxes, ends)
    starts = [0, *ends[:-1].tolist()]
    return [
        MaskStatistics(
            int(counts[i, 0]),
            int(counts[i, 2]),
            int(counts[i, 1]),
            (int(boxes[i, 0]), int(boxes[i, 1]), int(boxes[i, 2]), int(boxes[i, 3])),
            runs[starts[i] : ends[i]] if ends[i] > starts[i] else None,
        )
        for i in range(n)
    ]


@lru_cache(maxsize=16)
def _tables(low_res_size: Size, window: Window) -> tuple[NDArray[np.uint32 | np.float32], ...]:
    """Sources and weights: rows and columns to the model's input, then to the window."""
    rows, columns = window.size
    axes = (
        _axis(low_res_size[0], window.padded_size[0], window.input_size[0]),
        _axis(low_res_size[1], window.padded_size[1], window.input_size[1]),
        _axis(window.input_size[0], rows, rows),
        _axis(window.input_size[1], columns, columns),
    )
    return tuple(array for axis in axes for array in axis)


def _axis(n_in: int, n_out: int, n_wanted: int) -> Axis:
    low, high, weight = axis_weights(n_in, n_out, (0, n_wanted))
    sources = np.stack((low, high)).astype(np.uint32)
    return sources, np.stack((np.float32(1) - weight, weight))
