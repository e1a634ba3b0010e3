"""Whatever a user has, as (H, W, 3) uint8 RGB: the only place where pictures are read.

`load_image` takes a path, bytes, an open file, a Pillow image or an array; `as_rgb` takes arrays.
`Limits` bound what is read and are checked against the header, before any pixel is decoded;
`Intensity` says how data other than uint8 becomes uint8. PNG, JPEG, WebP, BMP, GIF and TIFF are
read; everything else gets one clear `sam_plugins.errors.ImageError`.
"""

from sam_plugins.images.arrays import as_rgb
from sam_plugins.images.files import load_image, page_count
from sam_plugins.images.intensity import Intensity, intensity_limits, to_uint8
from sam_plugins.images.limits import Limits
from sam_plugins.images.windows import checked_window, reading

__all__ = [
    "Intensity",
    "Limits",
    "as_rgb",
    "checked_window",
    "intensity_limits",
    "load_image",
    "page_count",
    "reading",
    "to_uint8",
]
