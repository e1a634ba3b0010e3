"""TIFF, by tifffile: pages and channels as the file's metadata name them.

Before anything is decoded the chain of pages is walked, and each page's size, strips and tiles are
held against the file, so that a damaged or hostile header costs no memory.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam_plugins.errors import ImageError
from sam_plugins.images.limits import Limits
from sam_plugins.images.reader import Pixels, Reader
from sam_plugins.images.tiff_checks import check_chain, check_page, is_plausible_ome
from sam_plugins.images.tiff_colours import as_pixels

__all__ = ["Stack", "arranged", "count_pages", "located", "opened", "pages_in", "read_page"]


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Planes of equal shape: a series of tifffile, and which of its axes holds channels.

    A series is stored in equal blocks, one after another or one per page of the file; `lead` axes
    count blocks, the rest lies within one.
    """

    series: tifffile.TiffPageSeries
    channel: int | None
    lead: int

    @property
    def page_axes(self) -> tuple[int, ...]:
        """The axes that count pages."""
        axes = self.series.axes
        inside = (axes.index("Y"), axes.index("X"), self.channel)
        return tuple(axis for axis in range(len(axes)) if axis not in inside)

    @property
    def pages(self) -> int:
        """How many pages."""
        return math.prod(self.series.shape[axis] for axis in self.page_axes)

    @property
    def blocks_per_page(self) -> int:
        """Stored blocks that one page takes its channels from."""
        apart = self.channel is not None and self.channel < self.lead
        return self.series.shape[self.channel] if apart and self.channel is not None else 1


def count_pages(reader: Reader, channel_axis: int | None, limits: Limits) -> int:
    """Pages: planes that are left when rows, columns and channels are taken out of the axes."""
    with opened(reader, limits) as tif:
        return pages_in(reader, tif, channel_axis, limits)


def pages_in(
    reader: Reader, tif: tifffile.TiffFile, channel_axis: int | None, limits: Limits
) -> int:
    """As `count_pages`, of a file that is open."""
    if _is_plain(tif, channel_axis):
        return len(tif.pages)
    stacks = [_stack(reader, series, channel_axis) for series in tif.series]
    pages = sum(stack.pages for stack in stacks)
    limits.check_pages(reader.name_in_messages, pages)
    return pages


def read_page(reader: Reader, page: int, channel_axis: int | None, limits: Limits) -> Pixels:
    """Decode one page.

    Without metadata a page is a directory of the file, in the file's order. With OME, ImageJ or
    tifffile metadata, the axis of samples ("S"), or else of channels ("C"), holds the channels
    and every other axis but rows and columns counts pages, the last fastest; series follow each
    other.
    """
    with opened(reader, limits) as tif:
        stack, number = located(reader, tif, page, channel_axis)
        series, lead = stack.series, stack.lead
        shape, axes, name = series.shape, series.axes, reader.name_in_messages
        limits.check_size(name, shape[axes.index("Y")], shape[axes.index("X")])
        blocks = stack.blocks_per_page
        limits.check_bytes(name, blocks * math.prod(shape[lead:]) * series.dtype.itemsize)
        return arranged(
            name, stack, number, lambda i: _block(reader, tif, series, i, shape[lead:], limits)
        )


def located(
    reader: Reader, tif: tifffile.TiffFile, page: int, channel_axis: int | None
) -> tuple[Stack, int]:
    """The stack that holds a page, and which page of the stack it is.

    Raises
    ------
    ImageError
        If there is no such page.
    """
    if _is_plain(tif, channel_axis):
        pages = len(tif.pages)
        if 0 <= page < pages:
            directory = tif.pages[page].aspage()
            series = tifffile.TiffPageSeries(
                [directory], directory.shape, directory.dtype, directory.axes, parent=tif
            )
            return _stack(reader, series, None), 0
    else:
        pages, left = 0, page
        for series in tif.series:
            stack = _stack(reader, series, channel_axis)
            if 0 <= left < stack.pages:
                return stack, left
            left -= stack.pages
            pages += stack.pages
    raise ImageError(f"{reader.name_in_messages} has pages 0 to {pages - 1}, found page={page}.")


@contextmanager
def opened(reader: Reader, limits: Limits) -> Iterator[tifffile.TiffFile]:
    """The file, its chain of pages checked; OME metadata that are not plausible are ignored."""
    check_chain(reader, limits)
    reader.seek(0)
    with tifffile.TiffFile(reader.as_file(), _multifile=False) as tif:
        if not tif.is_ome or is_plausible_ome(tif.pages.first.description):
            yield tif
            return
    reader.seek(0)
    with tifffile.TiffFile(reader.as_file(), _multifile=False, is_ome=False) as tif:
        yield tif


