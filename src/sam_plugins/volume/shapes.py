"""Masks that are cut to what they cover, and the arithmetic on them that following needs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.types import Box, Size

__all__ = ["Shape", "trimmed"]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A mask on a frame, cut to its bounding box.

    Parameters
    ----------
    crop
        (h, w) bool with no empty margin.
    box
        xyxy of it in the frame, x1 and y1 exclusive.
    """

    crop: NDArray[np.bool_]
    box: Box

    @property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.crop))

    def moved(self, dx: int, dy: int) -> "Shape":
        """The same shape elsewhere."""
        x0, y0, x1, y1 = self.box
        return Shape(self.crop, (x0 + dx, y0 + dy, x1 + dx, y1 + dy))

    def within(self, region: Box) -> NDArray[np.bool_]:
        """(H, W) bool over a region of the frame; what lies outside is left out."""
        left, top, right, bottom = region
        found = np.zeros((bottom - top, right - left), bool)
        x0, y0 = max(self.box[0], left), max(self.box[1], top)
        x1, y1 = min(self.box[2], right), min(self.box[3], bottom)
        if x0 < x1 and y0 < y1:
            found[y0 - top : y1 - top, x0 - left : x1 - left] = self.crop[
                y0 - self.box[1] : y1 - self.box[1], x0 - self.box[0] : x1 - self.box[0]
            ]
        return found

    def iou(self, other: "Shape") -> float:
        """Intersection over union with another shape; 0 where both are empty."""
        shared = int(np.count_nonzero(self.crop & other.within(self.box)))
        union = self.area + other.area - shared
        return shared / union if union else 0.0

    def clipped(self, size: Size) -> "Shape":
        """What of it lies in a frame of (H, W)."""
        return trimmed(self.within((0, 0, size[1], size[0])), (0, 0))

    def without(self, other: NDArray[np.bool_], origin: tuple[int, int]) -> "Shape":
        """What is left where `other`, (H, W) bool with its upper left pixel at xy, is False."""
        height, width = other.shape
        inside = (origin[0], origin[1], origin[0] + width, origin[1] + height)
        return trimmed(self.within(inside) & ~other, origin)

    def largest_part(self) -> "Shape":
        """Its largest connected part."""
        parts, count = ndimage.label(self.crop, np.ones((3, 3)))
        if count < 2:
            return self
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        return trimmed(parts == int(np.argmax(sizes)), self.box[:2])

    def interior(self) -> tuple[float, float]:
        """The xy of the pixel farthest from the edge."""
        depth = ndimage.distance_transform_edt(np.pad(self.crop, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
        return float(self.box[0] + column), float(self.box[1] + row)


def trimmed(mask: NDArray[np.bool_], origin: tuple[int, int]) -> Shape:
    """A mask whose upper left pixel lies at xy `origin`, without its empty margins."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = origin
    if not len(rows):
        return Shape(np.zeros((0, 0), bool), (left, top, left, top))
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return Shape(mask[y0:y1, x0:x1].copy(), (left + x0, top + y0, left + x1, top + y1))
