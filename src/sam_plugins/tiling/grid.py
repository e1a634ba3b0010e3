"""Where tiles lie: windows that overlap, and cores that do not.

Each tile is a window of the picture. Its *core* is the part that no other tile answers for; around
the core it sees `halo` pixels more, except at the edges of the picture. The cores cover the picture
once, so that every pixel has exactly one tile whose view of it reaches `halo` pixels further.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sam_plugins.errors import ImageError
from sam_plugins.types import Box, Size

__all__ = ["Extent", "TileGrid", "automatic_tile", "centred", "hull", "margin_of", "meets"]

Extent = tuple[float, float, float, float]
"""xyxy in pixels, x1 and y1 inclusive for points: where something lies."""

_LEAST_TILE = 1024
_HALO_PARTS = 6
_HALO_MULTIPLE = 32


def automatic_tile(image_size: int) -> tuple[int, int]:
    """Side of a tile and its halo, for a model that sees pictures of `image_size` pixels.

    A tile is as large as what the model sees, so that nothing is shrunk, and at least 1024 pixels:
    a smaller window shows too little around an object. A model that sees fewer gets it shrunk. The
    halo is about a sixth: objects of up to a third of a tile are whole in one tile.
    """
    tile = max(image_size, _LEAST_TILE)
    return tile, max(1, tile // _HALO_PARTS // _HALO_MULTIPLE * _HALO_MULTIPLE)


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles of one picture, numbered row by row.

    Parameters
    ----------
    size
        (H, W) of the picture.
    tile
        Side of a tile; a side of the picture that is shorter is taken whole.
    halo
        Pixels around the core, at most a quarter of `tile`.

    Raises
    ------
    ImageError
        If the numbers do not fit each other.
    """

    size: Size
    tile: int
    halo: int

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ImageError(f"A picture to tile must have pixels, found size {self.size}.")
        if self.tile < 1 or not 0 <= self.halo <= self.tile // 4:
            raise ImageError(
                "A tile must have pixels and a halo of at most a quarter of its side, found tile "
                f"{self.tile} and halo {self.halo}: choose a smaller halo or larger tiles."
            )

    @property
    def step(self) -> int:
        """Distance from one tile to the next."""
        return self.tile - 2 * self.halo

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles along y and along x."""
        down, across = (
            1 if side <= self.tile else math.ceil((side - self.tile) / self.step) + 1
            for side in self.size
        )
        return down, across

    def __len__(self) -> int:
        return self.counts[0] * self.counts[1]

    def region(self, number: int) -> Box:
        """The window of a tile, xyxy. All have the same sides: the last ones are moved inwards."""
        i, j = divmod(number, self.counts[1])
        (y0, y1), (x0, x1) = self._span(0, i), self._span(1, j)
        return x0, y0, x1, y1

    def core(self, number: int) -> Box:
        """The part of the picture that a tile answers for, xyxy."""
        i, j = divmod(number, self.counts[1])
        (y0, y1), (x0, x1) = self._core_span(0, i), self._core_span(1, j)
        return x0, y0, x1, y1

    def at(self, x: float, y: float) -> int:
        """The tile whose core holds a point; of a point outside the picture the nearest one."""
        i, j = (
            min(max(int((position - self.halo) // self.step), 0), count - 1)
            for position, count in zip((y, x), self.counts, strict=True)
        )
        return i * self.counts[1] + j

    def meeting(self, region: Box) -> Iterator[int]:
        """Numbers of the tiles whose windows meet a region, in order."""
        x0, y0, x1, y1 = region
        rows = self._meeting(0, y0, y1)
        columns = self._meeting(1, x0, x1)
        for i in rows:
            for j in columns:
                yield i * self.counts[1] + j

    def _span(self, axis: int, position: int) -> tuple[int, int]:
        side = min(self.tile, self.size[axis])
        start = min(position * self.step, self.size[axis] - side)
        return start, start + side

    def _core_span(self, axis: int, position: int) -> tuple[int, int]:
        first, last = position == 0, position == self.counts[axis] - 1
        start = 0 if first else position * self.step + self.halo
        end = self.size[axis] if last else (position + 1) * self.step + self.halo
        return start, end

    def _meeting(self, axis: int, low: int, high: int) -> list[int]:
        count = self.counts[axis]
        first = max(0, (low - self.tile) // self.step)
        last = min(count - 1, high // self.step)
        around = sorted({*range(first, last + 1), count - 1})
        spans = [(number, self._span(axis, number)) for number in around]
        return [number for number, (start, end) in spans if start < high and low < end]


def margin_of(region: Box, extent: Extent, size: Size) -> float:
    """Least distance from what lies at `extent` to a side of the window; negative if it is outside.

    Sides that are the picture's own do not count: nothing is hidden behind them.
    """
    height, width = size
    x0, y0, x1, y1 = region
    left, top, right, bottom = extent
    distances = [math.inf]
    if x0 > 0:
        distances.append(left - x0)
    if y0 > 0:
        distances.append(top - y0)
    if x1 < width:
        distances.append(x1 - right)
    if y1 < height:
        distances.append(y1 - bottom)
    return min(distances)


def centred(extent: Extent, side: int, size: Size) -> Box:
    """A window of `side` pixels around the middle of `extent`, moved to lie within the picture."""
    left, top, right, bottom = extent
    spans = []
    for middle, length in (((left + right) / 2, size[1]), ((top + bottom) / 2, size[0])):
        room = min(side, length)
        start = min(max(round(middle - room / 2), 0), length - room)
        spans.append((start, start + room))
    (x0, x1), (y0, y1) = spans
    return x0, y0, x1, y1


def hull(first: Extent, second: Extent) -> Extent:
    """The smallest box around two."""
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def meets(first: Box, second: Box) -> Box | None:
    """Where two boxes overlap, or None."""
    x0, y0 = max(first[0], second[0]), max(first[1], second[1])
    x1, y1 = min(first[2], second[2]), min(first[3], second[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
