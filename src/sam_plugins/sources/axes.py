"""What the axes of an array mean: frames, rows, columns, channels."""

from collections.abc import Sequence
from dataclasses import dataclass

from sam_plugins.errors import ImageError

__all__ = ["Axes", "axes_of"]

_CHANNELS = "CS"
_MOST_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class Axes:
    """Numbers of the axes of an array.

    Parameters
    ----------
    rows, columns
        The axes of y and x.
    channel
        The axis of channels, or None.
    frames
        All others, in order; together they count frames, the last fastest.
    """

    rows: int
    columns: int
    channel: int | None
    frames: tuple[int, ...]


def axes_of(name: str, shape: Sequence[int], axes: str | None = None) -> Axes:
    """Name the axes of an array, or check the names given.

    Parameters
    ----------
    name
        Of the array, in messages.
    shape
        Its shape.
    axes
        A letter for each axis: Y and X, C or S for channels, any other for frames ("TCYX",
        "ZYX", "YXC"). Without it (Y, X) is a plane; an axis of up to four at the end or at the
        start of three is taken for channels, as `as_rgb` does; everything before (Y, X) is frames.

    Raises
    ------
    ImageError
        If the letters do not fit, or the axes cannot be told apart.
    """
    shape = tuple(int(side) for side in shape)
    letters = _guessed(name, shape) if axes is None else axes.upper()
    if (
        len(letters) != len(shape)
        or letters.count("Y") != 1
        or letters.count("X") != 1
        or sum(letters.count(letter) for letter in _CHANNELS) > 1
    ):
        raise ImageError(
            f"{name} has shape {shape}, so that axes must be {len(shape)} letters with one Y, one "
            f"X and at most one C or S, found {axes!r}."
        )
    if 0 in shape:
        raise ImageError(f"{name} is empty, its shape is {shape}: give at least a pixel.")
    channel = next((letters.index(letter) for letter in _CHANNELS if letter in letters), None)
    rows, columns = letters.index("Y"), letters.index("X")
    inside = (rows, columns, channel)
    return Axes(rows, columns, channel, tuple(n for n in range(len(shape)) if n not in inside))


def _guessed(name: str, shape: tuple[int, ...]) -> str:
    count = len(shape)
    if count < 2:
        raise ImageError(f"{name} must have rows and columns, found shape {shape}.")
    if count == 2:
        return "YX"
    if shape[-1] <= _MOST_CHANNELS:
        return "T" * (count - 3) + "YXC"
    if count == 3:
        return "CYX" if shape[0] <= _MOST_CHANNELS else "TYX"
    small = [side for side in shape[:-2] if 1 < side <= _MOST_CHANNELS]
    if small:
        raise ImageError(
            f"{name} has shape {shape}, and its axis of {small[0]} may be channels or frames: say "
            f"which with axes, for example axes={('TZ' + 'CYX')[-count:]!r}."
        )
    return "T" * (count - 2) + "YX"
