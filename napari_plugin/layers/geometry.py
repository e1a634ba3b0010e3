"""Where things lie: the world of the viewer, data of layers, pixels of planes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_plugin.layers.layer_image import LayerImage
from napari_plugin.values import Plane
from sam_plugins.types import Box

__all__ = ["crop_kwargs", "labels_kwargs", "world_to_plane"]


def labels_kwargs(image: LayerImage) -> dict[str, Any]:
    """What places a layer over an image: options of ``viewer.add_labels`` and its like.

    Its data have `LayerImage.shape`, or are coordinates in them.
    """
    return _placed(image, np.zeros(image.ndim))


def crop_kwargs(image: LayerImage, plane: Plane, box: Box) -> dict[str, Any]:
    """What places a layer whose data are only a part of a plane.

    Parameters
    ----------
    plane, box
        Which part; the data have one entry along the fixed axes.
    """
    first = np.array(plane.index, float)
    first[plane.columns], first[plane.rows] = box[0], box[1]
    return _placed(image, first)


def world_to_plane(
    image: LayerImage, plane: Plane, position: Sequence[float], dims: Any
) -> tuple[float, float]:
    """The xy in a plane of a place in the world of a viewer; pixels lie around whole numbers."""
    layer = image.layers[0]
    data = image.to_labels(layer.world_to_data(tuple(position)[-image.ndim :]))
    return float(data[plane.columns]), float(data[plane.rows])


def _placed(image: LayerImage, first: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Place data whose entry 0 is entry `first` of the labels."""
    layer = image.layers[0]
    factors, offset = image.placement()
    corner = factors * first + offset
    zero = np.zeros(image.ndim)
    moved = np.asarray(layer.data_to_world(corner)) - np.asarray(layer.data_to_world(zero))
    # The world is reached through scale, shear and rotation, a shift, and then the affine.
    shift = np.linalg.solve(np.asarray(layer.affine.linear_matrix), moved)
    return {
        "scale": np.asarray(layer.scale) * factors,
        "translate": np.asarray(layer.translate) + shift,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }
