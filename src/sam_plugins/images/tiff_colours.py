"""What the numbers of a TIFF page mean: grey, colour, palette, ink, alpha."""

from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from sam_plugins.errors import ImageError
from sam_plugins.images.reader import Pixels

__all__ = ["as_pixels"]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_LAB = (8, 9, 10)
_JPEG_CODECS = (6, 7)
_ALPHA_KINDS = (1, 2)


def as_pixels(name: str, planes: NDArray[Any], page: tifffile.TiffPage, *, samples: bool) -> Pixels:
    """Interpret (H, W, C) numbers of a page, whose channels are its `samples` or separate planes.

    Raises
    ------
    ImageError
        If the colour model is not one of grey, RGB, palette, CMYK and YCbCr.
    """
    photometric = int(page.photometric)
    orientation = page.tags.valueof(274, 1)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    count = planes.shape[2]
    colours = count
    if photometric in _LAB:
        raise ImageError(f"{name} is a TIFF in CIELAB colours, which are not read: save it as RGB.")
    if photometric == _PALETTE and count == 1 and page.colormap is not None:
        planes = _through_palette(name, planes[:, :, 0], page.colormap)
        colours = 3
    elif samples and photometric == _INKS and count >= 4:
        planes = _converted(name, planes[:, :, :4], "CMYK")
        colours = 3
    elif samples and photometric == _YCBCR and count == 3 and page.compression not in _JPEG_CODECS:
        planes = _converted(name, planes, "YCbCr")
    elif samples and photometric in (_RGB, _YCBCR):
        colours = min(count, 3)
    elif samples:
        colours = count - sum(kind in _ALPHA_KINDS for kind in page.extrasamples)
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        planes = _spread(planes, int(page.bitspersample))
    return Pixels(planes, colours, photometric == _WHITE_IS_ZERO, orientation)


def _spread(planes: NDArray[Any], bits: int) -> NDArray[Any]:
    """Values of fewer than eight bits, to bool or the whole range of uint8."""
    if bits == 1:
        return planes.astype(bool)
    if bits < 8 and planes.dtype == np.uint8:
        most = 2**bits - 1
        levels = np.rint(np.arange(256).clip(0, most) * (255 / most))
        return np.take(levels.astype(np.uint8), planes)
    return planes


def _through_palette(name: str, indices: NDArray[Any], colormap: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W) numbers of colours, and (3, N) uint16 colours, to (H, W, 3) uint8."""
    if indices.dtype.kind not in "bu" or int(indices.max()) >= colormap.shape[1]:
        raise ImageError(
            f"{name} is a damaged TIFF file, its palette has {colormap.shape[1]} colours and its "
            f"pixels ask for number {indices.max()}: save it as RGB."
        )
    # Some writers store colours of eight bits where sixteen are due.
    colours = colormap >> 8 if colormap.max() > 255 else colormap
    return np.ascontiguousarray(colours.T.astype(np.uint8)[indices.astype(np.intp)])


def _converted(name: str, planes: NDArray[Any], mode: str) -> NDArray[np.uint8]:
    if planes.dtype != np.uint8:
        raise ImageError(
            f"{name} is a TIFF in {mode} colours of dtype {planes.dtype}, and only uint8 is read: "
            "save it as RGB."
        )
    size = planes.shape[1], planes.shape[0]
    image = Image.frombytes(mode, size, np.ascontiguousarray(planes).tobytes())
    return np.asarray(image.convert("RGB"))
