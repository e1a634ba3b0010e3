"""What napari shows, as planes of RGB for the model, and results that line up with it."""

from napari_plugin.layers.choice import ImageChoice, guess_channel_axis
from napari_plugin.layers.fingerprint import fingerprint
from napari_plugin.layers.geometry import crop_kwargs, labels_kwargs, world_to_plane
from napari_plugin.layers.layer_image import LayerImage

__all__ = [
    "ImageChoice",
    "LayerImage",
    "crop_kwargs",
    "fingerprint",
    "guess_channel_axis",
    "labels_kwargs",
    "world_to_plane",
]
