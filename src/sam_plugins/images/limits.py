"""How much one call may read."""

from dataclasses import dataclass
from typing import Self

from sam_plugins.errors import LimitError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call, checked against the header before any pixel is decoded.

    Pillow's global limit is neither used nor changed, so that two callers in one process can have
    different limits.

    Parameters
    ----------
    max_pixels
        Height times width of the picture; None for no bound.
    max_bytes
        Bytes of the file, and of one page before it becomes uint8; None for no bound.
    max_pages
        Pages of the file; None for no bound.
    """

    max_pixels: int | None
    max_bytes: int | None
    max_pages: int | None

    @classmethod
    def local(cls) -> Self:
        """For a user's own files: 2^30 pixels (32768 x 32768), 16 GiB, a million pages."""
        return cls(max_pixels=2**30, max_bytes=2**34, max_pages=1_000_000)

    @classmethod
    def strict(cls) -> Self:
        """For servers that read what strangers send: 64 megapixels, 512 MiB, a thousand pages."""
        return cls(max_pixels=64_000_000, max_bytes=2**29, max_pages=1_000)

    def check_size(self, name: str, height: int, width: int) -> None:
        """Raise `LimitError` for a picture of more than `max_pixels`."""
        if self.max_pixels is not None and height * width > self.max_pixels:
            raise LimitError(
                f"{name} has {height} x {width} = {height * width:,} pixels and at most "
                f"{self.max_pixels:,} are allowed here: crop or shrink it, or raise "
                "Limits.max_pixels."
            )

    def check_bytes(self, name: str, count: int) -> None:
        """Raise `LimitError` for a file or page of more than `max_bytes`."""
        if self.max_bytes is not None and count > self.max_bytes:
            raise LimitError(
                f"{name} takes {count:,} bytes and at most {self.max_bytes:,} are allowed here: "
                "crop or shrink it, or raise Limits.max_bytes."
            )

    def check_pages(self, name: str, count: int) -> None:
        """Raise `LimitError` for a file of more than `max_pages`."""
        if self.max_pages is not None and count > self.max_pages:
            raise LimitError(
                f"{name} has more than {self.max_pages:,} pages, the most that are allowed here: "
                "split it, or raise Limits.max_pages."
            )
