"""Prompts made from a known mask: what a careful, or a careless, user would give.

Evaluation uses the exact ones; training uses the random ones. The exact box is
`masks.mask_to_box`: x0, y0 is the first column and row that hold a pixel and x1, y1 one past the
last, so that a single pixel has a box of area 1. COCO's ``x, y, x + width, y + height`` is the
same box.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.errors import PromptError
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Box, Size

__all__ = ["centre_point", "jittered_box", "random_point"]


def centre_point(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel of a mask that is farthest from its border: one careful click.

    The edge of the array counts as a border, so pass either the whole image or a crop that
    shows the whole object. This is the single-point protocol of the SAM paper (section 7.1).

    Parameters
    ----------
    mask
        (H, W) bool with at least one pixel.

    Returns
    -------
    (x, y) index of the pixel. Of several equally far pixels, the one nearest to the centroid of
    the mask, then the uppermost, then the leftmost.

    Raises
    ------
    PromptError
        If the mask is empty.
    """
    x0, y0, x1, y1 = mask_to_box(mask)
    if x0 == x1:
        raise _empty(mask)
    crop = mask[y0:y1, x0:x1]
    distance = ndimage.distance_transform_edt(np.pad(crop, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(distance == distance.max())
    inside_rows, inside_columns = np.nonzero(crop)
    offset = (rows - inside_rows.mean()) ** 2 + (columns - inside_columns.mean()) ** 2
    nearest = int(np.argmin(np.round(offset, 6)))
    return x0 + int(columns[nearest]), y0 + int(rows[nearest])


def random_point(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """A pixel of a mask, each equally likely: the paper's training click.

    Given the pixels where an answer is wrong, it is the paper's corrective click.

    Parameters
    ----------
    mask
        (H, W) bool with at least one pixel.
    rng
        The source of chance.

    Returns
    -------
    (x, y) index of the pixel.

    Raises
    ------
    PromptError
        If the mask is empty.
    """
    pixels = np.flatnonzero(mask)
    if not len(pixels):
        raise _empty(mask)
    y, x = divmod(int(pixels[rng.integers(len(pixels))]), mask.shape[1])
    return x, y


def jittered_box(
    box: Box,
    size: Size,
    rng: np.random.Generator,
    *,
    fraction: float = 0.1,
    limit: float = 20.0,
) -> tuple[float, float, float, float]:
    """A box as drawn in a hurry: each edge moved by Gaussian noise.

    The defaults are the SAM paper's (appendix A, training): a standard deviation of 10 % of the
    side, no edge moved by more than 20 px.

    Parameters
    ----------
    box
        xyxy with an area, x1 and y1 exclusive.
    size
        (H, W) of the image; the result stays inside it.
    rng
        The source of chance; the same state gives the same box.
    fraction
        Standard deviation as a fraction of the side that an edge bounds.
    limit
        Largest move of an edge, pixels.

    Returns
    -------
    xyxy in pixels, at least one pixel wide and high.
    """
    x0, y0, x1, y1 = box
    sides = np.array((x1 - x0, y1 - y0, x1 - x0, y1 - y0), np.float64)
    moved = np.array(box) + np.clip(rng.normal(0.0, 1.0, 4) * fraction * sides, -limit, limit)
    left, right = _span(moved[0], moved[2], size[1])
    top, bottom = _span(moved[1], moved[3], size[0])
    return left, top, right, bottom


def _span(first: float, second: float, length: int) -> tuple[float, float]:
    """Two edges in order, inside ``0 .. length``, at least one pixel apart."""
    low, high = sorted((float(first), float(second)))
    low = min(max(low, 0.0), length - 1.0)
    return low, min(max(high, low + 1.0), float(length))


def _empty(mask: NDArray[np.bool_]) -> PromptError:
    return PromptError(
        f"A prompt is made from a mask with at least one pixel, found an empty mask of shape "
        f"{mask.shape}: leave such objects out."
    )
