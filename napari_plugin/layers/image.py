"""The image of one or several napari layers: what is segmented."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_plugin.layers.brightness import Brightness, Channel, contrast_of
from napari_plugin.layers.channel_array import ChannelArray
from napari_plugin.layers.checks import check_alike, check_layers, check_shown, level_array
from napari_plugin.layers.choice import ImageChoice
from napari_plugin.layers.frames import PlaneFrames
from napari_plugin.layers.placement import Placement
from napari_plugin.layers.shown import shown_plane
from napari_plugin.values import Plane
from sam_plugins.errors import ImageError
from sam_plugins.ports import ImageSource

__all__ = ["LayerImage"]


class LayerImage:
    """Image layers as planes of RGB. Make it in the GUI thread; read its sources anywhere.

    Parameters
    ----------
    layers
        One napari Image layer (rgb or not, any real dtype, NumPy, dask, zarr, multiscale), or two
        or three of equal shape, each a channel: red, green, blue.
    choice
        Which channels, which brightness, which level; None for the defaults. Its names of layers
        are replaced by those of `layers`.

    Raises
    ------
    ImageError
        If that cannot be segmented; the sentence says why and what to do.
    """

    def __init__(self, layers: Any | Sequence[Any], choice: ImageChoice | None = None) -> None:
        self._layers = tuple(layers) if isinstance(layers, list | tuple) else (layers,)
        check_layers(self._layers)
        names = tuple(str(layer.name) for layer in self._layers)
        choice = replace(choice or ImageChoice(names), layers=names)
        if len(names) > 1 and (choice.channel_axis is not None or choice.channels is not None):
            raise ImageError(
                "Several layers are channels themselves: choose no channel axis with them, or one "
                "layer only."
            )
        self._data = tuple(layer.data for layer in self._layers)
        found = [level_array(layer, choice.level) for layer in self._layers]
        shapes = [tuple(int(s) for s in array.shape) for array in found]
        check_alike(self._layers, shapes)
        self.arrays: tuple[ChannelArray, ...] = ()
        """One for each layer."""
        for layer, array, shape in zip(self._layers, found, shapes, strict=True):
            check_shown(layer, shape[: len(shape) - layer.rgb], choice)
            made = ChannelArray(
                str(layer.name), array, rgb=bool(layer.rgb), channel_axis=choice.channel_axis
            )
            self.arrays += (made,)
        self._shapes = shapes
        self._channels = self._chosen(choice)
        limits = choice.limits
        if limits is not None and len(limits) != len(self._channels):
            raise ImageError(
                f"There must be a pair of black and white for each of {len(self._channels)} "
                f"channels, found {len(limits)}: choose the brightness again."
            )
        if limits is None and choice.intensity == "contrast_limits":
            pairs = {
                array: contrast_of(layer, array.dtype)
                for array, layer in zip(self.arrays, self._layers, strict=True)
            }
            limits = tuple(pairs[channel.array] for channel in self._channels)
        self._choice = replace(choice, limits=limits)
        self._brightness = Brightness(self._channels, together=bool(self.layer.rgb), limits=limits)
        self.placement = self._placed()
        """Where Labels data lie."""

    def _chosen(self, choice: ImageChoice) -> tuple[Channel, ...]:
        if len(self.arrays) > 1:
            return tuple(Channel(array, 0) for array in self.arrays)
        array, channels = self.arrays[0], choice.channels
        if channels is None:
            if array.count > 3:
                raise ImageError(
                    f"'{array.name}' has {array.count} channels and three can be shown: choose "
                    "those for red, green and blue, or one for grey."
                )
            channels = tuple(range(array.count))
        if not all(0 <= number < array.count for number in channels):
            raise ImageError(
                f"'{array.name}' has {array.count} channels, 0 to {array.count - 1}, found "
                f"{channels}: choose among these."
            )
        return tuple(Channel(array, number) for number in channels)

    def _placed(self) -> Placement:
        factors = np.ones(self.ndim)
        if self.layer.multiscale:
            factors = np.asarray(self.layer.downsample_factors, float)[self._choice.level]
            factors = factors[: self.ndim]
        axis = self._choice.channel_axis
        if axis is not None:
            # One voxel over all channels, so that it shows at each of them.
            factors = factors.copy()
            factors[axis] *= self.arrays[0].count
        return Placement.spanning(self.layer, [float(factor) for factor in factors])

    @property
    def choice(self) -> ImageChoice:
        """What was chosen; with `limits` once they are decided, so that it can be replayed."""
        return replace(self._choice, limits=self._brightness.decided)

    @property
    def layer(self) -> Any:
        """The first layer: the one whose place in the world counts."""
        return self._layers[0]

    @property
    def layers(self) -> tuple[Any, ...]:
        """All of them."""
        return self._layers

    @property
    def ndim(self) -> int:
        """Axes of the Labels data."""
        return self.arrays[0].ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the Labels data: the layer's, with 1 at the channel axis."""
        return self.arrays[0].shape

    @property
    def is_current(self) -> bool:
        """Whether the layers still hold the arrays that are read here."""
        pairs = zip(self._layers, self._data, strict=True)
        return all(layer.data is data for layer, data in pairs)

    def with_current_contrast(self) -> "LayerImage":
        """The same image with the contrast limits that its layers have now."""
        choice = replace(self._choice, intensity="contrast_limits", limits=None)
        return LayerImage(self._layers, choice)

    def plane(self, dims: Any) -> Plane:
        """The plane that a viewer shows, from ``viewer.dims``.

        Raises
        ------
        ImageError
            If it shows 3-D, the channel axis as a side of the picture, a place outside the image,
            or the data of the layer have changed their shape.
        """
        self._check_unchanged()
        plane = shown_plane(self, dims)
        self._check_plane(plane)
        return plane

    def size(self, plane: Plane) -> tuple[int, int]:
        """(H, W) of a plane, pixels."""
        return self.shape[plane.rows], self.shape[plane.columns]

    def source(self, plane: Plane, axis: int | None = None) -> ImageSource:
        """A plane as one frame, or all planes parallel to it along `axis` as frames.

        Parameters
        ----------
        plane
            Of the Labels data.
        axis
            A data axis that is not shown: z or t.

        Returns
        -------
        Windows are read when they are asked for, and nothing else; brightness is decided at the
        first read, once for all sources of this object.

        Raises
        ------
        ImageError
            If the plane or the axis does not belong to the image.
        """
        self._check_unchanged()
        self._check_plane(plane)
        if axis is not None and (not 0 <= axis < self.ndim or axis in (plane.rows, plane.columns)):
            raise ImageError(
                f"An object can be followed along an axis that is not shown, found axis {axis} "
                f"with axes {plane.rows} and {plane.columns} shown: choose another."
            )
        if axis is not None and axis == self._choice.channel_axis:
            raise ImageError(
                f"Axis {axis} holds channels, which are all seen at once: choose z or time to "
                "follow an object."
            )
        name = " + ".join(self._choice.layers)
        return PlaneFrames(name, self._channels, self._brightness, plane, axis)

    def notes(self) -> tuple[str, ...]:
        """What a user should know, a sentence each; more after the first read."""
        found = []
        first = Placement.spanning(self.layer, [1.0] * self.ndim).to_world()
        for layer in self._layers[1:]:
            other = Placement.spanning(layer, [1.0] * self.ndim).to_world()
            if not all(np.allclose(a, b) for a, b in zip(first, other, strict=True)):
                found.append(
                    f"'{layer.name}' lies elsewhere than '{self.layer.name}': they are combined "
                    f"pixel by pixel, and results lie on '{self.layer.name}'."
                )
        if self._brightness.note is not None:
            found.append(self._brightness.note)
        return tuple(found)

    def _check_unchanged(self) -> None:
        for layer, shape in zip(self._layers, self._shapes, strict=True):
            now = tuple(int(s) for s in level_array(layer, self._choice.level).shape)
            if now != shape:
                raise ImageError(
                    f"The data of '{layer.name}' had shape {shape} and have {now} now: choose the "
                    "image again."
                )

    def _check_plane(self, plane: Plane) -> None:
        inside = len(plane.index) == self.ndim and all(
            0 <= place < side for place, side in zip(plane.index, self.shape, strict=True)
        )
        if not inside or not {plane.rows, plane.columns} <= set(range(self.ndim)):
            raise ImageError(
                f"A plane of '{self.layer.name}' must lie within {self.shape}, found {plane}: "
                "choose the image again."
            )
        if self._choice.channel_axis in (plane.rows, plane.columns):
            raise ImageError(
                f"Axis {self._choice.channel_axis} of '{self.layer.name}' holds channels and "
                "cannot be a side of the picture: roll the axes of the viewer."
            )
        if self.size(plane) == (1, 1):
            raise ImageError(
                f"The plane shown of '{self.layer.name}' is a single pixel: roll the axes of the "
                "viewer to see a picture."
            )
