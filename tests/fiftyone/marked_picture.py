"""A picture in which places are found by their colour: three marks, and a disc to ask for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = (300, 400)
MARKS = {(255, 0, 255): (40, 30), (0, 255, 255): (330, 60), (255, 255, 0): (200, 250)}
"""Colours of marks of 6 x 6 pixels, and where they begin."""

DISC = (290, 190, 50)
"""x, y and radius of a large object."""

GREEN = (60, 200, 90)
"""Its colour."""


def picture() -> Any:
    """(H, W, 3) uint8 RGB."""
    pixels = np.full((*SIZE, 3), 40, np.uint8)
    pixels[disc()] = GREEN
    for colour, (x, y) in MARKS.items():
        pixels[y : y + 6, x : x + 6] = colour
    return pixels


def disc() -> NDArray[np.bool_]:
    """(H, W) bool: the object."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (rows - DISC[1]) ** 2 + (columns - DISC[0]) ** 2 <= DISC[2] ** 2


def half_disc() -> tuple[Any, list[float]]:
    """The left half of the object, as a Detection's mask and bounding box."""
    x0, y0, y1 = DISC[0] - DISC[2], DISC[1] - DISC[2], DISC[1] + DISC[2] + 1
    box = [x0 / SIZE[1], y0 / SIZE[0], (DISC[0] - x0) / SIZE[1], (y1 - y0) / SIZE[0]]
    return disc()[y0:y1, x0 : DISC[0]], box
