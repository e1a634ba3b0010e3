"""Label Studio's own run lengths for brush strokes: masks to them and back.

The format is that of rle-pack: a stream of bits with the number of values, the bits of a value,
four sizes for counts, and then runs; a run repeats one value, or lists some. The values are an RGBA
picture row by row; a mask is what its fourth channel shows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError
from sam_plugins.types import Box, Size

__all__ = ["brush_rle_to_crop", "crop_to_brush_rle"]

_COUNT_BITS = np.array((3, 4, 8, 16))
_VALUE_BITS = 8
_CHANNELS = 4
_OPAQUE = 255
_SEEN = 128
_LARGEST_RUN = 1 << 16
_MOST_BYTES = 1 << 28


def crop_to_brush_rle(crop: NDArray[np.bool_], box: Box, size: Size) -> list[int]:
    """A mask as Label Studio's ``rle``.

    Parameters
    ----------
    crop, box
        (y1 - y0, x1 - x0) bool and its xyxy in the image.
    size
        (H, W) of the image.

    Returns
    -------
    Bytes as a list of numbers, which is what its JSON holds.

    Raises
    ------
    ImageError
        If the crop does not fit its box, or the box the image.
    """
    height, width = size
    x0, y0, x1, y1 = box
    if crop.shape != (y1 - y0, x1 - x0) or not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
        raise ImageError(
            f"A mask of {crop.shape} in box {box} does not fit an image of {height} x {width}."
        )
    if height * width * _CHANNELS >= 1 << 32:
        raise ImageError(
            f"An image of {height} x {width} is too large for brush labels, which count to 2^32: "
            "use polygons."
        )
    lengths, values = _runs(crop, box, size)
    lengths, values = _in_pieces(lengths * _CHANNELS, values)
    kinds = np.searchsorted(_COUNT_BITS, _bits_of(lengths - 1))
    count_bits = _COUNT_BITS[kinds]
    codes = ((4 + kinds) << count_bits | (lengths - 1)) << _VALUE_BITS | values
    header = [height * width * _CHANNELS, _VALUE_BITS - 1, *(_COUNT_BITS - 1)]
    bits = np.concatenate(
        (
            _as_bits(np.array(header), np.array((32, 5, 4, 4, 4, 4))),
            _as_bits(codes, 3 + count_bits + _VALUE_BITS),
        )
    )
    found: list[int] = np.packbits(bits).tolist()
    return found


def brush_rle_to_crop(rle: Sequence[int] | bytes, size: Size) -> tuple[NDArray[np.bool_], Box]:
    """The mask that Label Studio's ``rle`` holds, cut to its bounding box.

    Parameters
    ----------
    rle
        Bytes, or numbers from 0 to 255.
    size
        (H, W) of the image it belongs to.

    Returns
    -------
    crop, box
        As `crop_to_brush_rle` takes them; (0, 0) and no area for an empty mask.

    Raises
    ------
    ImageError
        If it is cut off or damaged, or belongs to an image of another size.
    """
    height, width = size
    mask = np.zeros(height * width, bool)
    _Reader(rle).into(mask, size)
    whole = mask.reshape(size)
    rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
    if not len(rows):
        return np.zeros((0, 0), bool), (0, 0, 0, 0)
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return whole[y0:y1, x0:x1].copy(), (x0, y0, x1, y1)


def _runs(
    crop: NDArray[np.bool_], box: Box, size: Size
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths in pixels, row by row over the image, and their values, 0 and 255 in turns."""
    height, width = size
    edges = np.diff(np.pad(crop, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    offset = (rows + box[1]) * width + box[0]
    changes: NDArray[np.int64] = np.stack((offset + starts, offset + ends), axis=1).ravel()
    # A run that goes on in the next row is one run.
    joined = np.flatnonzero(changes[1:-1:2] == changes[2::2])
    changes = np.delete(changes, np.concatenate((2 * joined + 1, 2 * joined + 2)))
    lengths = np.diff(np.concatenate(([0], changes, [height * width])))
    values = np.where(np.arange(len(lengths)) % 2, _OPAQUE, 0)
    return lengths[lengths > 0], values[lengths > 0]


def _in_pieces(
    lengths: NDArray[np.int64], values: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs no longer than a count can say."""
    pieces = -(-lengths // _LARGEST_RUN)
    owner = np.repeat(np.arange(len(lengths)), pieces)
    cut: NDArray[np.int64] = np.full(len(owner), _LARGEST_RUN, np.int64)
    last = np.cumsum(pieces) - 1
    cut[last] = lengths - (pieces - 1) * _LARGEST_RUN
    return cut, values[owner]


def _bits_of(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many bits each number needs, at least one."""
    return np.frexp(np.maximum(numbers, 1).astype(np.float64))[1].astype(np.int64)


def _as_bits(numbers: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Numbers one after the other, each in so many bits, the highest bit first."""
    widest = int(widths.max(initial=1))
    places = np.arange(widest - 1, -1, -1)
    table = (numbers[:, None] >> places) & 1
    bits: NDArray[np.uint8] = table[places < widths[:, None]].astype(np.uint8)
    return bits


class _Reader:
    """Reads the bits of one ``rle``; never more than there are."""

    def __init__(self, rle: Sequence[int] | bytes) -> None:
        if len(rle) > _MOST_BYTES:
            raise ImageError(f"Brush labels of {len(rle):,} bytes are too large to be read.")
        try:
            data = bytes(rle)
        except (TypeError, ValueError) as error:
            raise ImageError(f"Brush labels must be numbers from 0 to 255: {error}.") from error
        self._data, self._at = data, 0

    def into(self, mask: NDArray[np.bool_], size: Size) -> None:
        """Write the mask, flat, row by row."""
        count = self._read(32)
        if count != mask.size * _CHANNELS:
            raise ImageError(
                f"Brush labels of {count:,} values do not belong to an image of {size[0]} x "
                f"{size[1]}, which has {mask.size * _CHANNELS:,}."
            )
        value_bits = self._read(5) + 1
        sizes = [self._read(4) + 1 for _ in range(4)]
        place = 0
        while place < count:
            repeats = self._read(1)
            end = place + 1 + self._read(sizes[self._read(2)])
            if end > count:
                raise ImageError("Brush labels are damaged: a run goes on past the image.")
            if repeats:
                if self._read(value_bits) >= _SEEN:
                    # Of values in fours the last one says whether the pixel is seen.
                    mask[place // _CHANNELS : end // _CHANNELS] = True
            else:
                for at in range(place, end):
                    value = self._read(value_bits)
                    if at % _CHANNELS == _CHANNELS - 1:
                        mask[at // _CHANNELS] = value >= _SEEN
            place = end

    def _read(self, count: int) -> int:
        end = self._at + count
        if end > 8 * len(self._data):
            raise ImageError("Brush labels are cut off: copy or make them again.")
        first, last = self._at // 8, -(-end // 8)
        window = int.from_bytes(self._data[first:last], "big")
        self._at = end
        return (window >> (8 * last - end)) & ((1 << count) - 1)
