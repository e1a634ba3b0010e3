"""Masks as a PNG in a data URI, read without trusting it."""

import base64
import binascii
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelstudio_backend.controls.control import Mask
from labelstudio_backend.controls.region import Region
from labelstudio_backend.errors import RequestError
from sam_plugins.errors import LimitError
from sam_plugins.images import Limits
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Box, Size

__all__ = ["read_png_mask", "region_png", "write_png_mask"]

_KEYS = ("imageDataURL", "maskDataURL")
_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_SIZE_AT = slice(16, 24)
_HEAD = "data:image/png;base64,"


def region_png(region: Region) -> object:
    """What a region holds in place of a PNG's address; None if it holds none."""
    return next((region.value[key] for key in _KEYS if region.value.get(key)), None)


def read_png_mask(region: Region, size: Size) -> Mask | None:
    """The pixels that are not transparent; of a PNG that knows no transparency those not black.

    Parameters
    ----------
    region
        Of any type.
    size
        (H, W) of the picture, which the PNG must have as well.

    Returns
    -------
    Cut to the bounding box; None if there is no PNG, or nothing on it.

    Raises
    ------
    RequestError
        If it is no whole PNG, of another size, or larger than strangers may send.
    """
    address = region_png(region)
    if address is None:
        return None
    if not isinstance(address, str) or not address.startswith(_HEAD):
        raise region.refused(f"its mask must be a PNG and begin with {_HEAD!r}")
    whole = _decoded(address[len(_HEAD) :], region, size)
    x0, y0, x1, y1 = mask_to_box(whole)
    return (whole[y0:y1, x0:x1].copy(), (x0, y0, x1, y1)) if x1 > x0 else None


def write_png_mask(crop: NDArray[np.bool_], box: Box, size: Size) -> str:
    """A data URI of the whole picture, black on transparent as Label Studio draws it.

    Two colours of one bit each: browsers see the same, and a large picture takes milliseconds.
    """
    height, width = size
    x0, y0, x1, y1 = box
    whole = np.zeros(size, np.uint8)
    whole[y0:y1, x0:x1] = crop
    picture = Image.frombytes("P", (width, height), whole.tobytes())
    picture.putpalette([0, 0, 0] * 2)
    file = io.BytesIO()
    picture.save(file, "PNG", bits=1, transparency=b"\x00\xff")
    return _HEAD + base64.b64encode(file.getvalue()).decode()


def _decoded(text: str, region: Region, size: Size) -> NDArray[np.bool_]:
    limits = Limits.strict()
    try:
        limits.check_bytes("The mask", len(text))
        data = base64.b64decode(text, validate=True)
        if len(data) < _SIZE_AT.stop or not data.startswith(_HEADER):
            raise region.refused("its mask must be a whole PNG, and what it holds is none")
        width, height = struct.unpack(">II", data[_SIZE_AT])
        if (height, width) != size:
            raise region.refused(
                f"its mask of {height} x {width} does not belong to a picture of {size[0]} x "
                f"{size[1]}"
            )
        # Nothing is decoded yet, and Pillow has a limit of its own that only warns.
        limits.check_size("The mask", height, width)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.size != (width, height):  # a second header behind the first one
                raise region.refused("its mask must be a PNG of one size")
            seen = "A" if picture.has_transparency_data else "L"
            colours = picture.convert("RGBA" if seen == "A" else "L")
            return np.asarray(colours.getchannel(seen)) > 0
    except RequestError:
        raise
    except binascii.Error as error:
        raise region.refused(f"its mask must be written in base 64: {error}") from error
    except LimitError as error:
        raise region.refused(str(error).rstrip(".")) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise region.refused(f"its mask must be a whole PNG: {error}") from error
