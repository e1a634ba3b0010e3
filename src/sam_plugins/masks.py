"""What can be computed from masks, boxes and logits: plain functions on NumPy arrays.

Two kinds of box exist. The library's `Box` ends *after* the last pixel (x1 and y1 exclusive); the
published automatic mask generator ends *at* it, and its box suppression depends on that. Functions
that give the second kind say `inclusive` in their name.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from sam_plugins.types import Box, Size

__all__ = [
    "box_iou",
    "box_nms",
    "connected_components",
    "mask_area",
    "mask_iou",
    "mask_iou_matrix",
    "mask_to_box",
    "mask_to_inclusive_box",
    "remove_small_regions",
    "run_lengths",
    "runs_to_crop",
    "stability_score",
]

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
_PIXELS_AT_ONCE = 1 << 20


def mask_area(mask: NDArray[np.bool_]) -> int:
    """Number of pixels of a mask of any shape."""
    return int(np.count_nonzero(mask))


def mask_to_box(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of a (H, W) bool mask, x1 and y1 exclusive; zeros if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def mask_to_inclusive_box(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of a (H, W) bool mask with x1 and y1 the *last* column and row, as published.

    Zeros if the mask is empty, so that it cannot be told from one pixel at the origin.
    """
    x0, y0, x1, y1 = mask_to_box(mask)
    return x0, y0, max(x1 - 1, 0), max(y1 - 1, 0)


def run_lengths(crop: NDArray[np.bool_], box: Box, size: Size) -> NDArray[np.int64]:
    """Run lengths of a whole image of which only a crop has a mask; nothing else is looked at.

    Parameters
    ----------
    crop
        (h, w) bool, the pixels inside `box`; outside it the mask is False.
    box
        xyxy, x1 and y1 exclusive, inside an image of `size`.
    size
        (H, W) of the whole image.

    Returns
    -------
    (n,) int64: pixels of background, of foreground, and so on, column by column. Only the first
    can be 0; an image that ends with the mask ends with a run of foreground.
    """
    height, width = size
    columns = np.zeros((crop.shape[1], crop.shape[0] + 2), np.int8)
    columns[:, 1:-1] = crop.T
    x, y = np.nonzero(np.diff(columns, axis=1))
    edges = (box[0] + x) * height + box[1] + y
    # Where a run ends at the foot of a column and the next begins at its head, they are one.
    joined = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate((joined, joined + 1)))
    runs = np.diff(edges, prepend=0, append=height * width).astype(np.int64)
    return runs[:-1] if runs[-1] == 0 and len(runs) > 1 else runs


def runs_to_crop(runs: NDArray[np.int64], box: Box, size: Size) -> NDArray[np.bool_]:
    """The pixels inside a mask's bounding box: undoes `run_lengths`.

    Parameters
    ----------
    runs
        (n,) int64: pixels of background, of foreground, and so on, column by column.
    box
        xyxy of all that is foreground, x1 and y1 exclusive. Nothing larger is made.
    size
        (H, W) of the whole image.

    Returns
    -------
    (h, w) bool.
    """
    x0, y0, x1, y1 = box
    edges = np.cumsum(runs)
    filled = runs[1::2] > 0
    first_column, first_row = np.divmod(edges[:-1:2][filled], size[0])
    last_column, last_row = np.divmod(edges[1::2][filled] - 1, size[0])
    rows = y1 - y0
    # A run that goes on in the next column takes up the last row and the first, so that the box is
    # as high as the image.
    flips = np.empty(2 * len(first_row), np.int64)
    flips[::2] = (first_column - x0) * rows + first_row - y0
    flips[1::2] = (last_column - x0) * rows + last_row - y0 + 1
    inside = np.diff(flips, prepend=0, append=(x1 - x0) * rows)
    columns = np.repeat(np.arange(len(inside)) % 2 == 1, inside).reshape(x1 - x0, rows)
    return np.ascontiguousarray(columns.T)


def stability_score(
    logits: NDArray[np.float32], mask_threshold: float = 0.0, offset: float = 1.0
) -> NDArray[np.float32]:
    """How little a mask changes when its threshold moves.

    Parameters
    ----------
    logits
        (..., H, W) float32 at full resolution: at low resolution the score is another one.
    mask_threshold, offset
        The two masks compared are ``logits > mask_threshold + offset`` and ``- offset``.

    Returns
    -------
    (...) float32, the IoU of the two masks: one lies within the other, so that it is the ratio of
    their areas. 0 where both are empty.

    Notes
    -----
    Kirillov et al. (2023), appendix B.
    """
    inner = np.count_nonzero(logits > mask_threshold + offset, axis=(-2, -1))
    outer = np.count_nonzero(logits > mask_threshold - offset, axis=(-2, -1))
    score: NDArray[np.float32] = np.asarray(inner / np.maximum(outer, 1), np.float32)
    return score


