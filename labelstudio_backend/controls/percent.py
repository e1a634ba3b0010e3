"""Label Studio's percent and our pixels: the only place that converts one to the other.

Percent count from the left upper corner of the picture to the right lower one, so that 0 and 100
are its borders. Corners of boxes and outlines lie on such a scale in pixels as well. Points of a
prompt name pixels by their centres: half a pixel less.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam_plugins.types import Size

__all__ = ["corners_to_percent", "percent_to_corners", "percent_to_points"]

_DECIMALS = 6


def percent_to_corners(percent: ArrayLike, size: Size) -> NDArray[np.float64]:
    """Corners in pixels, (0, 0) to (W, H).

    Parameters
    ----------
    percent
        (N, 2) xy, of the width and of the height.
    size
        (H, W) of the picture.
    """
    height, width = size
    return np.asarray(percent, np.float64).reshape(-1, 2) * (width, height) / 100


def percent_to_points(percent: ArrayLike, size: Size) -> NDArray[np.float64]:
    """Points of a prompt, where whole numbers are the centres of pixels.

    Parameters
    ----------
    percent, size
        As `percent_to_corners` takes them.

    Returns
    -------
    (N, 2) xy from -0.5 to the width or height less 0.5: what lies outside is brought to the border.
    """
    height, width = size
    corners = percent_to_corners(percent, size)
    return np.clip(corners, 0, (width, height)) - 0.5


def corners_to_percent(corners: ArrayLike, size: Size) -> list[list[float]]:
    """Pairs xy in percent, to a millionth, as Label Studio's JSON holds them.

    Parameters
    ----------
    corners
        (N, 2) xy in pixels, (0, 0) to (W, H).
    size
        (H, W) of the picture.
    """
    height, width = size
    percent = np.asarray(corners, np.float64).reshape(-1, 2) * 100 / (width, height)
    pairs: list[list[float]] = np.round(percent, _DECIMALS).tolist()
    return pairs
