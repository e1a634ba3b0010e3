"""Masks in the document, or as files: decided by bytes, one sample at a time.

FiftyOne keeps a mask as NumPy's file format, compressed with zlib. MongoDB refuses a document of
more than 16 MB, and everything else in the sample counts as well.
"""

import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DOCUMENT_LIMIT", "Room", "fits_file", "inline_bytes", "room_for"]

DOCUMENT_LIMIT = 12 << 20
"""Bytes that a document may have with what we write. MongoDB's limit is 16 << 20; the rest is room
for what people and other programs add."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many bytes a sample has left.

    Parameters
    ----------
    inline
        For masks in its document; beyond, they become files.
    labels
        For its labels, with or without masks.
    """

    inline: int
    labels: int


def room_for(document_bytes: int, max_inline_bytes: int) -> Room:
    """What a document of that size has left, given the configuration's limit."""
    left = max(DOCUMENT_LIMIT - document_bytes, 0)
    return Room(inline=min(max_inline_bytes, left), labels=left)


def fits_file(crop: NDArray[np.bool_]) -> bool:
    """Whether a mask can be a file: one of a single pixel would be refused as a picture."""
    return crop.size > 1


def inline_bytes(crops: Iterable[NDArray[np.bool_]], limit: int) -> int:
    """Bytes of masks as FiftyOne keeps them in a document.

    Parameters
    ----------
    crops
        (h, w) bool each.
    limit
        Counting ends where the sum is above it: a mask too large is not compressed in vain twice.

    Returns
    -------
    The sum; where it is above `limit`, that of the first ones.
    """
    total = 0
    for crop in crops:
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(crop, bool), allow_pickle=False)
        total += len(zlib.compress(buffer.getvalue()))
        if total > limit:
            break
    return total
