"""By what a picture is known again: a hash of a bounded sample."""

import hashlib
from typing import Any

import numpy as np

from napari_plugin.layers.brightness import sample_windows
from napari_plugin.layers.layer_image import LayerImage

__all__ = ["fingerprint"]


def fingerprint(image: LayerImage) -> str:
    """A hash of shape, dtype and a sample of the values; quick also for what lies on a disk."""
    found = hashlib.sha256()
    for layer in image.layers:
        data: Any = layer.data[0] if layer.multiscale else layer.data
        found.update(repr((tuple(data.shape), str(np.dtype(data.dtype)))).encode())
        for where in sample_windows(tuple(data.shape[: image.ndim]), image.channel_axis, None):
            found.update(np.ascontiguousarray(data[where]).tobytes())
    return found.hexdigest()[:32]
