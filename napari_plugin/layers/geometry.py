"""Where things are: the world of the viewer, the data of a Labels layer, the pixels of a plane."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.layers.image import LayerImage
from napari_plugin.values import Plane
from sam_plugins.types import Box

__all__ = ["crop_kwargs", "data_to_plane", "labels_kwargs", "plane_to_data", "world_to_plane"]


def labels_kwargs(image: LayerImage) -> dict[str, Any]:
    """What places a layer with data of `image.shape` where the image is.

    Returns
    -------
    scale, translate, rotate, shear, affine, units and axis_labels for ``viewer.add_labels``,
    ``add_points`` and ``add_shapes``.
    """
    raise NotImplementedError


def crop_kwargs(image: LayerImage, plane: Plane, box: Box | None = None) -> dict[str, Any]:
    """`labels_kwargs` of a layer that holds a crop of one plane only.

    Parameters
    ----------
    image, plane
        Where.
    box
        xyxy pixels of the plane; all of it by default. The layer's data have the extent of the box
        along rows and columns and 1 along all other axes.
    """
    raise NotImplementedError


def world_to_plane(
    image: LayerImage, plane: Plane, position: Any, dims: Any = None
) -> tuple[float, float]:
    """(x, y) pixels of the plane under a world position, centres at integers.

    Parameters
    ----------
    image, plane
        Where.
    position
        World coordinates of the viewer's axes, of which the last belong to the image, as
        ``viewer.cursor.position`` gives them.
    dims
        ``viewer.dims``; where given, the number of axes of `position` is checked against it.
    """
    raise NotImplementedError


def plane_to_data(plane: Plane, xy: Any) -> NDArray[np.float64]:
    """(N, 2) xy pixels of a plane to (N, ndim) data coordinates; one (x, y) to (ndim,)."""
    raise NotImplementedError


def data_to_plane(plane: Plane, coords: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Data coordinates to xy pixels, and which of them lie on the plane.

    Parameters
    ----------
    plane
        Which slice.
    coords
        (N, ndim) data coordinates of a Points or Shapes layer.

    Returns
    -------
    (N, 2) float64 xy of all, and (N,) bool. A coordinate on a fixed axis counts as lying on the
    slice it rounds to.
    """
    raise NotImplementedError
