"""Outlines of masks along the edges of pixels: exact, so that filling them gives the mask back.

The corner of the first pixel is (0, 0) and its centre (0.5, 0.5): GeoJSON and ImageJ count so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from sam_plugins.errors import ImageError
from sam_plugins.types import Box

__all__ = ["Outline", "Ring", "checked_ring", "fill_rings", "mask_outlines"]

Ring: TypeAlias = NDArray[np.int64]
"""(N, 2) xy corners of a closed line, the first not repeated at the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One piece of a mask: pixels that hang together by their sides.

    Parameters
    ----------
    exterior
        (N, 2) int64 xy, in the direction in which (x, y) have a positive area.
    holes
        Rings in the other direction. They may touch the exterior and each other at corners.
    """

    exterior: Ring
    holes: tuple[Ring, ...]


def mask_outlines(mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[Outline]:
    """The outlines of a mask, piece by piece, in the order of their first pixels.

    Parameters
    ----------
    mask
        (h, w) bool.
    origin
        xy of its first pixel in the whole image.

    Returns
    -------
    Every ring is simple: it meets no corner twice. Pieces that touch only at a corner are two, so
    that the outlines are valid polygons.
    """
    padded = np.pad(np.asarray(mask, bool), 1)
    pieces, count = ndimage.label(padded)
    if not count:
        return []
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for ring, pixel in _rings(padded):
        piece = int(pieces[pixel])
        moved = ring + (np.asarray(origin) - 1)
        if _signed_area(ring) > 0:
            exteriors[piece] = moved
        else:
            holes.setdefault(piece, []).append(moved)
    return [Outline(exteriors[piece], tuple(holes.get(piece, ()))) for piece in range(1, count + 1)]


def _rings(padded: NDArray[np.bool_]) -> list[tuple[Ring, tuple[int, int]]]:
    """Simple rings, each with the (row, column) of a pixel of the mask that it runs along.

    Corner (y, x) lies between the pixels (y - 1, x - 1) and (y, x). Where two pixels of the mask
    touch only there, it is two corners, each with its own pixel.
    """
    nw, ne = padded[:-1, :-1], padded[:-1, 1:]
    sw, se = padded[1:, :-1], padded[1:, 1:]
    odd = nw ^ ne ^ sw ^ se
    rising, falling = ne & sw & ~nw & ~se, nw & se & ~ne & ~sw
    single, double_up, double_down = (np.argwhere(found) for found in (odd, rising, falling))
    # The corners of a row are the ends of its horizontal edges in turn, those of a column the ends
    # of its vertical ones. At a double corner the one to the left ends the edge to the left; it
    # goes on upwards if its pixel lies above.
    corners = np.concatenate((single, double_up, double_up, double_down, double_down))
    n, up, down = len(single), len(double_up), len(double_down)
    right = np.concatenate((np.zeros(n + up), np.ones(up), np.zeros(down), np.ones(down)))
    below = np.concatenate((np.zeros(n), np.ones(up), np.zeros(up), np.zeros(down), np.ones(down)))
    along_row = _partners(np.lexsort((right, corners[:, 1], corners[:, 0])))
    along_column = _partners(np.lexsort((below, corners[:, 0], corners[:, 1])))
    rows, columns = corners[:, 0].tolist(), corners[:, 1].tolist()
    across, down_or_up = along_row.tolist(), along_column.tolist()
    seen = np.zeros(len(corners), bool)
    found: list[tuple[Ring, tuple[int, int]]] = []
    for first in range(len(corners)):
        if seen[first]:
            continue
        other = across[first]
        left, end = (first, other) if columns[first] < columns[other] else (other, first)
        y, x = rows[left] + 1, columns[left] + 1
        # Walk with the mask on the right hand: along its upper edge to the right.
        inside = bool(padded[y, x])
        place, walk = (left if inside else end), []
        begin = place
        while True:
            partner = across[place]
            walk += [place, partner]
            seen[place] = seen[partner] = True
            place = down_or_up[partner]
            if place == begin:
                break
        points = [(columns[place], rows[place]) for place in walk]
        # A ring's pixel: all of one walk run along the same piece of the mask.
        pixel = (y if inside else y - 1, x)
        found += [(np.array(ring, np.int64) + 1, pixel) for ring in _simple(points)]
    return found


def _partners(order: NDArray[np.int64]) -> NDArray[np.int64]:
    partners = np.empty_like(order)
    partners[order[::2]], partners[order[1::2]] = order[1::2], order[::2]
    return partners


def _simple(points: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Cut a closed walk where it meets itself."""
    if len(set(points)) == len(points):
        return [points]
    rings, stack, places = [], list[tuple[int, int]](), dict[tuple[int, int], int]()
    for point in points:
        if point in places:
            start = places[point]
            rings.append(stack[start:])
            for passed in stack[start:]:
                del places[passed]
            del stack[start:]
        places[point] = len(stack)
        stack.append(point)
    return [*rings, stack]


def _signed_area(ring: Ring) -> int:
    x, y = ring.T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def checked_ring(values: ArrayLike) -> NDArray[np.float64]:
    """A ring as (N, 2) float64 xy.

    Raises
    ------
    ImageError
        If it is not a list of at least three finite xy pairs.
    """
    ring = np.asarray(values, np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not np.isfinite(ring).all():
        raise ImageError(
            f"A ring needs at least three finite xy pairs, found an array of {ring.shape}."
        )
    return ring


def fill_rings(rings: Sequence[ArrayLike], box: Box) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside an odd number of rings.

    Parameters
    ----------
    rings
        (N, 2) xy each, corners at whole numbers or anywhere else; closed by themselves.
    box
        xyxy of the part of the image that is wanted.

    Returns
    -------
    (y1 - y0, x1 - x0) bool.

    Raises
    ------
    ImageError
        If a ring is not a list of at least three finite xy pairs.
    """
    x0, y0, x1, y1 = box
    height, width = y1 - y0, x1 - x0
    flips = np.zeros((height, width + 1), np.int64)
    for values in rings:
        one = checked_ring(values) - (x0, y0)
        other = np.roll(one, -1, axis=0)
        # From the upper end down: an edge is crossed at the same place whichever way it is walked.
        rising = (other[:, 1] < one[:, 1])[:, None]
        start, end = np.where(rising, other, one), np.where(rising, one, other)
        low, high = start[:, 1], end[:, 1]
        # Rows whose centre lies in [low, high), so that a corner on a centre counts once.
        top = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
        counts = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64) - top
        edge = np.repeat(np.arange(len(one)), counts)
        first = np.cumsum(counts) - counts
        row = np.arange(len(edge)) - first[edge] + top[edge]
        run, rise = (end - start)[edge].T
        crossing = start[edge, 0] + (row + 0.5 - start[edge, 1]) / rise * run
        column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
        np.add.at(flips, (row, column), 1)
    inside: NDArray[np.bool_] = (np.cumsum(flips, axis=1)[:, :width] & 1).astype(bool)
    return inside
