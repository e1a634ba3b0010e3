"""Files, bytes, Pillow images and arrays to RGB, by one function."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from sam_plugins.errors import ImageError
from sam_plugins.images.arrays import as_rgb, planes_to_rgb
from sam_plugins.images.intensity import Intensity, numeric
from sam_plugins.images.limits import Limits
from sam_plugins.images.pillow_files import count_pages as count_pillow_pages
from sam_plugins.images.pillow_files import pillow_pixels
from sam_plugins.images.pillow_files import read_page as read_pillow_page
from sam_plugins.images.reader import Pixels, Reader, Source, decoding, enough_memory, open_source
from sam_plugins.types import Image

__all__ = ["load_image", "page_count", "upright"]

_LOCAL = Limits.local()
_SUPPORTED = "PNG, JPEG, WebP, BMP, GIF and TIFF"
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)


def load_image(
    image: Any,
    *,
    page: int = 0,
    channels: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    intensity: Intensity | None = None,
    limits: Limits = _LOCAL,
) -> Image:
    """One picture from whatever holds it, as RGB.

    PNG, JPEG, WebP, BMP, GIF and TIFF are read, told apart by their content. EXIF orientation is
    applied, alpha is dropped and colour profiles are ignored, which is how the published examples
    read pictures. A truncated file is an error and never half a picture.

    Parameters
    ----------
    image
        A path, the bytes of a file, an open binary file (read from its start), a Pillow image, or
        an array (see `as_rgb`).
    page
        Of a multi-page TIFF or an animation, counted from 0; see `page_count`.
    channels
        Channel numbers for red, green and blue, or one for grey; see `as_rgb`.
    channel_axis
        Of an array, the axis that holds the channels. Of a TIFF, the axis of its series that
        does, where the file does not say so: ``channel_axis=0`` reads the pages of a plain stack
        as channels of one picture.
    intensity
        How values other than uint8 become uint8; by default 16-bit, float and other wide data are
        stretched between their percentiles 0.1 and 99.9, see `intensity_limits`.
    limits
        How much may be read; `Limits.strict` for what strangers send.

    Returns
    -------
    (H, W, 3) uint8, C-contiguous; a new array, except that an array which already is one is
    returned itself.

    Raises
    ------
    ImageError
        If it is missing, empty, truncated, damaged, of another format, a single pixel, has no such
        page, holds NaN or infinity, or its channels cannot be told.
    LimitError
        If it is larger than `limits` allow.
    """
    if isinstance(image, PillowImage.Image):
        _only_page("A Pillow image", page)
        _no_channel_axis("A Pillow image", channel_axis)
        limits.check_size("The image", image.height, image.width)
        with enough_memory("The image"):
            with decoding("The image", image.format or "Pillow"):
                image.load()
                pixels = pillow_pixels(image)
            return _rgb("The image", pixels, channels, intensity)
    if _is_source(image):
        with open_source(image, limits) as reader, enough_memory(reader.name_in_messages):
            pixels = _read(reader, page, channel_axis, limits)
            return _rgb(reader.name_in_messages, pixels, channels, intensity)
    _only_page("An array", page)
    shape = tuple(getattr(image, "shape", ()))
    if len(shape) >= 2:
        height, width = sorted(shape)[-2:]
        limits.check_size("The image", height, width)
    with enough_memory("The image"):
        array = numeric(image)
        limits.check_bytes("The image", array.nbytes)
        return as_rgb(array, channel_axis=channel_axis, channels=channels, intensity=intensity)


def page_count(image: Source, *, channel_axis: int | None = None, limits: Limits = _LOCAL) -> int:
    """How many pages a file has: those of a TIFF, the frames of an animation, otherwise one.

    The axes of a TIFF that are neither rows, columns nor channels count pages, the last fastest:
    a ZCYX stack has as many pages as planes in z. Without such metadata each directory of the file
    is a page.

    Parameters
    ----------
    image
        A path, the bytes of a file, or an open binary file.
    channel_axis, limits
        As for `load_image`.

    Raises
    ------
    ImageError
        If the file cannot be read.
    LimitError
        If it is larger than `limits` allow.
    """
    with open_source(image, limits) as reader:
        kind = _kind(reader)
        with enough_memory(reader.name_in_messages), decoding(reader.name_in_messages, kind):
            if kind == "TIFF":
                from sam_plugins.images import tiff

                return tiff.count_pages(reader, channel_axis, limits)
            return count_pillow_pages(reader, kind, limits)


def _read(reader: Reader, page: int, channel_axis: int | None, limits: Limits) -> Pixels:
    kind = _kind(reader)
    with decoding(reader.name_in_messages, kind):
        if kind == "TIFF":
            from sam_plugins.images import tiff

            return tiff.read_page(reader, page, channel_axis, limits)
        _no_channel_axis(f"A {kind} file", channel_axis)
        return read_pillow_page(reader, kind, page, limits)


def _rgb(
    name: str,
    pixels: Pixels,
    channels: int | Sequence[int] | None,
    intensity: Intensity | None,
) -> Image:
    planes = numeric(pixels.planes)
    if channels is None:
        planes = planes[:, :, : pixels.colours]
    rgb = planes_to_rgb(name, planes, channels, intensity)
    if pixels.inverted:
        rgb = 255 - rgb
    return np.ascontiguousarray(upright(rgb, pixels.orientation))


def upright(rgb: Image, orientation: int) -> Image:
    """Undo an EXIF orientation: mirror first, then transpose."""
    if orientation in (2, 3, 7, 8):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 6, 7):
        rgb = rgb[::-1]
    return rgb.swapaxes(0, 1) if orientation >= 5 else rgb


def _is_source(image: Any) -> bool:
    return isinstance(image, str | os.PathLike | bytes | bytearray | memoryview) or (
        hasattr(image, "read") and not hasattr(image, "__array__")
    )


def _kind(reader: Reader) -> str:
    head = reader.read(16)
    reader.seek(0)
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    raise ImageError(
        f"{reader.name_in_messages} is not an image that is read here, it starts with {head!r}: "
        f"{_SUPPORTED} are; save it as one of them."
    )


def _only_page(name: str, page: int) -> None:
    if page:
        raise ImageError(f"{name} has one page, number 0, found page={page}: leave it out.")


def _no_channel_axis(name: str, channel_axis: int | None) -> None:
    if channel_axis is not None:
        raise ImageError(
            f"{name} says itself which numbers are channels, found channel_axis={channel_axis}: "
            "leave it out, it is for arrays and TIFF files."
        )
