"""Planes of an image as the frames of an `ImageSource`."""

from collections.abc import Sequence

from napari_plugin.layers.brightness import Brightness, Channel, to_rgb
from napari_plugin.values import Plane
from sam_plugins.images import checked_window
from sam_plugins.types import Box, Image

__all__ = ["PlaneFrames"]


class PlaneFrames:
    """One plane, or all that are parallel to it along an axis. Safe to share between threads.

    Parameters
    ----------
    name
        In messages.
    channels
        One to three, of arrays of equal `shape`.
    brightness
        Of these channels.
    plane
        Which is read.
    axis
        Along which frames are counted; None for one frame.
    """

    def __init__(
        self,
        name: str,
        channels: Sequence[Channel],
        brightness: Brightness,
        plane: Plane,
        axis: int | None,
    ) -> None:
        self.name = name
        self._channels, self._brightness = tuple(channels), brightness
        self._plane, self._axis = plane, axis
        sides = self._channels[0].array.shape
        frames = 1 if axis is None else sides[axis]
        self._shape = (frames, sides[plane.rows], sides[plane.columns])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return self._shape

    def read(self, index: int, region: Box | None = None) -> Image:
        """One window of one frame.

        Parameters
        ----------
        index
            Number of the frame.
        region
            xyxy in pixels; the whole frame by default.

        Returns
        -------
        (h, w, 3) uint8 RGB, C-contiguous.

        Raises
        ------
        ImageError
            If the frame or the region is not there, the data cannot be read there, or all of the
            image is NaN.
        """
        window = checked_window(f"'{self.name}'", self._shape, index, region)
        plane = self._plane if self._axis is None else self._plane.at(self._axis, index)
        limits = self._brightness.limits()
        array = self._channels[0].array
        if all(channel.array is array for channel in self._channels):
            numbers = [channel.number for channel in self._channels]
            values = array.read(plane, window, numbers)
            return to_rgb([values[:, :, i] for i in range(len(numbers))], limits)
        parts = [
            channel.array.read(plane, window, [channel.number])[:, :, 0]
            for channel in self._channels
        ]
        return to_rgb(parts, limits)
