"""Rectangles: boxes around the object, and the outermost pixels of an answer."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from labelstudio_backend.controls.control import Control, Mask, Written
from labelstudio_backend.controls.percent import corners_to_percent, percent_to_corners
from labelstudio_backend.controls.region import Region
from labelstudio_backend.values import Found
from sam_plugins import Interaction
from sam_plugins.formats import fill_rings
from sam_plugins.types import Size

__all__ = ["Rectangle"]


class Rectangle(Control):
    """``<Rectangle>`` and ``<RectangleLabels>``."""

    __slots__ = ()
    kind: ClassVar[str] = "rectangle"

    @classmethod
    def prompt(cls, region: Region, size: Size) -> Interaction | None:
        """The box around it inside the picture; None if nothing of it lies there."""
        low, high = _extent(_corners(region, size), size)
        if (low >= high).any():
            return None
        (x0, y0), (x1, y1) = low.tolist(), high.tolist()
        return Interaction(box=(x0, y0, x1, y1))

    @classmethod
    def geometry(cls, region: Region) -> object:
        """Its numbers."""
        return _numbers(region)

    @classmethod
    def mask(cls, region: Region, size: Size) -> Mask | None:
        """The pixels whose centres lie inside it."""
        corners = _corners(region, size)
        low, high = _extent(corners, size)
        (x0, y0), (x1, y1) = np.floor(low).astype(int).tolist(), np.ceil(high).astype(int).tolist()
        if x0 >= x1 or y0 >= y1:
            return None
        return fill_rings([corners], (x0, y0, x1, y1)), (x0, y0, x1, y1)

    def write(self, found: Found) -> list[Written]:
        """The box of the mask, upright."""
        x0, y0, x1, y1 = found.box
        (x, y), (width, height) = corners_to_percent([(x0, y0), (x1 - x0, y1 - y0)], found.size)
        return [Written({"x": x, "y": y, "width": width, "height": height, "rotation": 0})]


def _numbers(region: Region) -> list[float]:
    named = [region.number(name) for name in ("x", "y", "width", "height")]
    return [*named, region.number("rotation", 0.0)]


def _corners(region: Region, size: Size) -> NDArray[np.float64]:
    """(4, 2) xy; it is turned about its first corner, clockwise, in pixels."""
    x, y, width, height, degrees = _numbers(region)
    start, extent = percent_to_corners([(x, y), (width, height)], size)
    angle = np.deg2rad(degrees)
    along = extent[0] * np.array((np.cos(angle), np.sin(angle)))
    down = extent[1] * np.array((-np.sin(angle), np.cos(angle)))
    return np.array((start, start + along, start + along + down, start + down))


def _extent(
    corners: NDArray[np.float64], size: Size
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    borders = np.array((size[1], size[0]), np.float64)
    return np.clip(corners.min(0), 0, borders), np.clip(corners.max(0), 0, borders)
