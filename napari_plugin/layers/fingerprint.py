"""A short name for the content of an image, from a bounded sample of it."""

import hashlib

from napari_plugin.layers.channel_array import ChannelArray
from napari_plugin.layers.image import LayerImage
from napari_plugin.layers.sample import sample_windows

__all__ = ["fingerprint"]

_PLANES = 4
_ACROSS = 2
_SIDE = 64


def fingerprint(image: LayerImage) -> str:
    """A hash of shape, type and a bounded sample of the values; 32 hexadecimal digits.

    The same image has the same one wherever it lies, in whichever byte order, and whatever its axes
    and channels are taken for. Not all of it is read: two that differ in a few pixels may share
    one.

    Raises
    ------
    ImageError
        If the data cannot be read.
    """
    digest = hashlib.sha256()
    for layer, seen in zip(image.layers, image.arrays, strict=True):
        array = ChannelArray(seen.name, seen.array, rgb=bool(layer.rgb), channel_axis=None)
        kind = (array.dtype.kind, array.dtype.itemsize)
        digest.update(repr((array.shape, array.count, *kind)).encode())
        # The longest axes, so that it does not matter which one holds channels.
        rows, columns = sorted(sorted(range(array.ndim), key=lambda n: array.shape[n])[-2:])
        windows = sample_windows(
            array.shape, rows, columns, planes=_PLANES, across=_ACROSS, side=_SIDE
        )
        for plane, boxes in windows:
            for values in array.read_windows(plane, boxes, range(array.count)):
                digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()[:32]
