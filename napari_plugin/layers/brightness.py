"""Which values are black and white, from a bounded sample of a whole layer."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError
from sam_plugins.images import intensity_limits

__all__ = ["sample_windows", "sampled_limits"]

_FRAMES = 6
_WINDOWS = 4
_SIDE = 128


def sampled_limits(
    data: Any, ndim: int, channel_axis: int | None, channel: int | None, name: str
) -> tuple[tuple[float, float], int]:
    """Black and white of one channel, and how many values of the sample are no numbers.

    The same for every plane, however the stack is turned: windows along the last two axes other
    than the channels', of evenly spaced frames.

    Raises
    ------
    ImageError
        If the sample holds no number at all.
    """
    if np.dtype(data.dtype) == np.uint8:
        return (0.0, 255.0), 0
    parts = [
        np.asarray(data[where]).ravel()
        for where in sample_windows(data.shape[:ndim], channel_axis, channel)
    ]
    values = np.concatenate(parts)
    missing = 0
    if values.dtype.kind == "f":
        finite: NDArray[Any] = values[np.isfinite(values)]
        missing, values = values.size - finite.size, finite
        if not values.size:
            raise ImageError(
                f"{name} holds no numbers (all NaN or infinite where it was looked at): there is "
                "nothing to segment."
            )
    return intensity_limits(values), missing


def sample_windows(
    shape: tuple[int, ...], channel_axis: int | None, channel: int | None
) -> Iterator[tuple[Any, ...]]:
    """What to index an array with for a sample of bounded size, spread over all of it."""
    axes = [axis for axis in range(len(shape)) if axis != channel_axis]
    inner, outer = axes[-2:], axes[:-2]
    frames = int(np.prod([shape[axis] for axis in outer], dtype=np.int64))
    count = min(frames, _FRAMES)
    for number in range(count):
        flat = (2 * number + 1) * frames // (2 * count)
        place = np.unravel_index(flat, [shape[axis] for axis in outer]) if outer else ()
        spans = [list(_spans(shape[axis])) for axis in inner]
        for first, second in itertools.product(*spans):
            where: list[Any] = [slice(None)] * len(shape)
            for axis, position in zip(outer, place, strict=True):
                where[axis] = int(position)
            where[inner[0]], where[inner[1]] = first, second
            if channel_axis is not None and channel is not None:
                where[channel_axis] = channel
            yield tuple(where)


def _spans(length: int) -> Iterator[slice]:
    """Up to four pieces of 128, evenly spaced; all of it where that is no more."""
    if length <= _WINDOWS * _SIDE:
        yield slice(0, length)
        return
    for number in range(_WINDOWS):
        start = int((number + 0.5) * length / _WINDOWS - _SIDE / 2)
        yield slice(start, start + _SIDE)
