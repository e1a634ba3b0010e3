"""Where everything-mode looks: crops of a picture, and a grid of points on each."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Box, Size

__all__ = ["crop_boxes", "point_grid"]


def point_grid(points_per_side: int, region: Box) -> NDArray[np.float64]:
    """Centres of the cells of a regular grid.

    Parameters
    ----------
    points_per_side
        n; positions are ``(i + 0.5) / n`` of the region's sides.
    region
        xyxy in pixels.

    Returns
    -------
    (n * n, 2) float64 xy in pixels of the whole image, row by row.
    """
    x0, y0, x1, y1 = region
    # Rounded as the published grid is: from its first to its last point in equal steps.
    margin = 1 / (2 * points_per_side)
    steps = np.linspace(margin, 1 - margin, points_per_side)
    x, y = np.meshgrid(steps * (x1 - x0) + x0, steps * (y1 - y0) + y0)
    return np.stack((x.ravel(), y.ravel()), axis=1)


def crop_boxes(size: Size, n_layers: int, overlap_ratio: float) -> list[tuple[Box, int]]:
    """The crops that everything-mode searches, the whole picture first.

    Parameters
    ----------
    size
        (H, W) of the picture.
    n_layers
        Layer i, from 1, has ``2 ** i`` crops per side.
    overlap_ratio
        Crops of layer 1 overlap by this fraction of the shorter side, those of layer i by
        ``2 ** (1 - i)`` of that.

    Returns
    -------
    list of (xyxy, layer). Crops of one layer follow each other column by column, as published
    (Kirillov et al., 2023, appendix B, and the sizes of the published generator).
    """
    height, width = size
    found: list[tuple[Box, int]] = [((0, 0, width, height), 0)]
    for layer in range(1, n_layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / count))
        columns = _spans(width, count, overlap)
        rows = _spans(height, count, overlap)
        found += [((x0, y0, x1, y1), layer) for (x0, x1), (y0, y1) in product(columns, rows)]
    return found


def _spans(length: int, count: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open parts of a side that overlap and together cover it."""
    part = -(-(overlap * (count - 1) + length) // count)
    starts = [(part - overlap) * i for i in range(count)]
    return [(start, min(start + part, length)) for start in starts if start < length]
