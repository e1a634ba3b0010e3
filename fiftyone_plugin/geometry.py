"""FiftyOne's relative coordinates to pixels and back: the only such place.

FiftyOne gives boxes as [x, y, width, height] and points as [x, y], from 0 to 1 of the picture as it
is displayed (EXIF orientation applied); an instance mask covers its box. In pixels a box is xyxy,
its end exclusive, and whole numbers of a *point* are centres of pixels: the left edge of the
picture is at -0.5.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Box, Size

__all__ = [
    "clip_box",
    "pixel_to_relative_points",
    "pixels_to_relative_box",
    "relative_to_pixel_box",
    "relative_to_pixel_points",
    "whole_box",
    "whole_to_relative_box",
]

FloatBox = tuple[float, float, float, float]


def relative_to_pixel_box(bounding_box: Sequence[float], size: Size) -> FloatBox:
    """[x, y, width, height] of 0 to 1 as xyxy float pixels of a picture of (H, W), unclipped."""
    height, width = size
    x, y, w, h = (float(value) for value in bounding_box)
    return x * width, y * height, (x + w) * width, (y + h) * height


def pixels_to_relative_box(box: Sequence[float], size: Size) -> list[float]:
    """Xyxy pixels as FiftyOne's [x, y, width, height] of 0 to 1 of a picture of (H, W)."""
    height, width = size
    x0, y0, x1, y1 = (float(value) for value in box)
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def whole_to_relative_box(box: Box, size: Size) -> list[float]:
    """Whole xyxy pixels as FiftyOne's [x, y, width, height], such that it finds the same pixels.

    FiftyOne multiplies by the size and cuts off decimals, where x0 / W * W may be a little less
    than x0: masks would land a pixel off, or shrink by one. So each edge is the quotient or one of
    the next larger numbers, about 1e-16 of the picture away.
    """
    height, width = size
    x, y = _edge(box[0], width), _edge(box[1], height)
    return [x, y, _side(x, box[2], width), _side(y, box[3], height)]


def _edge(pixel: int, count: int) -> float:
    """The first number from pixel / count on that gives the pixel again."""
    edge = pixel / count
    while int(count * edge) < pixel:
        edge = math.nextafter(edge, math.inf)
    return edge


def _side(start: float, pixel: int, count: int) -> float:
    """The length from an edge to a later one, such that their sum gives the later one again."""
    side = _edge(pixel, count) - start
    while int(count * (start + side)) < pixel:
        side = math.nextafter(side, math.inf)
    return side


def relative_to_pixel_points(points: Any, size: Size) -> NDArray[np.float64]:
    """(N, 2) xy of 0 to 1 as (N, 2) float64 xy pixels, whole numbers being centres of pixels."""
    height, width = size
    relative = np.asarray(points, np.float64).reshape(-1, 2)
    result: NDArray[np.float64] = relative * (width, height) - 0.5
    return result


def pixel_to_relative_points(points: Any, size: Size) -> list[list[float]]:
    """(N, 2) xy pixels as FiftyOne's xy of 0 to 1: the inverse of `relative_to_pixel_points`."""
    height, width = size
    pixels = np.asarray(points, np.float64).reshape(-1, 2)
    result: list[list[float]] = ((pixels + 0.5) / (width, height)).tolist()
    return result


def clip_box(box: Sequence[float], size: Size) -> FloatBox | None:
    """The part of an xyxy box inside a picture of (H, W), or None if none is."""
    height, width = size
    x0, y0 = max(float(box[0]), 0.0), max(float(box[1]), 0.0)
    x1, y1 = min(float(box[2]), float(width)), min(float(box[3]), float(height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def whole_box(box: Sequence[float], size: Size) -> Box | None:
    """The pixels that an xyxy box touches inside a picture of (H, W), or None if it touches none.

    An edge within a thousandth of a pixel of a whole number is that number, so that a box that was
    made relative and back covers the same pixels.
    """
    clipped = clip_box(box, size)
    if clipped is None:
        return None
    x0, y0 = (int(np.floor(value + 1e-3)) for value in clipped[:2])
    x1, y1 = (int(np.ceil(value - 1e-3)) for value in clipped[2:])
    x0, y0 = min(x0, size[1] - 1), min(y0, size[0] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