def connected_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Pieces of a mask; pixels that touch at a corner belong together.

    Parameters
    ----------
    mask
        (H, W) bool.

    Returns
    -------
    labels, areas
        (H, W) int32 with 0 outside and 1..n inside, and (n,) int64 pixels of each piece.
    """
    labels, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS, output=np.int32)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(np.int64)
    return labels, areas


def remove_small_regions(
    mask: NDArray[np.bool_], min_area: float, mode: Literal["holes", "islands"]
) -> tuple[NDArray[np.bool_], bool]:
    """Fill holes, or drop islands, of fewer than `min_area` pixels.

    If every island is smaller, the largest one stays (published behaviour). The background counts
    as a hole of its own: a mask that leaves fewer than `min_area` pixels free is filled whole.

    Parameters
    ----------
    mask
        (H, W) bool.
    min_area
        Pixels.

    Returns
    -------
    mask, changed
        (H, W) bool, and whether there was anything to do.
    """
    holes = mode == "holes"
    labels, areas = connected_components(~mask if holes else mask)
    small = areas < min_area
    if not small.any():
        return mask, False
    keep = np.concatenate(([holes], small if holes else ~small))
    if not holes and small.all():
        keep[1 + int(np.argmax(areas))] = True
    return keep[labels], True


def box_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float32]:
    """IoU of every box with every other.

    Parameters
    ----------
    first, second
        (N, 4) and (M, 4) xyxy; area is ``(x1 - x0) * (y1 - y0)``, whichever kind of box it is.

    Returns
    -------
    (N, M) float32; 0 where both have no area. Single precision, as in the published suppression.
    """
    a, b = _boxes(first)[:, None], _boxes(second)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1)
    union = union - shared
    result: NDArray[np.float32] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return result


def box_nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float) -> NDArray[np.int64]:
    """Greedy suppression: the best box stays, those that overlap it too much go, and so on.

    Parameters
    ----------
    boxes
        (N, 4) xyxy.
    scores
        (N,); of equal scores the earlier box comes first.
    iou_threshold
        A box goes if its IoU with a better one that stays is *greater*.

    Returns
    -------
    (K,) int64 indices of those that stay, best first.
    """
    array = _boxes(boxes)
    by_x0 = np.argsort(array[:, 0], kind="stable")
    place = np.empty_like(by_x0)
    place[by_x0] = np.arange(len(array))
    near = array[by_x0]
    # An IoU is at most the ratio of the widths: a box that goes begins no further to the left than
    # the better one's width divided by the threshold, here with room for rounding.
    x0, x1 = array[:, 0].astype(np.float64), array[:, 2].astype(np.float64)
    with np.errstate(divide="ignore"):
        reach = 1.001 * (np.maximum(x1 - x0, 0) + 1) / np.float64(iou_threshold)
    first = np.searchsorted(near[:, 0], x0 - reach, side="left")
    last = np.searchsorted(near[:, 0], x1, side="right")
    stays = np.ones(len(array), bool)
    kept = []
    for best in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        if stays[place[best]]:
            kept.append(best)
            some = slice(first[best], last[best])
            overlap = box_iou(array[[best]], near[some])[0].astype(np.float64)
            stays[some] &= overlap <= iou_threshold
    return np.array(kept, np.int64)


def _boxes(values: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(-1, 4)


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """IoU of two bool masks of one shape; 0 if both are empty."""
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 0.0


def mask_iou_matrix(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU of every mask with every other.

    Parameters
    ----------
    first, second
        (N, H, W) and (M, H, W) bool.

    Returns
    -------
    (N, M) float64; 0 where both are empty.
    """
    pixels = first.shape[1] * first.shape[2]
    a, b = first.reshape(len(first), pixels), second.reshape(len(second), pixels)
    shared = np.zeros((len(a), len(b)), np.float64)
    for start in range(0, pixels, _PIXELS_AT_ONCE):
        part = slice(start, start + _PIXELS_AT_ONCE)
        shared += a[:, part].astype(np.float32) @ b[:, part].astype(np.float32).T
    union = np.count_nonzero(a, axis=1)[:, None] + np.count_nonzero(b, axis=1)[None] - shared
    result: NDArray[np.float64] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return result
