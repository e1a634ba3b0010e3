"""`LayerImage`: image layers of a viewer as planes of RGB."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.layers.brightness import sampled_limits
from napari_plugin.layers.choice import ImageChoice
from napari_plugin.values import Plane
from sam_plugins.errors import ImageError
from sam_plugins.images import Intensity, as_rgb
from sam_plugins.ports import ImageSource
from sam_plugins.types import Box, Image, Size

__all__ = ["LayerImage"]


class LayerImage:
    """What is segmented: one image layer, or several of equal shape as channels.

    Nothing is read before it is needed, and then only the window that is asked for: dask and zarr
    are not loaded. May be read from any thread.

    Parameters
    ----------
    layers
        Image layers of napari.
    choice
        What of them to show.

    Raises
    ------
    ImageError
        If they cannot be segmented.
    """

    def __init__(self, layers: Sequence[Any], choice: ImageChoice) -> None:
        self.layers = tuple(layers)
        _check_layers(self.layers)
        first = self.layers[0]
        self.rgb = bool(first.rgb)
        self.ndim = int(first.ndim)
        self._data = [_level(layer, choice.level) for layer in self.layers]
        full = tuple(int(n) for n in self._data[0].shape[: self.ndim])
        axis = choice.channel_axis
        if axis is not None and (self.rgb or len(self.layers) > 1 or not 0 <= axis < self.ndim):
            raise ImageError(
                f"Axis {axis} cannot hold the channels of {_named(self.layers)}: choose another "
                "channel axis, or none."
            )
        if self.ndim - (axis is not None) < 2:
            raise ImageError(
                f"{_named(self.layers)} has shape {full}: a picture needs rows and columns, and "
                "axes of channels besides."
            )
        self.data_shape = full
        self.shape = tuple(1 if n == axis else length for n, length in enumerate(full))
        self._check_sides(axis)
        self.channel_axis = axis
        self.channel_count = full[axis] if axis is not None else 1
        self._shown = self._channels_shown(choice)
        self._note = ""
        self._lock = Lock()
        self._contrast = [_pair(layer.contrast_limits) for layer in self.layers]
        self._asked = choice
        self._limits = choice.limits
        if choice.limits is not None and len(choice.limits) != len(self._shown):
            raise ImageError(
                f"Each of the {len(self._shown)} channels needs a black and a white, found "
                f"{len(choice.limits)}."
            )

    @property
    def choice(self) -> ImageChoice:
        """What is shown, with the values that are black and white."""
        return replace(self._asked, limits=self.limits)

    @property
    def limits(self) -> tuple[tuple[float, float], ...]:
        """Black and white of each channel shown; decided once for the whole layer."""
        with self._lock:
            if self._limits is None:
                self._limits = self._decided()
            return self._limits

    def notes(self) -> tuple[str, ...]:
        """What the user should know about the values, a sentence each; decides `limits`."""
        _ = self.limits
        return (self._note,) if self._note else ()

    @cached_property
    def name(self) -> str:
        """Of the layer, or of all layers."""
        return " + ".join(layer.name for layer in self.layers)

    def plane(self, dims: Any) -> Plane:
        """The plane that a viewer shows.

        Parameters
        ----------
        dims
            ``viewer.dims``.

        Raises
        ------
        ImageError
            If the viewer shows three dimensions, or axes that this image has not.
        """
        if dims.ndisplay != 2:
            raise ImageError("Objects are segmented on planes: switch the viewer to 2D.")
        missing = dims.ndim - self.ndim
        rows, columns = (int(axis) - missing for axis in dims.displayed)
        if min(rows, columns) < 0 or self.channel_axis in (rows, columns):
            raise ImageError(
                f"The viewer shows an axis that {self.name} has not, or its channels: roll the "
                "axes (Ctrl+E) until rows and columns of the image are shown."
            )
        data = self.to_labels(self.layers[0].world_to_data(dims.point[missing:]))
        index = [
            min(max(round(float(value)), 0), length - 1)
            for value, length in zip(data, self.shape, strict=True)
        ]
        index[rows] = index[columns] = 0
        return Plane(rows, columns, tuple(index))

    def size(self, plane: Plane) -> Size:
        """(H, W) of a plane."""
        return self.shape[plane.rows], self.shape[plane.columns]

    def source(self, plane: Plane, axis: int | None = None) -> ImageSource:
        """A plane as a source of one frame, or all planes parallel to it along an axis."""
        return _PlaneSource(self, plane, axis)

    def to_labels(self, data: Any) -> NDArray[np.float64]:
        """Coordinates in the data of the layer -> in the data of its Labels layer."""
        factors, offset = self.placement()
        return (np.asarray(data, np.float64)[..., : self.ndim] - offset) / factors

    def placement(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How data of the Labels layer lie in the image's: ``image = factor * labels + offset``.

        One voxel of the labels spans all channels, and as many voxels as a coarser level has left
        out; napari puts voxels around whole numbers.
        """
        factors = np.ones(self.ndim)
        finest = self.layers[0].data[0].shape if self.layers[0].multiscale else None
        if finest is not None and self._asked.level:
            factors = np.array(finest[: self.ndim], float) / np.array(self.data_shape, float)
        offset = (factors - 1) / 2
        if self.channel_axis is not None:
            factors[self.channel_axis] *= self.channel_count
            offset[self.channel_axis] = (factors[self.channel_axis] - 1) / 2
        return factors, offset

    def read(self, plane: Plane, region: Box | None = None) -> Image:
        """One window of a plane, (h, w, 3) uint8 RGB."""
        planes = [
            as_rgb(self._values(channel, plane, region), intensity=Intensity("limits", *pair))
            for channel, pair in zip(self._shown, self.limits, strict=True)
        ]
        if len(planes) == 1:
            return planes[0]
        picture = np.zeros_like(planes[0])
        for position, levels in enumerate(planes):
            picture[..., position] = levels[..., 0]
        return picture

    # -- inside ------------------------------------------------------------------------------

    def _check_sides(self, axis: int | None) -> None:
        if 0 in self.shape:
            raise ImageError(f"{_named(self.layers)} is empty, its shape is {self.data_shape}.")
        sides = [n for number, n in enumerate(self.shape) if number != axis]
        if max(sides) == 1:
            raise ImageError(
                f"{_named(self.layers)} is a single pixel: there is nothing to segment in it."
            )

    def _channels_shown(self, choice: ImageChoice) -> tuple[tuple[int, int | None], ...]:
        """(layer, channel) for red, green and blue."""
        if self.rgb:
            return tuple((0, number) for number in range(3))
        if len(self.layers) > 1:
            chosen = choice.channels or tuple(range(min(len(self.layers), 3)))
            if max(chosen) >= len(self.layers):
                raise ImageError(f"There are {len(self.layers)} layers, found channels {chosen}.")
            return tuple((number, None) for number in chosen)
        if self.channel_axis is None:
            return ((0, None),)
        chosen = choice.channels or tuple(range(min(self.channel_count, 3)))
        if min(chosen) < 0 or max(chosen) >= self.channel_count:
            raise ImageError(
                f"{self.name} has channels 0 to {self.channel_count - 1}, found {chosen}: choose "
                "others."
            )
        return tuple((0, number) for number in chosen)

    def _decided(self) -> tuple[tuple[float, float], ...]:
        if self._asked.intensity == "contrast_limits" and not self.rgb:
            return tuple(self._contrast[layer] for layer, _ in self._shown)
        found: dict[tuple[int, int | None], tuple[float, float]] = {}
        bad = 0
        for channel in self._shown:
            # The colours of a picture belong together: one black and one white for all of them.
            key = (0, None) if self.rgb else channel
            if key not in found:
                limits, missing = sampled_limits(
                    self._data[channel[0]],
                    self.ndim,
                    self.channel_axis,
                    None if self.rgb else channel[1],
                    self.name,
                )
                found[key], bad = limits, bad + missing
        if bad:
            self._note = (
                f"{self.name} has values that are no numbers (NaN or infinite, {bad:,} in a "
                "sample): they are taken as black."
            )
        return tuple(found[(0, None) if self.rgb else channel] for channel in self._shown)

    def _values(
        self, channel: tuple[int, int | None], plane: Plane, region: Box | None
    ) -> NDArray[Any]:
        """(h, w) numbers of one channel, finite."""
        layer, number = channel
        height, width = self.size(plane)
        x0, y0, x1, y1 = region or (0, 0, width, height)
        where: list[Any] = list(plane.index)
        where[plane.rows], where[plane.columns] = slice(y0, y1), slice(x0, x1)
        if self.channel_axis is not None:
            where[self.channel_axis] = number
        if self.rgb:
            where.append(number)
        data = self._data[layer]
        if tuple(data.shape[: self.ndim]) != self.data_shape:
            raise ImageError(
                f"The data of {self.name} were replaced by others of shape {tuple(data.shape)}: "
                "use the image again."
            )
        try:
            values = np.asarray(data[tuple(where)])
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ImageError(f"{self.name} cannot be read there: {reason}.") from error
        if plane.rows > plane.columns:
            values = values.T
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            low, high = self.limits[self._shown.index(channel)]
            values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        return values


