"""Rings straight to run lengths: no picture of the mask is made, however large it is."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.formats.outlines import checked_ring
from sam_plugins.formats.rle import runs_to_rle
from sam_plugins.types import Rle, Size

__all__ = ["MOST_CROSSINGS", "count_crossings", "rings_to_rle"]

MOST_CROSSINGS = 2**25
"""Half a gigabyte of memory, for a moment."""

_FARTHEST = 2.0**40
_AT_ONCE = 2**20


def rings_to_rle(
    rings: Sequence[ArrayLike], size: Size, *, max_crossings: int = MOST_CROSSINGS
) -> Rle:
    """The pixels whose centres lie inside an odd number of rings, as run lengths.

    Parameters
    ----------
    rings
        (N, 2) xy each in pixels of the image, the corner of the first pixel at (0, 0); closed by
        themselves. What lies outside the image is left out.
    size
        (H, W) of the image.
    max_crossings
        How often rings may cross the middle of a column of pixels, see `count_crossings`. Time and
        memory depend on this alone.

    Raises
    ------
    ImageError
        If a ring is not a list of at least three finite xy pairs.
    LimitError
        If there are more crossings.
    """
    checked = [_near(ring) for ring in rings]
    found = sum(int(_columns(ring, size[1])[1].sum()) for ring in checked)
    if found > max_crossings:
        raise LimitError(
            f"The outline crosses {found:,} columns of pixels and at most {max_crossings:,} are "
            "allowed here: simplify it, or use run lengths instead."
        )
    height, width = size
    flips: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for ring in checked:
        flips += _crossings(ring, (height, width))
    # Where two rings, or both ways of a slit, cross a column at the same place, nothing changes.
    places, times = np.unique(np.concatenate(flips), return_counts=True)
    edges = places[times % 2 == 1]
    runs = np.diff(edges, prepend=0, append=height * width).astype(np.int64)
    return runs_to_rle(runs[:-1] if runs[-1] == 0 and len(runs) > 1 else runs, size)


def count_crossings(rings: Sequence[ArrayLike], size: Size) -> int:
    """How often rings cross the middle of a column of pixels of an image of `size` (H, W).

    Raises
    ------
    ImageError
        As `rings_to_rle`.
    """
    return sum(int(_columns(_near(ring), size[1])[1].sum()) for ring in rings)


def _near(values: ArrayLike) -> NDArray[np.float64]:
    ring = checked_ring(values)
    if np.abs(ring).max() > _FARTHEST:
        raise ImageError("A ring lies so far from its image that it cannot be computed with.")
    return ring


def _columns(ring: NDArray[np.float64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each edge the first column whose middle it crosses, and how many."""
    x, following = ring[:, 0], np.roll(ring[:, 0], -1)
    low, high = np.minimum(x, following), np.maximum(x, following)
    first = np.clip(np.ceil(low - 0.5), 0, width).astype(np.int64)
    return first, np.clip(np.ceil(high - 0.5), 0, width).astype(np.int64) - first


def _crossings(ring: NDArray[np.float64], size: Size) -> Iterator[NDArray[np.int64]]:
    """Where pixels change, column by column, some edges at a time."""
    height, width = size
    first, counts = _columns(ring, width)
    other = np.roll(ring, -1, axis=0)
    # From the left end to the right: both ways along an edge cross a column at the same place.
    backwards = (other[:, 0] < ring[:, 0])[:, None]
    start, end = np.where(backwards, other, ring), np.where(backwards, ring, other)
    total = np.cumsum(counts)
    begin = 0
    while begin < len(ring):
        done = int(total[begin - 1]) if begin else 0
        stop = max(int(np.searchsorted(total, done + _AT_ONCE, side="right")), begin + 1)
        edge = np.repeat(np.arange(begin, stop), counts[begin:stop])
        column = np.arange(len(edge)) + done - (total - counts)[edge] + first[edge]
        run, rise = (end - start)[edge].T
        crossing = start[edge, 1] + (column + 0.5 - start[edge, 0]) / run * rise
        row = np.clip(np.ceil(crossing - 0.5), 0, height).astype(np.int64)
        yield column * height + row
        begin = stop
