"""Which windows stand for a whole stack: few, spread over all axes, the same each time."""

import math
from collections.abc import Iterator, Sequence

from napari_plugin.values import Plane
from sam_plugins.types import Box

__all__ = ["sample_windows"]


def sample_windows(
    shape: Sequence[int], rows: int, columns: int, *, planes: int, across: int, side: int
) -> Iterator[tuple[Plane, list[Box]]]:
    """Spread windows over a stack.

    Parameters
    ----------
    shape
        Of Labels data.
    rows, columns
        The axes along which windows extend.
    planes
        How many planes at most: all where there are no more, otherwise spread over all other axes
        together, so that a period of one axis does not coincide with the sampling.
    across, side
        Up to ``across * across`` windows of ``side * side`` pixels in each plane, at the centres of
        equal cells; the whole plane where that is no more.

    Yields
    ------
    plane, boxes
        The boxes are xyxy within the plane.
    """
    others = [axis for axis in range(len(shape)) if axis not in (rows, columns)]
    boxes = list(_boxes(shape[rows], shape[columns], across, side))
    for places in _places([shape[axis] for axis in others], planes):
        index = [0] * len(shape)
        for axis, place in zip(others, places, strict=True):
            index[axis] = place
        yield Plane(rows, columns, tuple(index)), boxes


def _places(sides: Sequence[int], count: int) -> Iterator[tuple[int, ...]]:
    """Up to `count` different places in a grid: all of them, or an additive recurrence."""
    total = math.prod(sides)
    if total <= count:
        for number in range(total):
            place = []
            for side in reversed(sides):
                number, rest = divmod(number, side)
                place.append(rest)
            yield tuple(reversed(place))
        return
    # The root of x^(d + 1) = x + 1 makes the recurrence cover d axes evenly.
    longer = [axis for axis, side in enumerate(sides) if side > 1]
    root = 2.0
    for _ in range(30):
        root = (1 + root) ** (1 / (len(longer) + 1))
    seen: set[tuple[int, ...]] = set()
    for number in range(4 * count):
        place = [0] * len(sides)
        for power, axis in enumerate(longer, start=1):
            place[axis] = int((0.5 + number * root**-power) % 1 * sides[axis])
        if tuple(place) not in seen:
            seen.add(tuple(place))
            yield tuple(place)
        if len(seen) == count:
            return


def _boxes(height: int, width: int, across: int, side: int) -> Iterator[Box]:
    ys, xs = _spans(height, across, side), _spans(width, across, side)
    for y0, y1 in ys:
        for x0, x1 in xs:
            yield x0, y0, x1, y1


def _spans(length: int, across: int, side: int) -> list[tuple[int, int]]:
    if length <= across * side:
        return [(0, length)]
    starts = [int((n + 0.5) * length / across - side / 2) for n in range(across)]
    return [(start, start + side) for start in starts]
