"""The pixels of a Detection's mask, whoever made it.

FiftyOne draws a mask by stretching it over its bounding box, whatever its shape, and other
programs round boxes in other ways. Here a mask whose shape is that of its box, rounded in one of
the usual ways, is taken as it is; any other is stretched by taking the nearest pixel.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.geometry import FloatBox, relative_to_pixel_box, whole_box
from sam_plugins import Limits, load_image
from sam_plugins.errors import SamPluginsError
from sam_plugins.images import Intensity
from sam_plugins.types import Box, Size

__all__ = ["mask_of"]

_MOST_PIXELS_PER_PIXEL = 4
_ALWAYS_ALLOWED = 1 << 22
_ZERO_OR_MORE = Intensity("limits", 0, 1)
_NEARLY = 1e-3


def mask_of(detection: Any, size: Size) -> tuple[NDArray[np.bool_], Box] | None:
    """A Detection's mask in whole pixels.

    Parameters
    ----------
    detection
        A FiftyOne Detection; its mask may be inline or a file, of any shape.
    size
        (H, W) of the picture.

    Returns
    -------
    crop, box
        (h, w) bool, and the xyxy pixels it covers inside the picture. None if there is no mask,
        no finite box, or the box lies wholly outside the picture.

    Raises
    ------
    SampleError
        If the mask cannot be read, or is not a plane of numbers.
    """
    if detection.mask is None and not detection.mask_path:
        return None
    given = finite_box(detection, size)
    touched = None if given is None else whole_box(given, size)
    if given is None or touched is None:
        return None
    mask = _inline(detection.mask) if detection.mask is not None else _file(detection, size)
    for box in _rounded(given):
        if mask.shape == (box[3] - box[1], box[2] - box[0]):
            return _cut(mask, box, size)
    return _stretched(mask, given, touched), touched


def finite_box(detection: Any, size: Size) -> FloatBox | None:
    """A Detection's xyxy float pixels, unclipped; None unless it has four finite numbers."""
    numbers = list(detection.bounding_box or ())
    if len(numbers) != 4 or not all(isinstance(n, int | float) for n in numbers):
        return None
    given = relative_to_pixel_box(numbers, size)
    return given if np.isfinite(given).all() else None


def _inline(values: Any) -> NDArray[np.bool_]:
    mask = np.asarray(values)
    if mask.dtype.kind not in "biuf":
        raise SampleError(f"Expected a mask of numbers, found {mask.dtype}: store 0 and 1.")
    return _plane(np.asarray((mask != 0) & (mask == mask)))  # NaN is nothing


def _plane(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if mask.ndim == 3:
        mask = np.asarray(mask[..., :3].any(axis=2))
    if mask.ndim != 2 or 0 in mask.shape:
        raise SampleError(
            f"Expected a mask of rows and columns, found one of shape {mask.shape}: give a "
            "bounding box's pixels as (h, w)."
        )
    return mask


def _file(detection: Any, size: Size) -> NDArray[np.bool_]:
    """The mask in a local file; how large it may be follows from the picture's size."""
    path = str(detection.mask_path)
    if not os.path.isabs(path) or not os.path.isfile(path):
        raise SampleError(
            f"Expected mask_path to be the whole path of a file, found {path!r}: restore the file, "
            "or store where it is."
        )
    most = max(_MOST_PIXELS_PER_PIXEL * size[0] * size[1], _ALWAYS_ALLOWED)
    limits = Limits(max_pixels=most, max_bytes=32 * most, max_pages=1)
    try:
        pixels = load_image(path, intensity=_ZERO_OR_MORE, limits=limits)
    except SamPluginsError as error:
        raise SampleError(f"The mask of {_named(detection)} cannot be read. {error}") from error
    return np.asarray(pixels.any(axis=2))


def _named(detection: Any) -> str:
    return f"{detection.label!r}" if detection.label else f"label {detection.id}"


def _rounded(given: FloatBox) -> list[Box]:
    """A box in whole pixels: to the nearest, to all that it touches, and cut off."""
    below = np.floor(np.add(given, _NEARLY))
    above = np.ceil(np.subtract(given, _NEARLY))
    ways = (np.rint(given), (*below[:2], *above[2:]), below)
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in ways]


def _cut(mask: NDArray[np.bool_], box: Box, size: Size) -> tuple[NDArray[np.bool_], Box] | None:
    """The part of a mask that lies in the picture, and where."""
    inside = whole_box(box, size)
    if inside is None:
        return None
    x0, y0, x1, y1 = inside
    crop = mask[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    return np.ascontiguousarray(crop), inside


def _stretched(mask: NDArray[np.bool_], given: FloatBox, pixels: Box) -> NDArray[np.bool_]:
    """For each pixel of the box, the mask's pixel that lies under its centre."""
    rows = _nearest(mask.shape[0], given[1], given[3], pixels[1], pixels[3])
    columns = _nearest(mask.shape[1], given[0], given[2], pixels[0], pixels[2])
    return mask[np.ix_(rows, columns)]


def _nearest(count: int, start: float, end: float, first: int, last: int) -> NDArray[np.intp]:
    centres = np.arange(first, last) + 0.5
    index = np.floor((centres - start) / (end - start) * count).astype(np.intp)
    return np.asarray(np.clip(index, 0, count - 1))
