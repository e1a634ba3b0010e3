"""Arrays to RGB: which axis holds the channels, and which channel is red, green and blue."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError
from sam_plugins.images.intensity import Intensity, intensity_limits, numeric, to_uint8
from sam_plugins.types import Image

__all__ = ["as_rgb", "check_shape", "chosen_channels", "painted", "planes_to_rgb"]


def as_rgb(
    array: Any,
    *,
    channel_axis: int | None = None,
    channels: int | Sequence[int] | None = None,
    intensity: Intensity | None = None,
) -> Image:
    """One picture held as an array, as RGB.

    Parameters
    ----------
    array
        (H, W), (H, W, C) or (C, H, W); bool, any integer or any float dtype; anything that NumPy
        can convert. It is never modified, and returned itself if it already is C-contiguous
        (H, W, 3) uint8 and nothing is asked for.
    channel_axis
        The axis of a 3-D array that holds the channels. By default the last axis if it has at most
        four entries, otherwise the first if that has; where both have, the last.
    channels
        Numbers of the channels to show as red, green and blue; one number gives grey, two give red
        and green. By default one channel is grey, two are red and green, three are red, green and
        blue, and four in uint8 are RGBA, whose alpha is dropped as the published tools do. Any
        other count needs `channels`.
    intensity
        How values other than uint8 become uint8, see `intensity_limits` for the default; decided
        once over all chosen channels.

    Returns
    -------
    (H, W, 3) uint8, C-contiguous.

    Raises
    ------
    ImageError
        If the array is empty, a single pixel, not 2-D or 3-D, not real numbers, holds NaN or
        infinity, or its channels cannot be told.
    """
    planes = numeric(array)
    check_shape("The image", planes.shape)
    if planes.ndim == 2:
        if channel_axis is not None:
            raise ImageError(
                f"channel_axis={channel_axis} was given for an image of shape {planes.shape}, "
                "which has no channels: leave it out."
            )
        planes = planes[:, :, None]
    else:
        axis = _channel_axis(planes.shape, channel_axis)
        planes = np.moveaxis(planes, axis, -1)
    if channels is None and planes.shape[2] == 4 and planes.dtype == np.uint8:
        planes = planes[:, :, :3]
    return planes_to_rgb("The image", planes, channels, intensity)


def planes_to_rgb(
    name: str,
    planes: NDArray[Any],
    channels: int | Sequence[int] | None,
    intensity: Intensity | None,
) -> Image:
    """(H, W, C) numbers in native byte order to (H, W, 3) uint8, C-contiguous.

    One channel is grey, two are red and green, three are red, green and blue.

    Raises
    ------
    ImageError
        If the picture is a single pixel, has more than three channels of which none are chosen, or
        has NaN or infinite values.
    """
    height, width, count = planes.shape
    if height == width == 1:
        raise ImageError(
            f"{name} is a single pixel: a picture to segment needs at least two, and useful ones "
            "have thousands."
        )
    chosen = chosen_channels(name, count, channels)
    if intensity is None and planes.dtype == np.uint8:
        if chosen == tuple(range(count)) and count == 3:
            return np.ascontiguousarray(planes)
        return painted({c: planes[:, :, c] for c in set(chosen)}, chosen)
    if chosen != tuple(range(count)):
        planes = planes[:, :, list(dict.fromkeys(chosen))]
    numbers = list(dict.fromkeys(chosen))
    if intensity is not None and intensity.per_channel:
        pairs = [intensity_limits(planes[:, :, i], intensity) for i in range(len(numbers))]
    else:
        pairs = [intensity_limits(planes, intensity)] * len(numbers)
    levels = {number: to_uint8(planes[:, :, i], *pairs[i]) for i, number in enumerate(numbers)}
    return painted(levels, chosen)


def check_shape(name: str, shape: tuple[int, ...]) -> None:
    """Raise `ImageError` unless a shape is that of one picture of two pixels or more."""
    if len(shape) not in (2, 3):
        raise ImageError(
            f"{name} must be (H, W), (H, W, C) or (C, H, W), found {len(shape)}-D of shape "
            f"{shape}: take one picture out of it first."
        )
    if 0 in shape:
        raise ImageError(f"{name} is empty, its shape is {shape}: give at least two pixels.")


def _channel_axis(shape: tuple[int, ...], channel_axis: int | None) -> int:
    if channel_axis is not None:
        if not -3 <= channel_axis < 3:
            raise ImageError(
                f"channel_axis must be 0, 1 or 2 for an image of shape {shape}, found "
                f"{channel_axis}."
            )
        return channel_axis
    if shape[2] <= 4:
        return 2
    if shape[0] <= 4:
        return 0
    raise ImageError(
        f"An array of shape {shape} has no axis of up to four channels at its end or start: give "
        "channel_axis and channels, or take one plane of the stack."
    )


def chosen_channels(name: str, count: int, channels: int | Sequence[int] | None) -> tuple[int, ...]:
    """Numbers of the channels to show, one to three; `ImageError` if they cannot be told."""
    if channels is None:
        if count > 3:
            raise ImageError(
                f"{name} has {count} channels and three can be shown: choose those for red, green "
                "and blue, for example channels=(2, 0, 1), or channels=0 for one as grey."
            )
        return tuple(range(count))
    try:
        numbers = (channels,) if isinstance(channels, int | np.integer) else tuple(channels)
        chosen = tuple(int(number) for number in numbers)
        whole = chosen == numbers
    except (TypeError, ValueError):
        chosen, whole = (), False
    if not whole or not 1 <= len(chosen) <= 3 or not all(0 <= c < count for c in chosen):
        raise ImageError(
            f"{name} has {count} channels, so that `channels` must be one to three numbers from 0 "
            f"to {count - 1}, found {channels!r}."
        )
    return chosen


def painted(levels: dict[int, NDArray[np.uint8]], chosen: tuple[int, ...]) -> Image:
    """Number of a channel -> its (H, W) levels, as (H, W, 3): one is grey, two red and green."""
    rgb = np.zeros((*levels[chosen[0]].shape, 3), np.uint8)
    for colour, number in enumerate(chosen * 3 if len(chosen) == 1 else chosen):
        rgb[:, :, colour] = levels[number]
    return rgb
