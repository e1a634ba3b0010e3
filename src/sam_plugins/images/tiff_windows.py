"""Windows of TIFF pages: only the strips and tiles that a window meets are read and decoded.

What lies in one uncompressed piece is mapped into memory; everything else is decoded strip by strip
or tile by tile, and the last of them are kept, because neighbouring windows share them.
"""

import math
import os
import weakref
from collections import OrderedDict
from contextlib import ExitStack
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images.limits import Limits
from sam_plugins.images.reader import Pixels, Source, decoding, enough_memory, open_source
from sam_plugins.images.tiff import Stack, arranged, located, opened, pages_in
from sam_plugins.images.tiff_checks import check_jpeg, check_page
from sam_plugins.types import Box, Size

__all__ = ["TiffWindows"]

_MOST_SEGMENT_BYTES = 2**31
_KEPT_BYTES = 2**27


class TiffWindows:
    """A TIFF that stays open and is read by windows. Safe to share between threads.

    Parameters
    ----------
    file
        A path, the bytes of a file, or an open binary file.
    channel_axis
        As in `load_image`.
    limits
        What the file may claim; pages are never read whole, so that they may be large.

    Raises
    ------
    ImageError
        If it cannot be read.
    LimitError
        If it is larger than `limits` allow.
    """

    def __init__(self, file: Source, *, channel_axis: int | None, limits: Limits) -> None:
        self._channel_axis, self._limits = channel_axis, limits
        self._lock = Lock()
        self._segments: OrderedDict[tuple[int, int], NDArray[Any] | None] = OrderedDict()
        self._nbytes = 0
        self._checked: set[int] = set()
        self._path = os.fspath(file) if isinstance(file, str | os.PathLike) else None
        self._maps: dict[int, NDArray[Any]] = {}
        self._stacks: OrderedDict[int, tuple[Stack, int]] = OrderedDict()
        self.segments_decoded = 0
        with ExitStack() as stack:
            self._reader = stack.enter_context(open_source(file, limits))
            self.name = self._reader.name_in_messages
            with decoding(self.name, "TIFF"):
                self._tif = stack.enter_context(opened(self._reader, limits))
                self.pages = pages_in(self._reader, self._tif, channel_axis, limits)
            # A source is closed when nobody holds it any more; few who open one think of closing.
            self._close = weakref.finalize(self, stack.pop_all().close)

    def close(self) -> None:
        """Close the file now; otherwise that happens when nothing refers to this any more."""
        self._close()

    def size(self, page: int) -> Size:
        """(H, W) of a page as it is stored."""
        with self._lock, decoding(self.name, "TIFF"):
            series = self._located(page)[0].series
            height = int(series.shape[series.axes.index("Y")])
            width = int(series.shape[series.axes.index("X")])
        self._limits.check_size(self.name, height, width)
        return height, width

    def orientation(self, page: int) -> int:
        """EXIF orientation 1 to 8 of a page."""
        with self._lock, decoding(self.name, "TIFF"):
            found = self._located(page)[0].series.keyframe.tags.valueof(274, 1)
        return found if isinstance(found, int) and 1 <= found <= 8 else 1

    def equal_pages(self) -> int:
        """How many pages from the first on have its size: thumbnails and smaller copies follow."""
        if len(self._tif.series) == 1 and len(self._tif.series[0].levels) == 1:
            return self.pages
        first = self.size(0)
        return next((n for n in range(1, self.pages) if self.size(n) != first), self.pages)

    def read(self, page: int, region: Box) -> Pixels:
        """The pixels of `region`, xyxy within the page as it is stored.

        Raises
        ------
        ImageError
            If the file ends early or is damaged there.
        LimitError
            If a strip or tile that has to be decoded is larger than 2 GiB.
        """
        with self._lock, enough_memory(self.name), decoding(self.name, "TIFF"):
            stack, number = self._located(page)
            return arranged(self.name, stack, number, lambda i: self._block(stack, i, region))

    def _located(self, page: int) -> tuple[Stack, int]:
        if page not in self._stacks:
            found = located(self._reader, self._tif, page, self._channel_axis)
            self._stacks[page] = found
            while len(self._stacks) > 256:
                self._stacks.popitem(last=False)
        return self._stacks[page]

    def _block(self, stack: Stack, number: int, region: Box) -> NDArray[Any]:
        """A window of one stored block of a series, with the axes after `Stack.lead`."""
        series = stack.series
        shape = tuple(int(side) for side in series.shape[stack.lead :])
        axes = series.axes[stack.lead :]
        x0, y0, x1, y1 = region
        spans = {"Y": slice(y0, y1), "X": slice(x0, x1)}
        window = tuple(spans.get(letter, slice(None)) for letter in axes)
        if series.dataoffset is not None and self._path is not None:
            return np.array(self._mapped(series, number, shape)[window])
        page: Any = series[number]
        if page is None:
            raise ImageError(
                f"{self.name} keeps this page in another file: open that file, or save the stack "
                "as one."
            )
        if page.index not in self._checked:
            check_page(self._reader, page, self._limits, jpegs=False)
            self._checked.add(page.index)
        if series.dataoffset is not None or page.keyframe.is_contiguous:
            return self._rows(series, page, number, shape, axes, region)
        y, x = axes.index("Y"), axes.index("X")
        _, _, length, width, _ = page.keyframe.shaped
        if x != y + 1 or (shape[y], shape[x]) != (length, width):
            raise ImageError(
                f"{self.name} describes axes {axes} of shape {shape} that its strips or tiles of "
                f"{length} x {width} pixels do not follow: save it anew, with its metadata "
                "corrected."
            )
        pixels = self._decoded(page, region)
        return pixels.reshape(*shape[:y], y1 - y0, x1 - x0, *shape[x + 1 :])

    def _mapped(
        self, series: tifffile.TiffPageSeries, number: int, shape: tuple[int, ...]
    ) -> NDArray[Any]:
        offset, dtype = self._stored(series, number, shape)
        if offset not in self._maps:
            if len(self._maps) >= 64:
                self._maps.clear()
            path: Any = self._path
            self._maps[offset] = np.memmap(path, dtype, "r", offset, shape)
        return self._maps[offset]

    def _stored(
        self, series: tifffile.TiffPageSeries, number: int, shape: tuple[int, ...]
    ) -> tuple[int, np.dtype[Any]]:
        dtype: np.dtype[Any] = series.dtype.newbyteorder(self._tif.byteorder)
        nbytes = math.prod(shape) * dtype.itemsize
        offset = int(series.dataoffset or 0) + number * nbytes
        # The file may have been cut since it was opened; a map beyond its end kills the process.
        size = self._reader.size if self._path is None else os.stat(self._path).st_size
        if offset + nbytes > size:
            raise ImageError(
                f"{self.name} is truncated, its pixels would end beyond the end of the file: copy "
                "or download it again."
            )
        return offset, dtype

    def _rows(
        self,
        series: tifffile.TiffPageSeries,
        page: Any,
        number: int,
        shape: tuple[int, ...],
        axes: str,
        region: Box,
    ) -> NDArray[Any]:
        """A window of uncompressed pixels: full rows of each plane, then the columns of them."""
        dtype: np.dtype[Any] = series.dtype.newbyteorder(self._tif.byteorder)
        if series.dataoffset is not None:
            start, dtype = self._stored(series, number, shape)
        else:
            start = int(page.dataoffsets[0])
        x0, y0, x1, y1 = region
        y, x = axes.index("Y"), axes.index("X")
        planes, row = math.prod(shape[:y]), math.prod(shape[y + 1 :])
        found = np.empty((planes, y1 - y0, row), dtype)
        for plane in range(planes):
            self._reader.seek(start + (plane * shape[y] + y0) * row * dtype.itemsize)
            data = self._reader.exactly((y1 - y0) * row * dtype.itemsize)
            found[plane] = np.frombuffer(data, dtype).reshape(y1 - y0, row)
        whole = found.reshape(*shape[:y], y1 - y0, *shape[y + 1 :])
        return np.take(whole, range(x0, x1), axis=x) if (x0, x1) != (0, shape[x]) else whole

    def _decoded(self, page: Any, region: Box) -> NDArray[Any]:
        """(S, D, h, w, C) of a page, of the strips or tiles that the region meets."""
        keyframe = page.keyframe
        samples, depth, length, width, contiguous = keyframe.shaped
        x0, y0, x1, y1 = region
        found = np.full(
            (samples, depth, y1 - y0, x1 - x0, contiguous), keyframe.nodata, keyframe.dtype
        )
        high, wide, deep = _segment_sides(keyframe)
        if high * wide * deep * contiguous * keyframe.dtype.itemsize > _MOST_SEGMENT_BYTES:
            raise LimitError(
                f"{self.name} is compressed in pieces of {high} x {wide} pixels, too large to read "
                "one by one: save it anew with tiles, for example of 512 x 512."
            )
        down, across = math.ceil(length / high), math.ceil(width / wide)
        layers = math.ceil(depth / deep)
        for layer in range(samples * layers):
            for i in range(y0 // high, math.ceil(y1 / high)):
                for j in range(x0 // wide, math.ceil(x1 / wide)):
                    self._place(found, page, (layer * down + i) * across + j, region)
        return found

    def _place(self, found: NDArray[Any], page: Any, index: int, region: Box) -> None:
        segment, (s, d, y, x, c) = self._segment(page, index)
        if segment is None:
            return
        # Tiles reach beyond the page, and some writers cut the last ones there.
        high = min(segment.shape[1], page.keyframe.imagelength - y)
        wide = min(segment.shape[2], page.keyframe.imagewidth - x)
        x0, y0, x1, y1 = region
        top, bottom = max(y, y0), min(y + high, y1)
        left, right = max(x, x0), min(x + wide, x1)
        if top >= bottom or left >= right:
            return
        part = segment[: found.shape[1] - d, top - y : bottom - y, left - x : right - x]
        found[
            s, d : d + part.shape[0], top - y0 : bottom - y0, left - x0 : right - x0,
            c : c + part.shape[3],
        ] = part  # fmt: skip

    def _segment(self, page: Any, index: int) -> tuple[NDArray[Any] | None, Any]:
        """One strip or tile, (depth, length, width, C), and where it begins; None if all empty."""
        keyframe = page.keyframe
        key = (int(page.index), index)
        if key in self._segments:
            self._segments.move_to_end(key)
            return self._segments[key], keyframe.decode(None, index)[1]
        data: bytes | None = None
        if page.databytecounts[index]:
            self._reader.seek(int(page.dataoffsets[index]))
            data = self._reader.exactly(int(page.databytecounts[index]))
            check_jpeg(self.name, page, data, math.prod(_segment_sides(keyframe)))
        segment, position, _ = keyframe.decode(data, index, jpegtables=page.jpegtables)
        self.segments_decoded += 1
        self._segments[key] = segment
        self._nbytes += 0 if segment is None else segment.nbytes
        while self._nbytes > _KEPT_BYTES and len(self._segments) > 1:
            _, oldest = self._segments.popitem(last=False)
            self._nbytes -= 0 if oldest is None else oldest.nbytes
        return segment, position


def _segment_sides(keyframe: Any) -> tuple[int, int, int]:
    """Rows, columns and planes of a strip or tile."""
    if keyframe.is_tiled:
        return int(keyframe.tilelength), int(keyframe.tilewidth), max(1, int(keyframe.tiledepth))
    rows = int(keyframe.rowsperstrip or keyframe.imagelength)
    return min(rows, int(keyframe.imagelength)), int(keyframe.imagewidth), 1
