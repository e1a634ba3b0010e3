"""What a TIFF promises, held against the file before anything is decoded."""

import math
import os
import re
import struct
from typing import Any

import numpy as np
import tifffile

from sam_plugins.errors import ImageError
from sam_plugins.images.limits import Limits
from sam_plugins.images.reader import Reader

__all__ = ["check_chain", "check_jpeg", "check_page", "is_plausible_ome"]

_PLAIN_CODECS = {1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000}
_JPEG_CODECS = {6, 7}
_MOST_TAGS = 4096
_MOST_TILE_PIXELS = 2**26
_MOST_OME_PLANES = 10**7


def check_chain(reader: Reader, limits: Limits) -> None:
    """Walk the directories of a TIFF, whose links may lead in a circle or out of the file.

    Raises
    ------
    ImageError
        If they do.
    LimitError
        If there are more pages than `limits` allow.
    """
    name = reader.name_in_messages
    head = reader.exactly(8)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if big:
        head = reader.exactly(8)
    elif reader.size >= 2**32:
        return
    count_format, entry_size, link_format = ("Q", 20, "Q") if big else ("H", 12, "I")
    link_size = struct.calcsize(link_format)
    (link,) = struct.unpack(order + link_format, head[-link_size:])
    if not link:
        raise ImageError(f"{name} is a TIFF without pages: copy or download it again.")
    seen: set[int] = set()
    while link:
        if link in seen:
            raise ImageError(
                f"{name} is a damaged TIFF file, its pages form an endless loop: save it anew."
            )
        seen.add(link)
        limits.check_pages(name, len(seen))
        reader.seek(min(link, reader.size))
        count_size = struct.calcsize(count_format)
        (tags,) = struct.unpack(order + count_format, reader.exactly(count_size))
        if tags > _MOST_TAGS:
            raise ImageError(
                f"{name} is a damaged TIFF file, one page claims {tags:,} tags: save it anew."
            )
        reader.seek(tags * entry_size, os.SEEK_CUR)
        (link,) = struct.unpack(order + link_format, reader.exactly(link_size))


def is_plausible_ome(xml: str) -> bool:
    """Whether OME metadata describe few enough planes to be listed.

    Metadata that are not are ignored, and so are modulo annotations, whose steps are unbounded.
    """
    if "ModuloAlong" in xml:
        return False
    for tag in re.findall(r"<(?:\w+:)?(?:Pixels|TiffData)\b[^>]*>", xml):
        sizes = [int(size) for size in re.findall(r"""\bSize[CZT]\s*=\s*["'](\d+)""", tag)]
        others = [
            int(value)
            for value in re.findall(
                r"""\b(?:PlaneCount|NumPlanes|IFD|First[CZT])\s*=\s*["'](\d+)""", tag
            )
        ]
        if max(math.prod(sizes), *others, 0) > _MOST_OME_PLANES:
            return False
    return True


def check_page(
    reader: Reader,
    page: "tifffile.TiffPage | tifffile.TiffFrame",
    limits: Limits,
    *,
    jpegs: bool = True,
) -> None:
    """Hold one page's size, strips and tiles against the file and the limits.

    Strips and tiles that are JPEGs are read for it; without `jpegs` that is left to `check_jpeg`,
    when each is decoded.

    Raises
    ------
    ImageError
        If strips are missing or lie beyond the end of the file, or the compression is unknown.
    LimitError
        If the page is larger than `limits` allow.
    """
    name = reader.name_in_messages
    keyframe: Any = page.keyframe
    height, width = int(keyframe.imagelength), int(keyframe.imagewidth)
    limits.check_size(name, height, width)
    limits.check_bytes(name, int(keyframe.nbytes))
    if keyframe.compression not in _PLAIN_CODECS | _JPEG_CODECS:
        raise ImageError(
            f"{name} is a TIFF with {_codec(keyframe.compression)} compression, which is not read: "
            "save it without compression, or with LZW, Deflate, Zstandard or JPEG."
        )
    chunk = math.prod(int(side) for side in keyframe.chunks[:2])
    if keyframe.is_tiled and chunk > height * width + _MOST_TILE_PIXELS:
        raise ImageError(
            f"{name} is a damaged TIFF file, its tiles of {chunk:,} pixels are larger than the "
            "picture: save it anew."
        )
    offsets = np.asarray(page.dataoffsets, np.float64)
    counts = np.asarray(page.databytecounts, np.float64)
    expected = 1 if keyframe.is_contiguous else math.prod(keyframe.chunked)
    if len(offsets) < expected or len(counts) < expected:
        raise ImageError(
            f"{name} is a damaged TIFF file, it lists {min(len(offsets), len(counts)):,} of "
            f"{expected:,} strips or tiles: copy or download it again."
        )
    if ((offsets == 0) != (counts == 0)).any() or (offsets + counts > reader.size).any():
        raise ImageError(
            f"{name} is truncated or damaged, its TIFF strips or tiles lie beyond the end of the "
            "file: copy or download it again."
        )
    if jpegs and keyframe.compression in _JPEG_CODECS:
        _check_jpegs(reader, page, chunk)


def _check_jpegs(reader: Reader, page: Any, most_pixels: int) -> None:
    """Strips and tiles that are JPEGs have sizes of their own."""
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if not count:
            continue
        reader.seek(int(offset))
        check_jpeg(reader.name_in_messages, page, reader.exactly(int(count)), most_pixels)


def check_jpeg(name: str, page: Any, data: bytes, most_pixels: int) -> None:
    """Raise `ImageError` if a strip or tile is a JPEG of more pixels than it has room for."""
    if page.keyframe.compression not in _JPEG_CODECS:
        return
    height, width = _jpeg_size(data)
    if height * width > most_pixels:
        raise ImageError(
            f"{name} is a damaged TIFF file, it holds a JPEG of {height} x {width} pixels in a "
            f"strip or tile of {most_pixels:,}: save it anew."
        )


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """(H, W) of the frame header of a JPEG; (0, 0) if there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack(">HH", data[at + 5 : at + 9])
        if marker == 0xFF:
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0


def _codec(compression: int) -> str:
    try:
        return tifffile.COMPRESSION(compression).name
    except ValueError:
        return f"unknown ({compression})"
