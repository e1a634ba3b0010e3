"""Paths, bytes and open files as one bounded reader, and one sentence for whatever goes wrong."""

import io
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, TypeAlias, cast

from numpy.typing import NDArray
from PIL.Image import DecompressionBombError

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images.limits import Limits

__all__ = ["Pixels", "Reader", "Source", "decoding", "enough_memory", "open_source"]

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]

_STUMBLES = (TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, struct.error)


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """One decoded page, before it becomes RGB.

    Parameters
    ----------
    planes
        (H, W, C) numbers or bool.
    colours
        How many leading channels are colour or grey; the rest is alpha.
    inverted
        Whether 0 is white.
    orientation
        EXIF orientation 1 to 8 of the stored pixels.
    """

    planes: NDArray[Any]
    colours: int
    inverted: bool = False
    orientation: int = 1


class EndOfFileError(Exception):
    """A decoder asked for bytes after the last; no decoder catches it."""


class Reader:
    """A binary file of known size that reports its end instead of returning nothing.

    Decoders take an empty read for the end of the picture when their process has asked them to
    tolerate truncated files, and allocate what a damaged header asks for; neither happens here.
    """

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self._file = file
        self.name_in_messages = name
        self.size = size

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes, all for a negative count; raises at the end of the file."""
        left = max(0, self.size - self._file.tell())
        if count > 0 and not left:
            raise EndOfFileError
        return self._file.read(left if count < 0 else min(count, left))

    def exactly(self, count: int) -> bytes:
        """`count` bytes; raises where the file ends before."""
        data = self.read(count)
        if len(data) < count:
            raise EndOfFileError
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a writable buffer; returns the bytes read, fewer at the end of the file."""
        return cast("int", cast("Any", self._file).readinto(buffer))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()

    def as_file(self) -> IO[bytes]:
        """Itself, typed as the libraries want it."""
        return cast("IO[bytes]", self)


@contextmanager
def open_source(source: Source, limits: Limits) -> Iterator[Reader]:
    """Open a path, bytes or a binary file from its start.

    Raises
    ------
    ImageError
        If it is missing, a folder, unreadable, empty, or not open in binary mode.
    LimitError
        If it has more bytes than `limits` allow.
    """
    with ExitStack() as stack:
        if isinstance(source, bytes | bytearray | memoryview):
            name, file = "The image", cast("BinaryIO", io.BytesIO(source))
        elif isinstance(source, str | os.PathLike):
            name = f"'{os.fspath(source)}'"
            file = stack.enter_context(_open(source, name))
        else:
            name, file = "The image file", _rewound(source, limits)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not size:
            raise ImageError(f"{name} is empty (0 bytes): copy or download it again.")
        limits.check_bytes(name, size)
        yield Reader(file, name, size)


def _open(path: str | os.PathLike[str], name: str) -> BinaryIO:
    if os.path.isdir(path):
        raise ImageError(f"{name} is a folder and an image file is needed: give one file in it.")
    try:
        return open(path, "rb")
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist: check the path of the image.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be opened ({error}): check the path.") from error


def _rewound(file: IO[bytes], limits: Limits) -> BinaryIO:
    """The file at its start; one that cannot be rewound is read into memory."""
    if isinstance(cast("Any", file), io.TextIOBase):
        raise ImageError("The image file is open in text mode: open it in binary mode ('rb').")
    try:
        file.seek(0)
        return cast("BinaryIO", file)
    except (AttributeError, OSError):
        most = -1 if limits.max_bytes is None else limits.max_bytes + 1
        data: Any = file.read(most)
    except ValueError as error:
        raise ImageError(f"The image file cannot be read ({error}): open it again.") from error
    if not isinstance(data, bytes):
        raise ImageError(
            f"The image file gives {type(data).__name__} when read, and bytes are needed: open it "
            "in binary mode, or give its array."
        )
    return io.BytesIO(data)


@contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Turn a lack of memory into a `LimitError`."""
    try:
        yield
    except MemoryError as error:
        raise LimitError(
            f"{name} needs more memory than there is: crop or shrink it, or use a machine with "
            "more; if it should be small, its file is damaged."
        ) from error


@contextmanager
def decoding(name: str, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises for damaged data into one `ImageError`."""
    again = "copy or download it again, or save it anew with another program."
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except DecompressionBombError as error:
        raise LimitError(
            f"{name} is larger than Pillow's {kind} decoder accepts: save it as PNG or TIFF."
        ) from error
    except EndOfFileError as error:
        raise ImageError(f"{name} is truncated, its {kind} data end early: {again}") from error
    except Exception as error:
        # What a decoder says of itself helps nobody; what it says of the file may.
        stumbled = isinstance(error, _STUMBLES) or isinstance(error.__cause__, _STUMBLES)
        reason = "" if stumbled else " ".join(str(error).split())[:200]
        detail = f" ({reason.rstrip('.')})" if reason else ""
        raise ImageError(f"{name} is a damaged {kind} file{detail}: {again}") from error
