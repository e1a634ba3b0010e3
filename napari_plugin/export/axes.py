"""Letters for the axes of napari's data, and channels as arrays of the labels' shape."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError

__all__ = ["ChannelView", "axis_letters", "channels_of"]

_NAMES = {
    "t": "T",
    "time": "T",
    "frame": "T",
    "z": "Z",
    "depth": "Z",
    "slice": "Z",
    "plane": "Z",
    "c": "C",
    "ch": "C",
    "channel": "C",
}
"""What people call an axis, in small letters, and its letter."""

_LEFT_OVER = {0: "", 1: "Z", 2: "TZ", 3: "TCZ"}
"""Letters of axes that nothing names, the first first."""


def axis_letters(
    ndim: int,
    *,
    channel_axis: int | None = None,
    rows: int | None = None,
    columns: int | None = None,
    names: Sequence[str] = (),
) -> str:
    """A letter for each axis of the data of a Labels layer, of T, C, Z, Y, X.

    Parameters
    ----------
    ndim
        Of the data.
    channel_axis
        The axis, of length 1 in labels, that is the channels of the image.
    rows, columns
        The axes that are y and x; the last two that are no channels by default.
    names
        The layer's axis labels, where the user set them: "t", "time", "z", "channel", ...

    Raises
    ------
    ImageError
        If there are more axes than files have letters for, or too few.
    """
    free = [axis for axis in range(ndim) if axis != channel_axis]
    if len(free) < 2:
        raise ImageError(f"Labels need rows and columns, found {len(free)} axes besides channels.")
    columns = free[-1] if columns is None else columns
    rows = next(axis for axis in reversed(free) if axis != columns) if rows is None else rows
    letters = {rows: "Y", columns: "X"}
    if channel_axis is not None:
        letters[channel_axis] = "C"
    for axis, name in enumerate(names if len(names) == ndim else ()):
        letter = _NAMES.get(str(name).strip().lower())
        if axis not in letters and letter and letter not in letters.values():
            letters[axis] = letter
    rest = [axis for axis in range(ndim) if axis not in letters]
    unused = [letter for letter in _LEFT_OVER[3] if letter not in letters.values()]
    wanted = [letter for letter in _LEFT_OVER.get(len(rest), "") if letter in unused]
    if len(wanted) < len(rest):
        wanted = unused
    if len(wanted) < len(rest):
        raise ImageError(
            f"Files know the axes T, C, Z, Y and X, and these labels have {ndim} axes: export one "
            "part of them at a time, or name the axes of the layer."
        )
    letters |= dict(zip(rest, wanted, strict=False))
    return "".join(letters[axis] for axis in range(ndim))


class ChannelView:
    """One channel of an image as an array of the labels' shape; read when it is indexed.

    Parameters
    ----------
    data
        The image layer's data, at full resolution.
    axis
        Its axis of channels; None if it has none. The view has an axis of length 1 there, or none
        if `drop`.
    number
        Which channel.
    drop
        The labels have no such axis: colours of an rgb layer.
    """

    def __init__(self, data: Any, axis: int | None, number: int, *, drop: bool = False) -> None:
        self._data, self._axis, self._number, self._drop = data, axis, number, drop
        self.shape = tuple(
            1 if place == axis else int(length)
            for place, length in enumerate(data.shape)
            if not (drop and place == axis)
        )
        self.dtype = np.dtype(data.dtype)

    def __getitem__(self, where: tuple[int | slice, ...]) -> NDArray[Any]:
        """As that of an array, for one number or slice for each axis."""
        places = list(where)
        if self._drop and self._axis is not None:
            places.insert(self._axis, self._number)
        elif self._axis is not None:
            one = slice(self._number, self._number + 1)
            places[self._axis] = one if isinstance(places[self._axis], slice) else self._number
        return np.asarray(self._data[tuple(places)])


def channels_of(
    name: str,
    data: Any,
    *,
    channel_axis: int | None = None,
    rgb: bool = False,
    channels: Sequence[int] | None = None,
) -> Mapping[str, ChannelView]:
    """The channels of an image layer by name, to be measured.

    Parameters
    ----------
    name
        Of the layer.
    data
        Its data, at full resolution.
    channel_axis, rgb
        Where its channels are; an rgb layer has them last.
    channels
        Which; all by default.
    """
    if rgb:
        last = len(data.shape) - 1
        colours = ("red", "green", "blue")
        return {f"{name} {c}": ChannelView(data, last, i, drop=True) for i, c in enumerate(colours)}
    if channel_axis is None:
        return {name: ChannelView(data, None, 0)}
    numbers = range(int(data.shape[channel_axis])) if channels is None else channels
    return {f"{name} {n}": ChannelView(data, channel_axis, n) for n in numbers}
