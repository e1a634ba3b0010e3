"""`Target`: one picture with the Labels layer that its objects go to, their book and journal."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from napari_plugin.layers import ImageChoice, LayerImage, crop_kwargs, fingerprint, labels_kwargs
from napari_plugin.objects import Book
from napari_plugin.session.operations import OperationLog
from napari_plugin.session.pictures import Pictures
from napari_plugin.values import Plane
from sam_plugins.errors import SamPluginsError
from sam_plugins.ports import Segmenter
from sam_plugins.types import Box

__all__ = ["OBJECTS_NAME", "Target"]

OBJECTS_NAME = "Objects"

_MOST_BYTES_IN_MEMORY = 4 << 30
_PLANES_AHEAD = 64

Preparation = tuple[Hashable, Callable[[Segmenter], Iterator[Any]]]


class Target:
    """What is segmented, and where its objects go.

    Parameters
    ----------
    viewer
        The viewer; a Labels layer is added to it unless one is given.
    layers, choice
        As `LayerImage` takes them.
    labels
        The Labels layer that objects go to; None for a new one.
    detail
        A key of `pictures.DETAILS`.

    Raises
    ------
    SamPluginsError
        If the layers cannot be segmented, or the Labels layer does not fit them.
    """

    def __init__(
        self,
        viewer: Any,
        layers: Sequence[Any],
        choice: ImageChoice,
        *,
        labels: Any | None,
        detail: str,
    ) -> None:
        self._viewer = viewer
        self.layers = tuple(layers)
        self.image = LayerImage(layers, choice)
        self.fingerprint = fingerprint(self.image)
        self.pictures = Pictures(lambda plane: self.image.source(plane), detail)
        self.labels = self._added() if labels is None else self._checked(labels)
        self.book = Book(self.labels.data)
        self.book.on_change.append(lambda regions: self.labels.refresh())
        self.log = OperationLog(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the labels."""
        return tuple(self.image.shape)

    @property
    def axes(self) -> tuple[tuple[int, str, int], ...]:
        """Axes besides rows and columns of the plane in view: (number, name, length)."""
        plane = self.image.plane(self._viewer.dims)
        names = self.layers[0].axis_labels
        return tuple(
            (axis, str(names[axis]), length)
            for axis, length in enumerate(self.shape)
            if axis not in (plane.rows, plane.columns) and length > 1
        )

    def placed(self) -> dict[str, Any]:
        """What places a layer of the labels' coordinates in the world."""
        return labels_kwargs(self.image)

    def place_crop(self, plane: Plane, box: Box) -> dict[str, Any]:
        """What places a layer that holds only a part of a plane."""
        return crop_kwargs(self.image, plane, box)

    def preparations(self, plane: Plane, look: tuple[float, float] | None) -> list[Preparation]:
        """What to encode in the background: the plane in view, then its neighbours outwards."""
        found: list[Preparation] = [(plane, partial(self.pictures.prepare, plane=plane, look=look))]
        neighbours: list[tuple[int, Plane]] = []
        for axis, length in enumerate(self.shape):
            if axis in (plane.rows, plane.columns):
                continue
            here = plane.index[axis]
            neighbours += [
                (abs(position - here), plane.at(axis, position))
                for position in range(length)
                if position != here
            ]
        neighbours.sort(key=lambda entry: entry[0])
        for _, other in neighbours[:_PLANES_AHEAD]:
            found.append((other, partial(self.pictures.prepare, plane=other, look=look)))
        return found

    def close(self) -> None:
        """Nothing is written any more."""
        self.pictures.clear()

    def _added(self) -> Any:
        nbytes = 4 * int(np.prod(self.shape, dtype=np.int64))
        if nbytes > _MOST_BYTES_IN_MEMORY:
            raise SamPluginsError(
                f"Labels for {self.shape} need {nbytes / 2**30:.1f} GB of memory, more than the "
                f"{_MOST_BYTES_IN_MEMORY >> 30} GB that are taken without asking: add a Labels "
                "layer of your own, for example of a zarr array on the disk, and choose it as the "
                "layer that objects go to."
            )
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_labels(
            np.zeros(self.shape, np.int32), name=OBJECTS_NAME, **self.placed()
        )
        self._viewer.layers.selection.active = active
        return layer

    def _checked(self, layer: Any) -> Any:
        if getattr(layer, "multiscale", False):
            raise SamPluginsError(
                f"{layer.name} has several resolutions, and objects can be written to one only: "
                "choose another Labels layer, or a new one."
            )
        if tuple(layer.data.shape) != self.shape:
            raise SamPluginsError(
                f"Objects of {self.image.name} need a Labels layer of shape {self.shape}, found "
                f"{layer.name} of {tuple(layer.data.shape)}: choose another, or a new one."
            )
        if not hasattr(type(layer.data), "__setitem__"):
            raise SamPluginsError(
                f"{layer.name} cannot be written to ({type(layer.data).__name__}): choose another "
                "Labels layer, or a new one."
            )
        return layer