class _PlaneSource:
    """Planes of a `LayerImage` as an `ImageSource`."""

    def __init__(self, image: LayerImage, plane: Plane, axis: int | None) -> None:
        if axis in (plane.rows, plane.columns) or axis == image.channel_axis is not None:
            raise ImageError(f"Objects cannot be followed along axis {axis}, which is shown.")
        self._image, self._plane, self._axis = image, plane, axis
        frames = 1 if axis is None else image.shape[axis]
        self._shape = (frames, *image.size(plane))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return self._shape

    def read(self, index: int, region: Box | None = None) -> Image:
        """One window of one frame."""
        if not 0 <= index < self._shape[0]:
            raise ImageError(f"There are frames 0 to {self._shape[0] - 1}, found {index}.")
        plane = self._plane if self._axis is None else self._plane.at(self._axis, index)
        return self._image.read(plane, region)


def _named(layers: Sequence[Any]) -> str:
    return " + ".join(str(layer.name) for layer in layers)


def _level(layer: Any, level: int) -> Any:
    if not layer.multiscale:
        return layer.data
    if not 0 <= level < len(layer.data):
        raise ImageError(
            f"{layer.name} has levels 0 to {len(layer.data) - 1}, found {level}: choose another."
        )
    return layer.data[level]


def _check_layers(layers: Sequence[Any]) -> None:
    if not layers:
        raise ImageError("Choose an image layer first.")
    for layer in layers:
        kind = type(layer).__name__
        if kind != "Image":
            raise ImageError(
                f"{layer.name} is a {kind} layer: choose an image layer to segment. Objects of a "
                "Labels layer can be refined by choosing it as the layer that objects go to."
            )
        data = layer.data[0] if layer.multiscale else layer.data
        if np.dtype(data.dtype).kind not in "buif":
            raise ImageError(
                f"{layer.name} holds {data.dtype}: an image holds real numbers. Convert it first, "
                "for example with numpy.abs."
            )
    shapes = {tuple(layer.data.shape) if not layer.multiscale else None for layer in layers}
    if len(layers) > 1 and (None in shapes or len(shapes) > 1 or any(x.rgb for x in layers)):
        raise ImageError(
            f"{_named(layers)} cannot be channels of one image: they need equal shapes, one "
            "resolution and no colours of their own."
        )


def _pair(limits: Sequence[float]) -> tuple[float, float]:
    return float(limits[0]), float(limits[1])
