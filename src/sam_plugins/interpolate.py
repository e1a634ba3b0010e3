"""Bilinear resampling in NumPy, equal to ``torch.nn.functional.interpolate``.

Masks are computed on demand from low-resolution logits, often by hosts that never load torch.
The published code resamples twice (low resolution -> model input -> image), each time with
``mode="bilinear", align_corners=False`` and no antialias; `upsample_logits` composes the two and
can compute any window of the result without the rest.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["axis_weights", "bilinear", "reach", "upsample_logits"]

Span = tuple[int, int]


def axis_weights(
    n_in: int, n_out: int, span: Span
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Source indices and weights of one axis.

    Parameters
    ----------
    n_in, n_out
        Length of the axis before and after.
    span
        Half-open range of output positions wanted.

    Returns
    -------
    low, high, weight
        ``out[i] = (1 - weight[i]) * in[low[i]] + weight[i] * in[high[i]]``. As in torch the scale
        is float32 and the position is rounded to it once (a fused multiply-subtract): two
        roundings move logits of large images by up to 7e-4.
    """
    scale = np.float64(np.float32(n_in / n_out))
    position = ((np.arange(*span) + 0.5) * scale - 0.5).astype(np.float32)
    position = np.maximum(position, np.float32(0))
    low = np.minimum(position.astype(np.int64), n_in - 1)
    high = np.minimum(low + 1, n_in - 1)
    return low, high, (position - low).astype(np.float32)


def bilinear(
    values: NDArray[np.float32],
    size: tuple[int, int],
    rows: Span | None = None,
    columns: Span | None = None,
    source_rows: Span | None = None,
    source_columns: Span | None = None,
    source_size: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Resample the last two axes to `size`, or compute one window of that result.

    Parameters
    ----------
    values
        (..., h, w) float32. With `source_rows` and `source_columns` it is only that window of a
        source of `source_size`.
    size
        (H, W) of the whole result.
    rows, columns
        Half-open window of the result to compute; the whole by default.

    Returns
    -------
    (..., rows, columns) float32.
    """
    height, width = source_size if source_size is not None else values.shape[-2:]
    top = source_rows[0] if source_rows is not None else 0
    left = source_columns[0] if source_columns is not None else 0
    low, high, weight = axis_weights(height, size[0], rows or (0, size[0]))
    mixed = _mix(values, low - top, high - top, weight[:, None], axis=-2)
    low, high, weight = axis_weights(width, size[1], columns or (0, size[1]))
    return _mix(mixed, low - left, high - left, weight, axis=-1)


def _mix(
    values: NDArray[np.float32],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    weight: NDArray[np.float32],
    axis: int,
) -> NDArray[np.float32]:
    """Between two positions of an axis.

    `take` that need not check its indices is seventeen times faster than indexing with them.
    """
    result: NDArray[np.float32] = values.take(low, axis=axis, mode="clip")
    result *= np.float32(1) - weight
    other = values.take(high, axis=axis, mode="clip")
    other *= weight
    result += other
    return result


def _needed(n_in: int, n_out: int, span: Span) -> Span:
    """Half-open range of source positions that output positions `span` read."""
    low, _, _ = axis_weights(n_in, n_out, (span[0], span[0] + 1))
    _, high, _ = axis_weights(n_in, n_out, (span[1] - 1, span[1]))
    return int(low[0]), int(high[0]) + 1


def upsample_logits(
    low_res_logits: NDArray[np.float32],
    padded_size: tuple[int, int],
    input_size: tuple[int, int],
    window_size: tuple[int, int],
    rows: Span | None = None,
    columns: Span | None = None,
) -> NDArray[np.float32]:
    """Low-resolution logits to logits of the encoded window, as the published code does.

    Parameters
    ----------
    low_res_logits
        (..., h, w) float32, covering the padded model input.
    padded_size
        (H, W) of the model input with its padding.
    input_size
        (H, W) of the part of the model input that shows the picture (top left).
    window_size
        (H, W) in image pixels of the encoded window.
    rows, columns
        Half-open part of the window to compute; the whole by default.

    Returns
    -------
    (..., rows, columns) float32 logits; a mask is ``logits > mask_threshold``.
    """
    rows = rows or (0, window_size[0])
    columns = columns or (0, window_size[1])
    middle_rows = _needed(input_size[0], window_size[0], rows)
    middle_columns = _needed(input_size[1], window_size[1], columns)
    middle = bilinear(low_res_logits, padded_size, middle_rows, middle_columns)
    return bilinear(
        middle,
        window_size,
        rows,
        columns,
        source_rows=middle_rows,
        source_columns=middle_columns,
        source_size=input_size,
    )


def reach(
    above: NDArray[np.bool_],
    padded_size: tuple[int, int],
    input_size: tuple[int, int],
    window_size: tuple[int, int],
) -> tuple[Span, Span] | None:
    """Rows and columns of the window outside of which no logit can pass a threshold.

    Interpolated values lie between their neighbours, so that a pixel can only pass within one
    low-resolution cell (and one input cell) of a low-resolution logit that passes.

    Parameters
    ----------
    above
        (h, w) bool, which low-resolution logits pass; a little too many do no harm.
    padded_size, input_size, window_size
        As in `upsample_logits`.

    Returns
    -------
    rows, columns
        Half-open; None if nothing can pass.
    """
    spans: list[Span] = []
    for axis in (0, 1):
        hits = np.flatnonzero(above.any(1 - axis))
        if not len(hits):
            return None
        cell = padded_size[axis] / above.shape[axis]
        scale = window_size[axis] / input_size[axis]
        low = int(np.floor(((hits[0] - 1) * cell - 1.5) * scale)) - 1
        high = int(np.ceil(((hits[-1] + 2) * cell + 1.5) * scale)) + 1
        low, high = max(low, 0), min(high, window_size[axis])
        if low >= high:
            return None
        spans.append((low, high))
    return spans[0], spans[1]
