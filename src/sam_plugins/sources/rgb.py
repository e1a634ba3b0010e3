"""Windows as RGB, with black and white decided once for the whole source."""

import math
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.images.arrays import chosen_channels, painted
from sam_plugins.images.intensity import (
    Intensity,
    check_finite,
    intensity_limits,
    numeric,
    to_uint8,
)
from sam_plugins.images.windows import checked_window
from sam_plugins.sources.raw import RawWindows
from sam_plugins.types import Box, Image

__all__ = ["RgbSource", "sample_regions"]

_SAMPLED_FRAMES = 4
_SAMPLES_PER_SIDE = 8
_SAMPLE_SIDE = 128


class RgbSource:
    """An `ImageSource` over windows of numbers. Safe to share between threads if they are.

    Parameters
    ----------
    raw
        What is read.
    channels
        Numbers of the channels to show as red, green and blue; see `as_rgb`.
    intensity
        How values become uint8. Percentiles and extremes are taken from a bounded sample
        (`sample_regions`); the default is that of `intensity_limits`. uint8 stays as it is.
    """

    def __init__(
        self,
        raw: RawWindows,
        *,
        channels: int | Sequence[int] | None = None,
        intensity: Intensity | None = None,
    ) -> None:
        self._raw, self._channels, self._intensity = raw, channels, intensity
        self._limits: tuple[tuple[float, float], ...] | None = None
        self._lock = Lock()
        if raw.channel_count is not None:
            count = 3 if raw.channel_count == 4 and channels is None else raw.channel_count
            chosen_channels(raw.name, count, channels)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._raw.name

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return self._raw.shape

    @property
    def intensity_limits(self) -> tuple[tuple[float, float], ...]:
        """The values that become black and white in each channel shown; decided at first use."""
        if self._limits is None:
            self.read(0, (0, 0, 1, 1))
        return self._limits or ()

    def read(self, index: int, region: Box | None = None) -> Image:
        """One window of one frame.

        Parameters
        ----------
        index
            Number of the frame.
        region
            xyxy in pixels; the whole frame by default.

        Returns
        -------
        (h, w, 3) uint8 RGB, C-contiguous.

        Raises
        ------
        ImageError
            If the frame or the region is not there, a value is NaN or infinite, the channels
            cannot be told, or the data are missing or damaged there.
        LimitError
            If a piece that has to be decoded for it is too large.
        """
        planes, inverted = self._planes(index, checked_window(self.name, self.shape, index, region))
        check_finite(planes)
        limits = self._decided(planes)
        chosen = tuple(range(planes.shape[2]))
        if planes.dtype == np.uint8 and all(pair == (0.0, 255.0) for pair in limits):
            levels = {c: planes[:, :, c] for c in chosen}
        else:
            levels = {c: to_uint8(planes[:, :, c], *limits[c]) for c in chosen}
        rgb = painted(levels, chosen)
        return 255 - rgb if inverted else rgb

    def _planes(self, index: int, region: Box) -> tuple[NDArray[Any], bool]:
        """(h, w, 1 to 3) numbers of the channels shown, and whether 0 is white."""
        chosen: tuple[int, ...] | None = None
        if self._channels is not None:
            many = self._raw.channel_count or 2**16
            chosen = chosen_channels(self.name, many, self._channels)
        pixels = self._raw.read(index, region, chosen)
        planes = numeric(pixels.planes)
        if chosen is None:
            planes = planes[:, :, : pixels.colours]
            chosen_channels(self.name, planes.shape[2], None)
        return planes, pixels.inverted

    def _decided(self, planes: NDArray[Any]) -> tuple[tuple[float, float], ...]:
        with self._lock:
            if self._limits is None:
                self._limits = self._decide(planes)
            return self._limits

    def _decide(self, planes: NDArray[Any]) -> tuple[tuple[float, float], ...]:
        intensity, count = self._intensity, planes.shape[2]
        kind = None if intensity is None else intensity.kind
        plain = kind is None and planes.dtype in (bool, np.uint8)
        if plain or kind in ("dtype", "limits"):
            return (intensity_limits(planes[:1, :1], intensity),) * count
        parts = [self._planes(index, region)[0] for index, region in sample_regions(self.shape)]
        sample = np.concatenate([part.reshape(-1, count) for part in parts])
        if intensity is not None and intensity.per_channel:
            return tuple(intensity_limits(sample[:, c], intensity) for c in range(count))
        return (intensity_limits(sample, intensity),) * count


def sample_regions(shape: tuple[int, int, int]) -> Iterator[tuple[int, Box]]:
    """Which windows stand for a whole source where its brightness is decided.

    Parameters
    ----------
    shape
        (frames, H, W).

    Yields
    ------
    index, region
        Of up to four evenly spaced frames, 8 x 8 windows of 128 pixels at the centres of equal
        cells; the whole frame where that is no more.
    """
    frames, height, width = shape
    count = min(frames, _SAMPLED_FRAMES)
    sides = [min(side, _SAMPLE_SIDE * _SAMPLES_PER_SIDE) for side in (height, width)]
    across = [math.ceil(side / _SAMPLE_SIDE) for side in sides]
    for number in range(count):
        index = (2 * number + 1) * frames // (2 * count)
        if (height, width) == tuple(sides):
            yield index, (0, 0, width, height)
            continue
        for i in range(across[0]):
            for j in range(across[1]):
                y0, y1 = _cell(height, across[0], i)
                x0, x1 = _cell(width, across[1], j)
                yield index, (x0, y0, x1, y1)


def _cell(length: int, count: int, number: int) -> tuple[int, int]:
    side = min(_SAMPLE_SIDE, length)
    start = int((number + 0.5) * length / count - side / 2)
    start = min(max(start, 0), length - side)
    return start, start + side
