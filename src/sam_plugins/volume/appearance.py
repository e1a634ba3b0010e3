"""How an object looks, and where it went: brightness inside and around it, and its motion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.types import Box, Image
from sam_plugins.volume.shapes import Shape

__all__ = ["Appearance", "appearance", "grey", "motion"]

_RING = 5
_LEAST_MATCH = 0.35


@dataclass(frozen=True, slots=True)
class Appearance:
    """Grey levels of an object and of a ring around it.

    Parameters
    ----------
    inside, around
        Mean grey level, 0 to 255.
    spread
        Standard deviation of what is around.
    """

    inside: float
    around: float
    spread: float

    @property
    def contrast(self) -> float:
        """How much brighter it is than what is around; negative for a dark object."""
        return self.inside - self.around


def grey(image: Image) -> NDArray[np.float32]:
    """(H, W, 3) uint8 as (H, W) float32 brightness."""
    levels: NDArray[np.float32] = image.mean(axis=2, dtype=np.float32)
    return levels


def appearance(
    levels: NDArray[np.float32], shape: Shape, others: NDArray[np.bool_] | None = None
) -> Appearance:
    """How a shape looks on a frame.

    Parameters
    ----------
    levels
        (H, W) brightness.
    shape
        Not empty.
    others
        (H, W) bool, pixels of other objects: they are no background.
    """
    height, width = levels.shape
    x0, y0, x1, y1 = shape.box
    region = (
        max(x0 - _RING, 0),
        max(y0 - _RING, 0),
        min(x1 + _RING, width),
        min(y1 + _RING, height),
    )
    here = shape.within(region)
    ring = ndimage.binary_dilation(here, iterations=_RING) & ~ndimage.binary_dilation(here)
    part = np.s_[region[1] : region[3], region[0] : region[2]]
    if others is not None:
        ring &= ~others[part]
    values = levels[part]
    inside = float(values[here].mean()) if here.any() else 0.0
    if not ring.any():
        return Appearance(inside, inside, 0.0)
    return Appearance(inside, float(values[ring].mean()), float(values[ring].std()))


def motion(
    before: NDArray[np.float32], after: NDArray[np.float32], shape: Shape
) -> tuple[int, int]:
    """How far what a shape covers has moved from one frame to the next, (dx, dy) whole pixels.

    The patch around the shape is looked for by normalised cross-correlation, not farther than
    about half of its size; where it is not found again the shape stays where it is.
    """
    # It takes a third of a second to import, which only those wait for who follow objects.
    from skimage.feature import match_template

    height, width = before.shape
    x0, y0, x1, y1 = shape.box
    side = max(x1 - x0, y1 - y0)
    margin, reach = max(3, side // 6), max(6, int(0.6 * side))
    patch: Box = (
        max(x0 - margin, 0),
        max(y0 - margin, 0),
        min(x1 + margin, width),
        min(y1 + margin, height),
    )
    area: Box = (
        max(patch[0] - reach, 0),
        max(patch[1] - reach, 0),
        min(patch[2] + reach, width),
        min(patch[3] + reach, height),
    )
    template = before[patch[1] : patch[3], patch[0] : patch[2]]
    if template.std() < 1e-3:
        return 0, 0
    scores: NDArray[np.float64] = match_template(  # type: ignore[no-untyped-call]
        after[area[1] : area[3], area[0] : area[2]], template
    )
    dy, dx = np.mgrid[: scores.shape[0], : scores.shape[1]]
    dx, dy = dx + area[0] - patch[0], dy + area[1] - patch[1]
    # Of matches about as good the nearest is meant: a neighbour looks alike.
    scores = scores - 0.25 * np.hypot(dx, dy) / reach
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    if scores[row, column] < _LEAST_MATCH:
        return 0, 0
    return int(dx[row, column]), int(dy[row, column])
