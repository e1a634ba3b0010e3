"""Small holes filled and small islands dropped, on the part of the image that a mask takes up."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam_plugins.formats.rle import crop_to_rle, rle_to_crop
from sam_plugins.masks import connected_components, mask_area, mask_to_box, remove_small_regions
from sam_plugins.types import Box, MaskRecord, Size

__all__ = ["clean_record"]


def clean_record(record: MaskRecord, min_area: float) -> tuple[MaskRecord, bool]:
    """Fill holes, then drop islands, of fewer than `min_area` pixels.

    As `masks.remove_small_regions` on the whole image, in which the background counts as holes of
    its own: where the mask leaves fewer pixels free than that they are filled.

    Returns
    -------
    record, changed
        With segmentation, box and area of the cleaned mask.
    """
    height, width = record.segmentation["size"]
    crop, box = rle_to_crop(record.segmentation)
    if not crop.size:
        return record, False
    crop, box, had_holes = _without_holes(crop, box, (height, width), min_area)
    crop, had_islands = remove_small_regions(crop, min_area, "islands")
    if not (had_holes or had_islands):
        return record, False
    x0, y0, x1, y1 = mask_to_box(crop)
    crop = crop[y0:y1, x0:x1]
    box = (box[0] + x0, box[1] + y0, box[0] + x1, box[1] + y1)
    rle = crop_to_rle(crop, box, (height, width))
    return replace(record, segmentation=rle, box=box, area=mask_area(crop)), True


def _without_holes(
    crop: NDArray[np.bool_], box: Box, size: Size, min_area: float
) -> tuple[NDArray[np.bool_], Box, bool]:
    """Fill holes of a mask that is cut to its box."""
    height, width = size
    x0, y0, x1, y1 = box
    # A frame of one pixel, where the image goes on, stands for the outside: it holds together as
    # the outside does, which falls apart where the mask's box reaches from edge to edge.
    frame = (max(x0 - 1, 0), max(y0 - 1, 0), min(x1 + 1, width), min(y1 + 1, height))
    margins = ((y0 - frame[1], frame[3] - y1), (x0 - frame[0], frame[2] - x1))
    labels, areas = connected_components(~np.pad(crop, margins))
    beyond = np.zeros_like(areas)
    for row, column, pixels in _outside(frame, margins, size):
        beyond[labels[row, column] - 1] += pixels
    small = areas + beyond < min_area
    if not small.any():
        return crop, box, False
    if (small & (beyond > 0)).any():
        whole = np.zeros(size, bool)
        whole[y0:y1, x0:x1] = crop
        filled, _ = remove_small_regions(whole, min_area, "holes")
        return filled, (0, 0, width, height), True
    return np.concatenate(([True], small))[labels], frame, True


def _outside(
    frame: Box, margins: tuple[tuple[int, int], tuple[int, int]], size: Size
) -> list[tuple[int, int, int]]:
    """The connected parts of the outside: a pixel of the frame in each, and its pixels beyond it.

    Returns
    -------
    list of (row, column, pixels)
    """
    height, width = size
    x0, y0, x1, y1 = frame
    (top, bottom), (left, right) = margins
    if not (left or right):
        parts = [(0, 0, y0 * width, top), (-1, 0, (height - y1) * width, bottom)]
    elif not (top or bottom):
        parts = [(0, 0, x0 * height, left), (0, -1, (width - x1) * height, right)]
    else:
        rest = height * width - (x1 - x0) * (y1 - y0)
        parts = [(0 if top else -1, 0, rest, 1)]
    return [(row, column, pixels) for row, column, pixels, there in parts if there]
