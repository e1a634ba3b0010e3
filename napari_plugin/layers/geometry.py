"""Where things are: the world of the viewer, the data of a Labels layer, the pixels of a plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.layers.image import LayerImage
from napari_plugin.values import Plane
from sam_plugins.errors import ImageError
from sam_plugins.types import Box

__all__ = ["crop_kwargs", "data_to_plane", "labels_kwargs", "plane_to_data", "world_to_plane"]

_MOST_SQUEEZED = 1e12


def labels_kwargs(image: LayerImage) -> dict[str, Any]:
    """What places a layer with data of `image.shape` where the image is.

    Returns
    -------
    scale, translate, rotate, shear, affine, units and axis_labels for ``viewer.add_labels``,
    ``add_points`` and ``add_shapes``; made anew at each call from the transforms the layer has.
    """
    return image.placement.kwargs()


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
    start = [float(place) for place in plane.index]
    x0, y0 = (0, 0) if box is None else box[:2]
    start[plane.rows], start[plane.columns] = float(y0), float(x0)
    return image.placement.moved(start).kwargs()


def world_to_plane(
    image: LayerImage, plane: Plane, position: Sequence[float], dims: Any = None
) -> tuple[float, float]:
    """(x, y) pixels of the plane under a world position, centres at integers.

    Parameters
    ----------
    image, plane
        Where.
    position
        Coordinates of the axes of the viewer, of which the last belong to the image, as
        ``viewer.cursor.position`` gives them.
    dims
        ``viewer.dims``: what units `position` has; the image's where it is not given.

    Returns
    -------
    x, y
        May lie outside the image.

    Raises
    ------
    ImageError
        If the position has fewer axes than the image, or the image is squeezed flat.

    Notes
    -----
    What napari draws counts: it shows a plane by the two shown axes alone, also where a rotation
    or shear leads out of the plane.
    """
    if len(position) < image.ndim:
        raise ImageError(
            f"A position must have {image.ndim} coordinates for '{image.layer.name}', found "
            f"{len(position)}: click on the canvas again."
        )
    shown = [plane.rows, plane.columns]
    matrix, offset = image.placement.to_world(None if dims is None else dims.units)
    where = np.asarray(position, np.float64)[len(position) - image.ndim :]
    seen = matrix[np.ix_(shown, shown)]
    if np.linalg.cond(seen) > _MOST_SQUEEZED:
        raise ImageError(
            f"'{image.layer.name}' is seen from its edge: roll the axes of the viewer."
        )
    y, x = np.linalg.solve(seen, (where - offset)[shown])
    return float(x), float(y)


def plane_to_data(plane: Plane, xy: Any) -> NDArray[np.float64]:
    """(N, 2) xy pixels of a plane to (N, ndim) data coordinates; one (x, y) to (ndim,)."""
    pixels = np.asarray(xy, np.float64)
    coords = np.empty((*pixels.shape[:-1], len(plane.index)), np.float64)
    coords[...] = plane.index
    coords[..., plane.columns], coords[..., plane.rows] = pixels[..., 0], pixels[..., 1]
    return coords


def data_to_plane(plane: Plane, coords: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Data coordinates to xy pixels, and which of them lie on the plane.

    Parameters
    ----------
    plane
        Which slice.
    coords
        (N, ndim) data coordinates of a Points or Shapes layer placed by `labels_kwargs`.

    Returns
    -------
    (N, 2) float64 xy of all, and (N,) bool. A coordinate on a fixed axis counts as lying on the
    slice it rounds to, halves to the even one, as napari slices.
    """
    found = np.asarray(coords, np.float64).reshape(-1, len(plane.index))
    xy = found[:, [plane.columns, plane.rows]]
    fixed = [axis for axis in range(found.shape[1]) if axis not in (plane.rows, plane.columns)]
    on = np.round(found[:, fixed]) == np.asarray(plane.index, np.float64)[fixed]
    return xy, on.all(axis=1)