def _is_plain(tif: tifffile.TiffFile, channel_axis: int | None) -> bool:
    """Whether the file is pages without metadata that say how they belong together."""
    return (
        channel_axis is None
        and len(tif.pages) > 1
        and all(series.kind in ("uniform", "generic") for series in tif.series)
    )


def _stack(reader: Reader, series: tifffile.TiffPageSeries, channel_axis: int | None) -> Stack:
    name, axes, shape = reader.name_in_messages, series.axes, series.shape
    if axes.count("Y") != 1 or axes.count("X") != 1 or 0 in shape:
        raise ImageError(
            f"{name} holds data with axes {axes or 'none'} and shape {tuple(shape)}, which is not "
            "a picture of rows and columns."
        )
    channel: int | None
    if channel_axis is not None:
        channel = channel_axis + len(axes) if channel_axis < 0 else channel_axis
        if not 0 <= channel < len(axes) or axes[channel] in "YX":
            raise ImageError(
                f"{name} has axes {axes} of shape {tuple(shape)}, and channel_axis={channel_axis} "
                "is none of them, or its rows or columns: choose another, or leave it out."
            )
    else:
        channel = next((axes.index(letter) for letter in "SC" if letter in axes), None)
    return Stack(series, channel, _lead(name, series))


def _lead(name: str, series: tifffile.TiffPageSeries) -> int:
    """How many leading axes count stored blocks."""
    axes, shape = series.axes, series.shape
    most = min(axes.index("Y"), axes.index("X"))
    if series.dataoffset is not None:
        return most
    stored = math.prod(series.keyframe.shape)
    for lead in range(most, -1, -1):
        if math.prod(shape[lead:]) == stored and math.prod(shape[:lead]) == len(series):
            return lead
    raise ImageError(
        f"{name} describes axes {axes} of shape {tuple(shape)} that its {len(series)} pages of "
        f"shape {series.keyframe.shape} do not fill: save it anew, with its metadata corrected."
    )


def arranged(name: str, stack: Stack, page: int, block: Callable[[int], NDArray[Any]]) -> Pixels:
    """One page of a stack as (H, W, C), from the stored blocks it lies in.

    Parameters
    ----------
    name
        Of the file, in messages.
    stack, page
        As `located` gives them.
    block
        Number of a stored block -> its array with the axes after `Stack.lead`. Its rows and
        columns may be a window of the page.
    """
    series, channel, lead = stack.series, stack.channel, stack.lead
    shape, axes = series.shape, series.axes
    position = dict(
        zip(
            stack.page_axes,
            np.unravel_index(page, [shape[axis] for axis in stack.page_axes] or [1]),
            strict=False,
        )
    )
    inner = tuple(position.get(axis, slice(None)) for axis in range(lead, len(axes)))
    planes = []
    for number in range(stack.blocks_per_page):
        outer = [int(position.get(axis, number)) for axis in range(lead)]
        planes.append(block(int(np.ravel_multi_index(outer, shape[:lead])) if lead else 0)[inner])
    stacked = channel is not None and channel < lead
    array = np.stack(planes) if stacked else planes[0]

    kept = [axis for axis in range(len(axes)) if axis not in stack.page_axes]
    order = [kept.index(axes.index("Y")), kept.index(axes.index("X"))]
    if channel is not None:
        order.append(kept.index(channel))
    array = array.transpose(order)
    if channel is None:
        array = array[:, :, None]
    samples = channel is not None and axes[channel] == "S"
    return as_pixels(name, array, series.keyframe, samples=samples)


def _block(
    reader: Reader,
    tif: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    number: int,
    shape: tuple[int, ...],
    limits: Limits,
) -> NDArray[Any]:
    """One stored block of a series, with the shape of its axes."""
    name = reader.name_in_messages
    if series.dataoffset is not None:
        count = math.prod(shape)
        start = series.dataoffset + number * count * series.dtype.itemsize
        if start + count * series.dtype.itemsize > reader.size:
            raise ImageError(
                f"{name} is truncated, its pixels would end beyond the end of the file: copy or "
                "download it again."
            )
        dtype = series.dtype.newbyteorder(tif.byteorder)
        return tif.filehandle.read_array(dtype, count, start).reshape(shape)
    page = series[number]
    if page is None:
        raise ImageError(
            f"{name} keeps this page in another file: open that file, or save the stack as one."
        )
    check_page(reader, page, limits)
    return np.asarray(page.asarray()).reshape(shape)
