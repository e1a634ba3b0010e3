"""Images of napari as planes of RGB, and how results lie where the image lies.

No Qt here: layer objects, ``viewer.dims`` and arrays.
"""

from napari_plugin.layers.choice import ImageChoice
from napari_plugin.layers.files import image_layers
from napari_plugin.layers.fingerprint import fingerprint
from napari_plugin.layers.geometry import (
    crop_kwargs,
    data_to_plane,
    labels_kwargs,
    plane_to_data,
    world_to_plane,
)
from napari_plugin.layers.guess import guess_channel_axis
from napari_plugin.layers.image import LayerImage

__all__ = [
    "ImageChoice",
    "LayerImage",
    "crop_kwargs",
    "data_to_plane",
    "fingerprint",
    "guess_channel_axis",
    "image_layers",
    "labels_kwargs",
    "plane_to_data",
    "world_to_plane",
]
