"""The signed points of a Keypoint."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.geometry import relative_to_pixel_points
from sam_plugins.types import Size

__all__ = ["signed_points"]

_SIGNS = {"foreground": 1, "background": 0, "positive": 1, "negative": 0}
_ROUNDING = 1e-6


def signed_points(
    keypoint: Any, size: Size, attribute: str
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Points in pixels, and whether each is foreground.

    A point with NaN is missing, as FiftyOne has it, and so is its sign. A sign is 1 or 0 as any
    kind of number or bool, or one of the words foreground, background, positive and negative.

    Parameters
    ----------
    keypoint
        A FiftyOne Keypoint.
    size
        (H, W) of the picture.
    attribute
        The Keypoint's attribute that lists one sign per point; without it, or with None in it, all
        are foreground.

    Returns
    -------
    point_coords, point_labels
        (N, 2) float64 xy in pixels, inside the picture, and (N,) int32 of 1 and 0; N is at least 1.

    Raises
    ------
    SampleError
        If no point is set, one lies outside the picture, or the signs are not one per point.
    """
    try:
        points = np.asarray(np.reshape(list(keypoint.points or ()), (-1, 2)), np.float64)
    except (TypeError, ValueError) as error:
        raise SampleError(
            "Expected points as [x, y], found something else: draw them again."
        ) from error
    signs = _signs(keypoint, len(points), attribute)
    there = np.asarray(~np.isnan(points).any(axis=1))
    chosen = [sign for sign, is_there in zip(signs, there.tolist(), strict=True) if is_there]
    points = points[there]
    if not len(points):
        raise SampleError("None of its points is set: draw one, or delete the label.")
    outside = ~((points >= -_ROUNDING) & (points <= 1 + _ROUNDING)).all(axis=1)
    if outside.any():
        x, y = points[outside][0]
        raise SampleError(
            f"Point ({x:g}, {y:g}) lies outside the picture, which reaches from 0 to 1: move it, "
            "or delete it."
        )
    coords = relative_to_pixel_points(np.clip(points, 0, 1), size)
    return coords, np.array([_sign(value, attribute) for value in chosen], np.int32)


def _signs(keypoint: Any, count: int, attribute: str) -> list[Any]:
    values = keypoint.get_attribute_value(attribute, None) if attribute else None
    if values is None:
        return [1] * count
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise SampleError(
            f"Expected a list with one sign per point in {attribute!r}, found {values!r}."
        )
    if len(values) != count:
        raise SampleError(
            f"Expected one sign per point in {attribute!r}, found {len(values)} for {count} "
            "points: give 1 for foreground and 0 for background."
        )
    return list(values)


def _sign(value: Any, attribute: str) -> int:
    sign = _SIGNS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(sign, bool | int | float | np.generic) or sign not in (0, 1):
        raise SampleError(
            f"Expected 1 (foreground) or 0 (background) in {attribute!r}, found {value!r}."
        )
    return int(sign)
