"""Windows of numbers, before they become colours: what arrays and TIFF files have in common."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images.files import upright
from sam_plugins.images.limits import Limits
from sam_plugins.images.reader import Pixels, Source
from sam_plugins.images.tiff_windows import TiffWindows
from sam_plugins.images.windows import reading
from sam_plugins.sources.axes import axes_of
from sam_plugins.types import Box

__all__ = ["ArrayWindows", "RawWindows", "TiffFrames"]

_MOST_CHUNK_BYTES = 2**31
_ADVICE = "a part of it is missing or damaged, copy or make it again"


class RawWindows(Protocol):
    """Frames of equal size that are read by window."""

    name: str
    """What messages call it."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        ...

    def read(self, index: int, region: Box, channels: Sequence[int] | None) -> Pixels:
        """The numbers of a region, xyxy inside the frame; of some channels or of all."""
        ...

    @property
    def channel_count(self) -> int | None:
        """How many channels, where that is known without reading."""
        ...


class ArrayWindows:
    """Windows of anything that is indexed like a NumPy array: memory maps, zarr, dask.

    Parameters
    ----------
    array
        With ``shape``, ``dtype`` and ``__getitem__`` with integers and slices; only what a window
        needs is asked for.
    axes
        See `axes_of`.
    name
        In messages.
    limits
        What it may claim.
    """

    def __init__(self, array: Any, *, axes: str | None, name: str, limits: Limits) -> None:
        self.name = name
        self._array = array
        self._axes = axes_of(name, array.shape, axes)
        shape = self._array.shape
        frames = math.prod(shape[axis] for axis in self._axes.frames)
        self._shape = (frames, int(shape[self._axes.rows]), int(shape[self._axes.columns]))
        limits.check_size(name, self._shape[1], self._shape[2])
        limits.check_pages(name, frames)
        _check_chunks(name, array)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return self._shape

    @property
    def channel_count(self) -> int | None:
        """How many channels."""
        axis = self._axes.channel
        return 1 if axis is None else int(self._array.shape[axis])

    def read(self, index: int, region: Box, channels: Sequence[int] | None) -> Pixels:
        """As `RawWindows.read`."""
        axes, shape = self._axes, self._array.shape
        x0, y0, x1, y1 = region
        where: list[Any] = [slice(None)] * len(shape)
        frame = np.unravel_index(index, [shape[axis] for axis in axes.frames] or [1])
        for axis, place in zip(axes.frames, frame, strict=False):
            where[axis] = int(place)
        where[axes.rows], where[axes.columns] = slice(y0, y1), slice(x0, x1)
        count = self.channel_count or 1
        if axes.channel is None:
            planes = self._at(where, axes.rows, axes.columns)[:, :, None]
        else:
            wanted = list(range(count)) if channels is None else list(dict.fromkeys(channels))
            low, high = min(wanted), max(wanted) + 1
            if high - low <= 2 * len(wanted):
                where[axes.channel] = slice(low, high)
                planes = self._at(where, axes.rows, axes.columns, axes.channel)
                planes = planes[:, :, [number - low for number in wanted]]
            else:
                parts = []
                for number in wanted:
                    where[axes.channel] = number
                    parts.append(self._at(where, axes.rows, axes.columns))
                planes = np.stack(parts, axis=-1)
            if channels is not None:
                planes = planes[:, :, [wanted.index(number) for number in channels]]
        alpha = channels is None and count == 4 and planes.dtype == np.uint8
        return Pixels(planes, 3 if alpha else planes.shape[2])

    def _at(self, where: list[Any], *order: int) -> NDArray[Any]:
        """Read, and bring the axes that are left into the order of `order`."""
        with reading(self.name, _ADVICE):
            values = np.asarray(self._array[tuple(where)])
        kept = [axis for axis, part in enumerate(where) if isinstance(part, slice)]
        return values.transpose([kept.index(axis) for axis in order])


class TiffFrames:
    """Windows of the pages of a TIFF that have the size of its first.

    Parameters
    ----------
    file, channel_axis, limits
        As `TiffWindows` takes them.
    """

    def __init__(self, file: Source, *, channel_axis: int | None, limits: Limits) -> None:
        self._windows = TiffWindows(file, channel_axis=channel_axis, limits=limits)
        self.name = self._windows.name
        height, width = self._windows.size(0)
        if self._windows.orientation(0) >= 5:
            height, width = width, height
        self._shape = (self._windows.equal_pages(), height, width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return self._shape

    @property
    def channel_count(self) -> int | None:
        """Unknown: a palette has one number and three colours."""
        return None

    @property
    def segments_decoded(self) -> int:
        """How many strips and tiles have been decoded until now."""
        return self._windows.segments_decoded

    def close(self) -> None:
        """Close the file."""
        self._windows.close()

    def read(self, index: int, region: Box, channels: Sequence[int] | None) -> Pixels:
        """As `RawWindows.read`."""
        orientation = self._windows.orientation(index)
        stored = _stored_region(region, orientation, self._windows.size(index))
        pixels = self._windows.read(index, stored)
        planes = pixels.planes[:, :, : pixels.colours]
        if channels is not None:
            if max(channels) >= pixels.planes.shape[2]:
                raise ImageError(
                    f"{self.name} has {pixels.planes.shape[2]} channels, so that `channels` must "
                    f"be one to three numbers from 0 to {pixels.planes.shape[2] - 1}, found "
                    f"{tuple(channels)}."
                )
            planes = pixels.planes[:, :, list(channels)]
        return Pixels(upright(planes, orientation), planes.shape[2], pixels.inverted)


def _stored_region(region: Box, orientation: int, size: tuple[int, int]) -> Box:
    """Where a region of the upright picture lies in the stored one of `size`."""
    x0, y0, x1, y1 = region
    if orientation >= 5:
        x0, y0, x1, y1 = y0, x0, y1, x1
    if orientation in (2, 3, 7, 8):
        x0, x1 = size[1] - x1, size[1] - x0
    if orientation in (3, 4, 6, 7):
        y0, y1 = size[0] - y1, size[0] - y0
    return x0, y0, x1, y1


def _check_chunks(name: str, array: Any) -> None:
    """A window costs at least a chunk."""
    chunks = getattr(array, "chunks", None)
    if not chunks:
        return
    sides = [max(side) if isinstance(side, tuple) else side for side in chunks]
    nbytes = math.prod(int(side) for side in sides) * np.dtype(array.dtype).itemsize
    if nbytes > _MOST_CHUNK_BYTES:
        raise LimitError(
            f"{name} is stored in chunks of {tuple(sides)}, {nbytes:,} bytes each, too large to "
            "read one by one: rechunk it, for example to 512 x 512."
        )
