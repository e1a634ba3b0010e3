"""The layer that shows masks before they are kept."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.values import Plane, PlaneMask
from sam_plugins.types import Box, Size

__all__ = ["PREVIEW_NAME", "Preview"]

PREVIEW_NAME = "SAM mask"

_DRAWN = ("Points", "Shapes")

_LARGEST_PLANE = 1 << 22
"""Pixels of a plane that is shown whole: a change then costs its pixels and nothing else. Of a
larger one only the part is shown that masks cover, and the layer has to move."""


class Preview:
    """Masks of several objects on the plane in view, in one Labels layer of one plane at most.

    Parameters
    ----------
    viewer
        Where the layer is added when there is something to show. Deleting it changes nothing.
    place
        ``(plane, box) -> options`` that place a layer whose data are only that part of the plane.
    size
        ``plane -> (H, W)``.
    """

    def __init__(
        self,
        viewer: Any,
        place: Callable[[Plane, Box], dict[str, Any]],
        size: Callable[[Plane], Size],
    ) -> None:
        self._viewer = viewer
        self._place, self._size = place, size
        self._layer: Any = None
        self._where: tuple[Plane, Box] | None = None
        self._drawn: Box | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def layer(self) -> Any:
        """The layer, or None while there is none."""
        return self._layer

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shown."""
        return self._layer is None or self._drawn is None

    def show(self, masks: Sequence[tuple[int, PlaneMask]]) -> None:
        """Show masks of one plane, each under a number; nothing if there are none.

        Where they overlap, the later one lies on top.
        """
        seen = [(number, mask) for number, mask in masks if mask.crop.any()]
        if not seen:
            self.hide()
            return
        plane = seen[0][1].plane
        boxes = np.array([mask.box for _, mask in seen])
        (left, top), (right, bottom) = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
        drawn = (left, top, right, bottom)
        height, width = self._size(plane)
        window = (0, 0, width, height) if height * width <= _LARGEST_PLANE else drawn
        picture = self._picture(plane, window)
        for number, mask in seen:
            x0, y0, x1, y1 = mask.box
            here = picture[y0 - window[1] : y1 - window[1], x0 - window[0] : x1 - window[0]]
            # Numbers beyond what a byte holds share colours, which is all that they are here.
            here[mask.crop] = (number - 1) % 255 + 1
        self._drawn = drawn
        self._update(plane, window, picture)

    def hide(self) -> None:
        """Show nothing."""
        if self._layer is None or self._drawn is None or self._where is None:
            return
        plane, window = self._where
        picture = self._picture(plane, window)
        self._drawn = None
        self._update(plane, window, picture)

    def close(self) -> None:
        """Take the layer out of the viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _picture(self, plane: Plane, window: Box) -> NDArray[np.uint8]:
        """(h, w) zeros: the layer's own where it covers this window already, cleaned."""
        if self._layer is None or self._where != (plane, window):
            return np.zeros((window[3] - window[1], window[2] - window[0]), np.uint8)
        data: NDArray[np.uint8] = self._layer.data
        order = (plane.rows, plane.columns)
        picture = data.transpose(*order, *(n for n in range(data.ndim) if n not in order))
        picture = picture.reshape(picture.shape[:2])
        if self._drawn is not None:
            x0, y0, x1, y1 = self._drawn
            picture[y0 - window[1] : y1 - window[1], x0 - window[0] : x1 - window[0]] = 0
        return picture

    def _update(self, plane: Plane, window: Box, picture: NDArray[np.uint8]) -> None:
        if self._layer is not None and self._where == (plane, window):
            self._layer.refresh(thumbnail=False, extent=False)
            return
        placed = self._place(plane, window)
        shape = [1] * len(plane.index)
        shape[plane.rows], shape[plane.columns] = picture.shape
        data = (picture.T if plane.rows > plane.columns else picture).reshape(shape)
        self._where = (plane, window)
        if self._layer is None:
            self._layer = self._added(data, placed)
            return
        for name, value in placed.items():
            setattr(self._layer, name, value)
        self._layer.data = data

    def _added(self, data: NDArray[np.uint8], placed: dict[str, Any]) -> Any:
        """Add the layer below points and shapes, which stay visible so."""
        from napari.layers import Labels

        layers = self._viewer.layers
        active = layers.selection.active
        layer = Labels(data, name=PREVIEW_NAME, opacity=0.55, colormap=_colours(), **placed)
        drawn = [n for n, other in enumerate(layers) if type(other).__name__ in _DRAWN]
        layers.insert(min(drawn, default=len(layers)), layer)
        layers.selection.active = active
        return layer

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = self._where = self._drawn = None


def _colours() -> Any:
    """Bright colours that objects which were kept do not have by default; the first is cyan.

    A map of another kind would be compiled when the first mask is shown, while the window waits.
    """
    from napari.utils.colormaps import CyclicLabelColormap

    hues = ["00e5ff", "ffea00", "ff4081", "76ff03", "ff9100", "b388ff", "ffffff", "1de9b6"]
    opaque = [(*bytes.fromhex(hue), 255) for hue in hues]
    return CyclicLabelColormap(colors=np.array([(0, 0, 0, 0), *opaque]) / 255)
