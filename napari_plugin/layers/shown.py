"""Which plane of an image a viewer shows."""

from typing import Any, Protocol

import numpy as np

from napari_plugin.layers.placement import Placement
from napari_plugin.values import Plane
from sam_plugins.errors import ImageError

__all__ = ["Placed", "shown_plane"]


class Placed(Protocol):
    """What has Labels data somewhere in the world."""

    placement: Placement

    @property
    def layer(self) -> Any:
        """The layer whose place counts."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the Labels data."""
        ...


def shown_plane(image: Placed, dims: Any) -> Plane:
    """The plane of `image` at the sliders of ``viewer.dims``.

    Notes
    -----
    As napari slices: the last axes of the world are the layer's, and where axes are rotated out of
    the plane the sliders alone count.

    Raises
    ------
    ImageError
        If 3-D is shown, an axis that the image does not have, or a place outside it.
    """
    name, ndim = image.layer.name, len(image.shape)
    if dims.ndisplay != 2:
        raise ImageError(
            "The viewer shows 3D, and prompts are given on a plane: switch to 2D (the cube button "
            "below the layer list)."
        )
    before = dims.ndim - ndim
    if before < 0:
        raise ImageError(f"'{name}' is not in this viewer any more: add it, or choose another.")
    order = [int(axis) - before for axis in dims.order]
    rows, columns = order[-2:]
    if rows < 0 or columns < 0:
        raise ImageError(
            f"The viewer shows an axis that '{name}' does not have: roll the axes back, so that it "
            "shows a plane of the image."
        )
    fixed = [axis for axis in range(ndim) if axis not in (rows, columns)]
    index = [0] * ndim
    if fixed:
        matrix, offset = image.placement.to_world(dims.units)
        inverse = np.linalg.inv(matrix)
        part = inverse[np.ix_(fixed, fixed)]
        point = np.asarray(dims.point, np.float64)[before:]
        places = part @ point[fixed] - (inverse @ offset)[fixed]
        for axis, place in zip(fixed, np.round(places), strict=True):
            index[axis] = int(place)
            if not 0 <= index[axis] < image.shape[axis]:
                raise ImageError(
                    f"'{name}' has nothing at this place of the sliders (axis {axis} ends at "
                    f"{image.shape[axis] - 1}, found {index[axis]}): move them to where it is seen."
                )
    return Plane(rows, columns, tuple(index))
