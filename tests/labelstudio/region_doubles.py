"""Regions as Label Studio submits them, of shapes that are easily drawn again."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.formats import crop_to_brush_rle

_names = itertools.count()


def _region(kind: str, value: dict[str, Any], tag: str, size: tuple[int, int], **more: Any) -> Any:
    return {
        "id": f"r{next(_names)}",
        "type": kind,
        "from_name": tag,
        "to_name": "image",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "origin": "manual",
        "value": value,
    } | more


def brush(mask: NDArray[np.bool_], label: str = "Cell", **more: Any) -> dict[str, Any]:
    """A mask of the whole picture as one brush region."""
    height, width = mask.shape
    rle = [int(each) for each in crop_to_brush_rle(mask, (0, 0, width, height), mask.shape)]
    value = {"format": "rle", "rle": rle, "brushlabels": [label]}
    return _region("brushlabels", value, "brush", mask.shape, **more)


def polygon(
    corners: list[tuple[float, float]], size: tuple[int, int], label: str = "Cell", **more: Any
) -> dict[str, Any]:
    """A ring of xy in pixels."""
    points = [[100 * x / size[1], 100 * y / size[0]] for x, y in corners]
    value = {"points": points, "closed": True, "polygonlabels": [label]}
    return _region("polygonlabels", value, "poly", size, **more)


def rectangle(size: tuple[int, int], label: str = "Cell", **more: Any) -> dict[str, Any]:
    value = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": [label]}
    return _region("rectanglelabels", value, "box", size, **more)


def square(size: tuple[int, int], x: int, y: int, side: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, bool)
    mask[y : y + side, x : x + side] = True
    return mask
