"""Logits of one window as a mask prompt for another."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.types import Box, Embedding

__all__ = ["moved_logits"]


def moved_logits(
    low_res_logits: NDArray[np.float32], covered: Box, embedding: Embedding
) -> NDArray[np.float32]:
    """Low-resolution logits that cover one window, brought to where another window has them.

    Parameters
    ----------
    low_res_logits
        (1, h, w) float32 over the padded input of the window `covered`.
    covered
        xyxy of that window; it was encoded with sides padded to a square as `embedding` is.
    embedding
        Of the window that they are wanted for.

    Returns
    -------
    (1, h, w) float32; where the first window shows nothing, its lowest logit.
    """
    _, height, width = low_res_logits.shape
    x0, y0, x1, y1 = embedding.region
    side = max(embedding.padded_size)
    scale = side / max(covered[2] - covered[0], covered[3] - covered[1])
    step_y = embedding.padded_size[0] / height * (y1 - y0) / embedding.input_size[0]
    step_x = embedding.padded_size[1] / width * (x1 - x0) / embedding.input_size[1]
    y = (y0 + (np.arange(height) + 0.5) * step_y - covered[1]) * scale
    x = (x0 + (np.arange(width) + 0.5) * step_x - covered[0]) * scale
    rows = y * height / embedding.padded_size[0] - 0.5
    columns = x * width / embedding.padded_size[1] - 0.5
    lowest = float(low_res_logits.min())
    grid = np.meshgrid(rows, columns, indexing="ij")
    moved: NDArray[np.float32] = ndimage.map_coordinates(
        low_res_logits[0], grid, order=1, mode="nearest"
    ).astype(np.float32)
    shown_y = (y >= 0) & (y < (covered[3] - covered[1]) * scale)
    shown_x = (x >= 0) & (x < (covered[2] - covered[0]) * scale)
    moved[~(shown_y[:, None] & shown_x[None])] = lowest
    return moved[None]
