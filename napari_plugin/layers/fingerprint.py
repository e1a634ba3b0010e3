"""A short name for the content of an image, from a bounded sample of it."""

import hashlib

from napari_plugin.layers.image import LayerImage
from napari_plugin.layers.sample import sample_windows

__all__ = ["fingerprint"]

_PLANES = 4
_ACROSS = 2
_SIDE = 64


def fingerprint(image: LayerImage) -> str:
    """A hash of shape, dtype, path and a bounded sample of the values; 32 hexadecimal digits.

    The same image opened again from the same place has the same, whatever its channels are mapped
    to. Not all of it is read: two that differ in a few pixels may share one.

    Raises
    ------
    ImageError
        If the data cannot be read.
    """
    digest = hashlib.sha256()
    for layer, array in zip(image.layers, image.arrays, strict=True):
        path = layer.source.path
        said = (array.shape, array.count, array.dtype.str, None if path is None else str(path))
        digest.update(repr(said).encode())
        rows, columns = [axis for axis in range(array.ndim) if axis != array.channel_axis][-2:]
        windows = sample_windows(
            array.shape, rows, columns, planes=_PLANES, across=_ACROSS, side=_SIDE
        )
        numbers = sorted({0, array.count // 2, array.count - 1})
        for plane, boxes in windows:
            for values in array.read_windows(plane, boxes, numbers):
                digest.update(values.tobytes())
    return digest.hexdigest()[:32]
