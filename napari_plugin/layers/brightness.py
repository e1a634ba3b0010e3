"""What becomes black and white, decided once for all planes, windows and directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_plugin.layers.channel_array import ChannelArray
from napari_plugin.layers.sample import sample_windows
from sam_plugins.errors import ImageError
from sam_plugins.images import Intensity, intensity_limits, to_uint8
from sam_plugins.types import Image

__all__ = ["Brightness", "Channel", "contrast_of", "to_rgb"]

Pair: TypeAlias = tuple[float, float]

_PLANES = 8
_ACROSS = 4
_SIDE = 128


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel that is shown: which number of which array."""

    array: ChannelArray
    number: int


class Brightness:
    """The pair of limits of each channel. Safe to share between threads.

    Parameters
    ----------
    channels
        One to three that are shown.
    together
        Whether they share a pair, as the colours of an RGB picture must.
    limits
        Pairs that are decided already.
    """

    def __init__(
        self, channels: Sequence[Channel], *, together: bool, limits: Sequence[Pair] | None
    ) -> None:
        self._channels, self._together = tuple(channels), together
        self._lock = Lock()
        self._limits = None if limits is None else tuple(limits)
        self.note: str | None = None
        """What a user should know of the sample."""

    @property
    def decided(self) -> tuple[Pair, ...] | None:
        """The pairs, None before the first need."""
        return self._limits

    def limits(self) -> tuple[Pair, ...]:
        """A pair for each channel, from a bounded sample over the whole stack at the first call.

        Raises
        ------
        ImageError
            If the sample holds no finite number, or cannot be read.
        """
        with self._lock:
            if self._limits is None:
                self._limits = self._decide()
            return self._limits

    def _decide(self) -> tuple[Pair, ...]:
        if all(channel.array.dtype in (np.uint8, bool) for channel in self._channels):
            pixel = [np.zeros(1, channel.array.dtype) for channel in self._channels]
            return tuple(intensity_limits(values) for values in pixel)
        sampled: dict[Channel, NDArray[Any]] = {}
        read = bad = 0
        for channel in dict.fromkeys(self._channels):
            values = _sample(channel)
            sampled[channel], lost = _finite(values)
            read, bad = read + values.size, bad + lost
            if not sampled[channel].size:
                raise ImageError(
                    f"The image '{channel.array.name}' holds no numbers where it was looked at "
                    "(only NaN or infinity): choose another channel, or the contrast limits of "
                    "the layer as brightness."
                )
        if bad:
            self.note = (
                f"{100 * bad / read:.2g} % of the values looked at are NaN or infinite: they are "
                "shown to the model as black."
            )
        if self._together:
            return (intensity_limits(np.concatenate(list(sampled.values()))),) * len(self._channels)
        pairs = {channel: intensity_limits(values) for channel, values in sampled.items()}
        return tuple(pairs[channel] for channel in self._channels)


def _sample(channel: Channel) -> NDArray[Any]:
    """Values of windows along the last two axes that are not channels, however it is viewed."""
    array = channel.array
    rows, columns = [axis for axis in range(array.ndim) if axis != array.channel_axis][-2:]
    windows = sample_windows(array.shape, rows, columns, planes=_PLANES, across=_ACROSS, side=_SIDE)
    return np.concatenate(
        [
            values.reshape(-1)
            for plane, boxes in windows
            for values in array.read_windows(plane, boxes, [channel.number])
        ]
    )


def _finite(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """The finite ones, and how many are not."""
    if values.dtype.kind != "f":
        return values, 0
    finite = np.isfinite(values)
    bad = int(values.size - np.count_nonzero(finite))
    return (values[finite], bad) if bad else (values, 0)


def to_rgb(planes: Sequence[NDArray[Any]], limits: Sequence[Pair]) -> Image:
    """Numbers of one to three channels as colours.

    Parameters
    ----------
    planes
        (H, W) numbers or bool each; one is grey, two are red and green. NaN and infinity become
        black.
    limits
        Black and white for each.

    Returns
    -------
    (H, W, 3) uint8, C-contiguous.
    """
    rgb = np.zeros((*planes[0].shape, 3), np.uint8)
    for colour, (values, pair) in enumerate(zip(planes, limits, strict=True)):
        rgb[:, :, colour] = _levels(values, pair)
    if len(planes) == 1:
        rgb[:, :, 1:] = rgb[:, :, :1]
    return rgb


def _levels(values: NDArray[Any], pair: Pair) -> NDArray[np.uint8]:
    if values.dtype == np.uint8 and pair == (0.0, 255.0):
        return values
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            values = np.where(finite, values, np.asarray(pair[0], values.dtype))
    return to_uint8(values, *pair)


def contrast_of(layer: Any, dtype: np.dtype[Any]) -> Pair:
    """The contrast limits of a layer; the range of the dtype of an rgb layer, which has none."""
    if layer.rgb:
        return intensity_limits(np.zeros(1, dtype), Intensity("dtype"))
    low, high = (float(value) for value in layer.contrast_limits)
    return low, high
