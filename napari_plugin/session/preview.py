"""The layer that shows masks before they are accepted: no larger than the masks themselves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_plugin.values import Plane, PlaneMask
from sam_plugins.types import Box

__all__ = ["PREVIEW_NAME", "Preview"]

PREVIEW_NAME = "SAM mask"


class Preview:
    """Masks of several objects on the plane in view, in one small Labels layer.

    Parameters
    ----------
    viewer
        Where the layer is added when there is something to show. Deleting it changes nothing.
    place
        ``(plane, box) -> options`` that place a layer whose data are only that part of the plane.
    """

    def __init__(self, viewer: Any, place: Callable[[Plane, Box], dict[str, Any]]) -> None:
        self._viewer = viewer
        self._place = place
        self._layer: Any = None
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def layer(self) -> Any:
        """The layer, or None while there is none."""
        return self._layer

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
        picture = np.zeros((bottom - top, right - left), np.uint8)
        for number, mask in seen:
            x0, y0, x1, y1 = mask.box
            here = picture[y0 - top : y1 - top, x0 - left : x1 - left]
            # Numbers beyond what a byte holds share colours, which is all that they are here.
            here[mask.crop] = (number - 1) % 255 + 1
        placed = self._place(plane, (left, top, right, bottom))
        if plane.rows > plane.columns:
            picture = picture.T
        shape = [1] * len(plane.index)
        shape[plane.rows], shape[plane.columns] = bottom - top, right - left
        self._set(picture.reshape(shape), placed)

    def hide(self) -> None:
        """Show nothing."""
        if self._layer is not None:
            self._layer.visible = False

    def close(self) -> None:
        """Take the layer out of the viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _set(self, data: Any, placed: dict[str, Any]) -> None:
        if self._layer is None:
            active = self._viewer.layers.selection.active
            self._layer = self._viewer.add_labels(
                data, name=PREVIEW_NAME, opacity=0.55, colormap=_colours(), **placed
            )
            self._viewer.layers.selection.active = active
            return
        self._layer.visible = False
        for name, value in placed.items():
            setattr(self._layer, name, value)
        self._layer.data = data
        self._layer.visible = True

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = None


def _colours() -> Any:
    """Bright colours that objects which were kept do not have by default; the first is cyan.

    A map of another kind would be compiled when the first mask is shown, while the window waits.
    """
    from napari.utils.colormaps import CyclicLabelColormap

    hues = ["00e5ff", "ffea00", "ff4081", "76ff03", "ff9100", "b388ff", "ffffff", "1de9b6"]
    opaque = [(*bytes.fromhex(hue), 255) for hue in hues]
    return CyclicLabelColormap(colors=np.array([(0, 0, 0, 0), *opaque]) / 255)
