"""One array of a layer, read by plane and window: rows first, channels last."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.values import Plane, plane_slices
from sam_plugins.images import reading
from sam_plugins.types import Box

__all__ = ["ChannelArray"]

_MOST_IN_ONE_PIECE = 2**26
_ADVICE = "its file may be missing, closed or damaged, open it again"


class ChannelArray:
    """Numbers of an image layer: NumPy, memory maps, dask, zarr, xarray.

    Parameters
    ----------
    name
        Of the layer, in messages.
    array
        With ``shape``, ``dtype`` and ``__getitem__`` with integers and slices; only the asked
        window is read.
    rgb
        Whether the last axis of `array` is colour: 3 for RGB, 4 for RGBA, whose alpha is left out.
    channel_axis
        The axis of channels of an array that is not `rgb`.
    """

    def __init__(self, name: str, array: Any, *, rgb: bool, channel_axis: int | None) -> None:
        self.name, self.array, self.channel_axis = name, array, channel_axis
        sides = tuple(int(side) for side in array.shape)
        self._rgb = rgb
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.ndim = len(sides) - rgb
        shape = list(sides[: self.ndim])
        self.count = 1
        if rgb:
            self.count = min(3, sides[-1])
        elif channel_axis is not None:
            self.count, shape[channel_axis] = shape[channel_axis], 1
        self.shape = tuple(shape)
        """Of Labels data for it: 1 at the channel axis, no colours."""

    def read(self, plane: Plane, box: Box, channels: Sequence[int]) -> NDArray[Any]:
        """Read a window.

        Parameters
        ----------
        plane, box
            Where; xyxy within the plane.
        channels
            Which, in this order; may repeat.

        Returns
        -------
        (h, w, len(channels)) in native byte order, not to be written to.

        Raises
        ------
        ImageError
            If the store fails there.
        """
        where = list(plane_slices(plane, box))
        axis = self.ndim if self._rgb else self.channel_axis
        if axis is None:
            return self._at(where, plane)[:, :, None][:, :, list(channels)]
        low, high = min(channels), max(channels) + 1
        if high - low > 2 * len(set(channels)):
            parts = [self._at(self._with(where, axis, c), plane) for c in channels]
            return np.stack(parts, axis=-1)
        values = self._at(self._with(where, axis, slice(low, high)), plane, axis)
        return values[:, :, [number - low for number in channels]]

    def read_windows(
        self, plane: Plane, boxes: Sequence[Box], channels: Sequence[int]
    ) -> Iterator[NDArray[Any]]:
        """`read` of several windows of one plane; a plane that is stored in one piece once."""
        if len(boxes) > 1 and self._in_one_piece(plane):
            whole = (0, 0, self.shape[plane.columns], self.shape[plane.rows])
            values = self.read(plane, whole, channels)
            for x0, y0, x1, y1 in boxes:
                yield values[y0:y1, x0:x1]
            return
        for box in boxes:
            yield self.read(plane, box, channels)

    def _in_one_piece(self, plane: Plane) -> bool:
        """Whether any window costs about as much as the plane: a page of a file in dask."""
        chunks = getattr(self.array, "chunks", None)
        if not chunks:
            return False
        sides = [max(side) if isinstance(side, tuple) else side for side in chunks]
        shown = (plane.rows, plane.columns)
        few = all(2 * sides[axis] >= self.shape[axis] for axis in shown)
        return few and self.shape[plane.rows] * self.shape[plane.columns] <= _MOST_IN_ONE_PIECE

    def _with(self, where: list[Any], axis: int, part: Any) -> list[Any]:
        return [*where, part] if self._rgb else [*where[:axis], part, *where[axis + 1 :]]

    def _at(self, where: list[Any], plane: Plane, axis: int | None = None) -> NDArray[Any]:
        """Read, and bring rows, columns and channels into this order."""
        with reading(f"The image '{self.name}'", _ADVICE):
            values = np.asarray(self.array[tuple(where)])
        kept = [number for number, part in enumerate(where) if isinstance(part, slice)]
        order = [plane.rows, plane.columns, *(() if axis is None else (axis,))]
        values = values.transpose([kept.index(number) for number in order])
        return values.astype(values.dtype.newbyteorder("="), copy=False)
