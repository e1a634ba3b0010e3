"""One object, one number: what neighbouring tiles found is matched where they overlap.

Two masks are the same object where their pixels in the overlap of their tiles agree. Of an object
that some tile shows whole that mask is kept and the others go; an object that no tile shows whole
is the union of its pieces.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from sam_plugins.automatic import AutomaticSettings, Progress
from sam_plugins.automatic.suppression import touches_border
from sam_plugins.tiling.grid import TileGrid, meets
from sam_plugins.tiling.objects import FoundTiles, TileObject, finished
from sam_plugins.types import Box

__all__ = ["JoinedObject", "join_tiles", "wanted_objects"]

_SAME_IOU = 0.5
_PIECE_SHARE = 0.8
_LEAST_PIECE = 0.15
_NEAR_PARTS = 128
_WHOLE_SHARE = 0.5

Key = tuple[int, int]
"""Number of a tile and of an object in it."""


@dataclass(frozen=True, slots=True)
class JoinedObject:
    """One object of the picture.

    Parameters
    ----------
    pieces
        The masks that it is the union of: (tile, number in the tile). The number after the last
        tile stands for masks that were asked for again.
    box
        xyxy, x1 and y1 exclusive.
    area
        Pixels; of several pieces the sum, in which what they share counts twice.
    predicted_iou
        Of the piece kept; of several the lowest.
    open
        Whether a piece ends at the edge of its tile and no other goes on there.
    """

    pieces: tuple[Key, ...]
    box: Box
    area: int
    predicted_iou: float
    open: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """What has to be remembered of an object once its pixels are forgotten."""

    box: Box
    area: int
    predicted_iou: float
    cut: bool
    at_home: bool


def join_tiles(grid: TileGrid, tiles: FoundTiles) -> Iterator[Progress | list[JoinedObject]]:
    """Match the objects of all tiles.

    Holds the masks of a few rows of tiles at a time, and a few numbers for every object.

    Parameters
    ----------
    grid
        The tiles.
    tiles
        What was found, of every tile.

    Yields
    ------
    Progress, then the objects
        In order of the tiles that they were found in first.
    """
    load = lru_cache(maxsize=3 * grid.counts[1] + 3)(partial(finished, tiles))
    pieces: dict[Key, _Piece] = {}
    same = _Groups()
    for number in range(len(grid)):
        yield Progress(number, len(grid), "Joining objects")
        objects = load(number)
        for i, found in enumerate(objects):
            pieces[number, i] = _remembered(grid, number, found)
        region = grid.region(number)
        for other in grid.meeting(region):
            overlap = meets(region, grid.region(other))
            if other > number and overlap is not None:
                for i, j in _matches(objects, load(other), overlap):
                    same.join((number, i), (other, j))
    groups: dict[Key, list[Key]] = defaultdict(list)
    for key in pieces:
        groups[same.root(key)].append(key)
    yield [_decided(grid, keys, pieces) for keys in groups.values()]


def _remembered(grid: TileGrid, number: int, found: TileObject) -> _Piece:
    x0, y0, x1, y1 = found.box
    at_home = grid.at((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2) == number
    return _Piece(found.box, found.area, found.predicted_iou, found.cut, at_home)


def _matches(
    first: Sequence[TileObject], second: Sequence[TileObject], overlap: Box
) -> list[tuple[int, int]]:
    """Which objects of two tiles are the same, by what both see of them in the overlap."""
    seen = [[_inside(found, overlap) for found in objects] for objects in (first, second)]
    agreeing: list[tuple[float, int, int]] = []
    holding: list[tuple[float, int, int, bool]] = []
    for i, one in enumerate(seen[0]):
        if one is None:
            continue
        for j, other in enumerate(seen[1]):
            if other is None or meets(one[0], other[0]) is None:
                continue
            shared = _shared(first[i], second[j], overlap)
            if not shared:
                continue
            iou = shared / (one[1] + other[1] - shared)
            if iou >= _SAME_IOU:
                agreeing.append((iou, i, j))
            share = shared / min(one[1], other[1])
            smaller_is_first = one[1] < other[1]
            # Much less than what holds it is rather a thing in it, as a nucleus in a cell.
            large_enough = min(one[1], other[1]) >= _LEAST_PIECE * max(one[1], other[1])
            piece = first[i] if smaller_is_first else second[j]
            if share >= _PIECE_SHARE and large_enough and piece.cut:
                holding.append((share, i, j, smaller_is_first))
    matched: list[tuple[int, int]] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in sorted(agreeing, reverse=True):
        if i not in taken[0] and j not in taken[1]:
            matched.append((i, j))
            taken[0].add(i)
            taken[1].add(j)
    # One object may come in two pieces in the neighbour's window: a piece that the edge cut off
    # and that has no counterpart of its own belongs to the object that holds it.
    for _, i, j, smaller_is_first in sorted(holding, reverse=True):
        number, side = (i, 0) if smaller_is_first else (j, 1)
        if number not in taken[side]:
            matched.append((i, j))
            taken[side].add(number)
    return matched


def _inside(found: TileObject, overlap: Box) -> tuple[Box, int] | None:
    """Box and pixels of what lies in the overlap."""
    part = meets(found.box, overlap)
    if part is None:
        return None
    count = int(np.count_nonzero(found.inside(part)))
    return (part, count) if count else None


def _shared(first: TileObject, second: TileObject, overlap: Box) -> int:
    part = meets(first.box, second.box)
    part = None if part is None else meets(part, overlap)
    if part is None:
        return 0
    return int(np.count_nonzero(first.inside(part) & second.inside(part)))


def _decided(grid: TileGrid, keys: list[Key], pieces: dict[Key, _Piece]) -> JoinedObject:
    """The best mask that shows an object whole, or all of its pieces."""
    largest = max(pieces[key].area for key in keys)
    whole = [
        key for key in keys if not pieces[key].cut and pieces[key].area >= _WHOLE_SHARE * largest
    ]
    if whole:
        keys = [max(whole, key=lambda key: (pieces[key].at_home, pieces[key].predicted_iou))]
    boxes = np.array([pieces[key].box for key in keys])
    low, high = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
    return JoinedObject(
        pieces=tuple(keys),
        box=(low[0], low[1], high[0], high[1]),
        area=sum(pieces[key].area for key in keys),
        predicted_iou=min(pieces[key].predicted_iou for key in keys),
        open=not whole and _is_open(grid, [(key[0], pieces[key].box) for key in keys]),
    )


def _is_open(grid: TileGrid, pieces: list[tuple[int, Box]]) -> bool:
    """Whether a piece ends at a side of its window, and no tile that looks beyond it has one there.

    Parameters
    ----------
    grid
        The tiles.
    pieces
        Number of the tile and box of each.
    """
    near = max(1, grid.tile // _NEAR_PARTS)
    seen = [(grid.region(tile), box) for tile, box in pieces]
    for region, box in seen:
        for axis in (0, 1):
            start, end = region[axis], region[axis + 2]
            if start > 0 and box[axis] - start < near:
                beyond = [other for window, other in seen if window[axis] < start]
                if not any(other[axis] < start + near for other in beyond):
                    return True
            if end < grid.size[1 - axis] and end - box[axis + 2] < near:
                beyond = [other for window, other in seen if window[axis + 2] > end]
                if not any(other[axis + 2] > end - near for other in beyond):
                    return True
    return False


def wanted_objects(
    joined: list[JoinedObject], grid: TileGrid, settings: AutomaticSettings
) -> list[JoinedObject]:
    """Those within `min_area`, `max_area`, `exclude_border` and `max_masks`, in order."""
    kept = [
        found
        for found in joined
        if found.area >= settings.min_area
        and (settings.max_area is None or found.area <= settings.max_area)
        and not (settings.exclude_border and touches_border(found.box, grid.size))
    ]
    if settings.max_masks is not None and len(kept) > settings.max_masks:
        order = sorted(range(len(kept)), key=lambda i: -kept[i].predicted_iou)
        kept = [kept[i] for i in sorted(order[: settings.max_masks])]
    return kept


class _Groups:
    """Union-find."""

    def __init__(self) -> None:
        self._parents: dict[Key, Key] = {}

    def root(self, key: Key) -> Key:
        while (parent := self._parents.get(key, key)) != key:
            self._parents[key] = self._parents.get(parent, parent)
            key = parent
        return key

    def join(self, first: Key, second: Key) -> None:
        one, other = sorted((self.root(first), self.root(second)))
        self._parents[other] = one
