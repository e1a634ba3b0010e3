"""PNG, JPEG, WebP, BMP and GIF.

Pillow's file classes are used without `PIL.Image.open`, whose limit belongs to the whole process;
the pixels of a PNG come from libpng, which keeps 16-bit colour and checks every checksum.
"""

from collections.abc import Callable

import imagecodecs
import numpy as np
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images.limits import Limits
from sam_plugins.images.reader import Pixels, Reader

__all__ = ["FORMATS", "count_pages", "pillow_pixels", "read_page"]

FORMATS: dict[str, Callable[..., ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}

# The densest codes are those of a one-bit PNG, 8256 pixels in a byte. A still WebP of one colour
# has no bound, and its decoder checks the size itself.
_MOST_PIXELS_PER_BYTE = 2**14


def count_pages(reader: Reader, kind: str, limits: Limits) -> int:
    """Pages of an animated GIF, WebP or PNG; 1 for every other file."""
    return _open(reader, kind, limits)[1]


def read_page(reader: Reader, kind: str, page: int, limits: Limits) -> Pixels:
    """Decode one page; animation frames are composed onto those before them."""
    name = reader.name_in_messages
    image, pages = _open(reader, kind, limits)
    if not 0 <= page < pages:
        raise ImageError(f"{name} has pages 0 to {pages - 1}, found page={page}.")
    if kind == "PNG" and page == 0:
        return _png(reader, image)
    if page:
        image.seek(page)
    image.load()
    return pillow_pixels(image)


def pillow_pixels(image: Image.Image) -> Pixels:
    """The pixels of a loaded Pillow image, palettes and CMYK turned into RGB."""
    orientation = _orientation(image)
    if image.mode in ("LA", "La"):
        image = image.getchannel("L")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "RGB", "RGBA", "I", "F") and image.mode[:4] != "I;16":
        image = image.convert("RGB")
    planes = np.array(image)
    if planes.ndim == 2:
        planes = planes[:, :, None]
    return Pixels(planes, min(planes.shape[2], 3), orientation=orientation)


def _open(reader: Reader, kind: str, limits: Limits) -> tuple[ImageFile, int]:
    """Header and number of pages, nothing decoded, within the limits."""
    name = reader.name_in_messages
    pages = None
    if kind == "WebP":
        height, width, animated = _webp_header(reader)
        _check_header(reader, kind, height, width, limits, solid=not animated)
    elif kind == "GIF":
        pages = _gif_pages(reader, limits)
    reader.seek(0)
    image = FORMATS[kind](reader.as_file())
    width, height = image.size
    _check_header(reader, kind, height, width, limits, solid=kind == "WebP")
    if pages is None:
        pages = int(getattr(image, "n_frames", 1)) if kind in ("PNG", "WebP") else 1
    limits.check_pages(name, pages)
    return image, pages


def _check_header(
    reader: Reader, kind: str, height: int, width: int, limits: Limits, *, solid: bool
) -> None:
    """Refuse a size beyond the limits, or, unless `solid`, beyond what so few bytes can hold."""
    name = reader.name_in_messages
    limits.check_size(name, height, width)
    if not solid and width * height > _MOST_PIXELS_PER_BYTE * reader.size:
        raise ImageError(
            f"{name} announces {height} x {width} pixels and holds {reader.size:,} bytes, too few "
            f"for a {kind}: it is truncated or damaged, copy or download it again."
        )


def _png(reader: Reader, image: ImageFile) -> Pixels:
    """The first page of a PNG, 8 or 16 bits per channel."""
    reader.seek(0)
    data = reader.read()
    planes = imagecodecs.png_decode(data)
    if planes.ndim == 2:
        planes = planes[:, :, None]
    if planes.shape[:2] != (image.height, image.width):
        raise ImageError(f"{reader.name_in_messages} has two PNG headers that disagree.")
    colours = planes.shape[2] - (planes.shape[2] in (2, 4))
    if "exif" not in image.info and (exif := _late_exif(data)):
        image.info["exif"] = exif
    return Pixels(planes, colours, orientation=_orientation(image))


def _late_exif(data: bytes) -> bytes | None:
    """The eXIf chunk wherever it stands in a PNG that has been decoded."""
    position = 8
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] == b"eXIf":
            return b"Exif\0\0" + data[position + 8 : position + 8 + length]
        position += 12 + length
    return None


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 where there is none, or none that can be read."""
    try:
        # A PNG's own method would decode the picture a second time.
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _webp_header(reader: Reader) -> tuple[int, int, bool]:
    """Height, width and whether it is animated; opening the decoder allocates the whole canvas."""
    head = reader.read(30).ljust(30, b"\0")
    if head[12:16] == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        return height, width, bool(head[20] & 2)
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF), False
    width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return height, width, False


def _gif_pages(reader: Reader, limits: Limits) -> int:
    """Walk the blocks of a GIF, so that a frame beyond the limits is known before any is opened."""
    name = reader.name_in_messages
    header = reader.exactly(13)
    width, height = (int.from_bytes(header[at : at + 2], "little") for at in (6, 8))
    _skip_palette(reader, header[10])
    pages = 0
    while pages == 0 or reader.tell() < reader.size:
        block = reader.exactly(1)
        if block == b";":
            break
        if block == b"!":
            reader.exactly(1)
        elif block == b",":
            frame = reader.exactly(9)
            x, y, w, h = (int.from_bytes(frame[at : at + 2], "little") for at in (0, 2, 4, 6))
            width, height = max(width, x + w), max(height, y + h)
            _skip_palette(reader, frame[8])
            reader.exactly(1)
            pages += 1
            limits.check_pages(name, pages)
        else:
            continue
        while length := reader.exactly(1)[0]:
            reader.exactly(length)
    if not pages:
        raise ImageError(f"{name} is a GIF without a picture: save it anew.")
    limits.check_size(name, height, width)
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise LimitError(
            f"{name} is larger than Pillow's GIF decoder accepts: save it as PNG or TIFF."
        )
    return pages


def _skip_palette(reader: Reader, flags: int) -> None:
    if flags & 0x80:
        reader.exactly(3 << (flags & 7) + 1)
