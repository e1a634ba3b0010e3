"""Several rings as one: what a single ring cannot hold is joined to it by a slit without width.

A slit is a line to the other ring and back again. Filling the one ring, by either of the usual
rules, then gives what filling all of them gave.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["Corners", "joined_ring"]

Corners = NDArray[np.float64]
"""(N, 2) xy corners of a closed line, the first not repeated at the end."""


def joined_ring(rings: Sequence[Corners]) -> Corners:
    """One ring that walks to each of the others by a short way between corners, and back.

    Parameters
    ----------
    rings
        (N, 2) float64 xy each, at least one. The walk begins at the first corner of the first one;
        the others are joined nearest first, each to what is joined already.

    Returns
    -------
    (N, 2) float64 xy. Both ways of a slit have the same ends, so that they cancel exactly.
    """
    if len(rings) == 1:
        return rings[0]
    first, *others = rings
    tree = cKDTree(first)
    nearest_first = sorted(others, key=lambda ring: float(tree.query(ring)[0].min()))
    ordered = [first, *nearest_first]
    starts = np.cumsum([0, *(len(ring) for ring in ordered)]).tolist()
    return np.concatenate(ordered)[_walk(starts, _slits(ordered, starts))]


def _slits(rings: Sequence[Corners], starts: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Corner of an earlier ring -> the rings that are joined there, each with its own corner.

    Corners are numbered through all rings. Those of earlier rings are in several search trees, of
    which two are made one when they have grown alike: so each corner moves a few times only.
    """
    corners = np.concatenate(rings)
    trees = [(cKDTree(rings[0]), 0, starts[1])]
    slits: dict[int, list[tuple[int, int]]] = {}
    for number in range(1, len(rings)):
        begin, end = starts[number], starts[number + 1]
        best = (np.inf, 0, 0)
        for tree, offset, _ in trees:
            distances, places = tree.query(rings[number])
            own = int(np.argmin(distances))
            best = min(best, (float(distances[own]), offset + int(places[own]), begin + own))
        slits.setdefault(best[1], []).append((number, best[2]))
        while trees and trees[-1][2] - trees[-1][1] <= end - begin:
            begin = trees.pop()[1]
        trees.append((cKDTree(corners[begin:end]), begin, end))
    return slits


def _walk(starts: Sequence[int], slits: dict[int, list[tuple[int, int]]]) -> NDArray[np.int64]:
    """The corners in the order of the walk."""
    at = np.array(sorted(slits), np.int64)
    pieces: list[NDArray[np.int64]] = []
    waiting: list[NDArray[np.int64] | tuple[int, int]] = [(0, 0)]
    while waiting:
        step = waiting.pop()
        if not isinstance(step, tuple):
            pieces.append(step)
            continue
        number, entry = step
        begin, end = starts[number], starts[number + 1]
        low, high = np.searchsorted(at, (begin, end))
        leaves = at[low:high]
        leaves = np.concatenate((leaves[leaves >= entry], leaves[leaves < entry])).tolist()
        steps: list[NDArray[np.int64] | tuple[int, int]] = []
        place = entry
        for leave in leaves:
            steps.append(_round(place, leave, begin, end))
            for slit in slits[leave]:
                steps += [slit, np.array([leave])]
            place = leave + 1 if leave + 1 < end else begin
        if not leaves or place != entry:
            last = entry - 1 if entry > begin else end - 1
            steps.append(_round(place, last, begin, end))
        if number:
            steps.append(np.array([entry]))
        waiting += reversed(steps)
    return np.concatenate(pieces)


def _round(first: int, last: int, begin: int, end: int) -> NDArray[np.int64]:
    """The corners of a ring from one to another, both included."""
    if first <= last:
        return np.arange(first, last + 1)
    return np.concatenate((np.arange(first, end), np.arange(begin, last + 1)))
