"""COCO run-length encoding: a mask as one short string.

Pixels are read column by column (Fortran order); the runs alternate background, foreground,
starting with background. The compressed string is the one of the COCO API: each run length from
the fourth on is stored as its difference to the one two places before, in groups of five bits,
six-bit characters from ``0``.

The COCO API trusts its input: a string whose runs end early decodes to whatever lay in memory.
Here every string is checked before it becomes pixels.
"""

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sam_plugins.errors import ImageError
from sam_plugins.masks import run_lengths, runs_to_crop
from sam_plugins.types import Box, Rle, Size

__all__ = [
    "crop_to_rle",
    "mask_to_rle",
    "rle_area",
    "rle_to_box",
    "rle_to_crop",
    "rle_to_mask",
    "rle_to_runs",
    "runs_to_rle",
]

_MAX_PIXELS = 2**32 - 1
"""The COCO API counts in 32 bits."""

_MAX_GROUPS = 7
"""Five-bit groups that a 32-bit run length can need."""


def mask_to_rle(mask: NDArray[np.bool_]) -> Rle:
    """Encode a mask.

    Parameters
    ----------
    mask
        (H, W) bool, H and W at least 1.

    Returns
    -------
    {"size": [H, W], "counts": str}

    Raises
    ------
    ImageError
        If `mask` is not two-dimensional or is empty.
    """
    if mask.ndim != 2 or mask.size == 0:
        raise ImageError(f"A mask must have shape (H, W) with pixels, found {mask.shape}.")
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in mask.shape], "counts": encoded["counts"].decode("ascii")}


def crop_to_rle(crop: NDArray[np.bool_], box: Box, size: Size) -> Rle:
    """Encode a mask that is given as a crop.

    Parameters
    ----------
    crop
        (h, w) bool, the pixels inside `box`; outside it the mask is False.
    box
        xyxy, x1 and y1 exclusive, inside an image of `size`.
    size
        (H, W) of the whole image. Nothing of this size is made.

    Raises
    ------
    ImageError
        If `crop` has another shape than `box`, or the box leaves the image.
    """
    x0, y0, x1, y1 = box
    height, width = _size({"size": list(size)})
    if crop.shape != (y1 - y0, x1 - x0) or not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
        raise ImageError(
            f"A crop must have the shape of its box inside the image, found {crop.shape} for box "
            f"{box} in an image of {height} x {width}."
        )
    return runs_to_rle(run_lengths(crop, box, (height, width)), (height, width))


def runs_to_rle(runs: NDArray[np.int64], size: Size) -> Rle:
    """Compress run lengths to the string of the COCO API.

    Parameters
    ----------
    runs
        (n,) int64: pixels of background, of foreground, and so on, column by column; together
        those of the image.
    size
        (H, W) of the image.

    Raises
    ------
    ImageError
        If the run lengths do not fill the image exactly.
    """
    height, width = _size({"size": list(size)})
    _check_runs(runs, (height, width))
    values = runs.copy()
    values[3:] -= runs[1:-2]
    # As many groups of five bits as leave the sign right, the lowest first; a sixth bit says that
    # another group follows.
    groups = np.ones(len(values), np.int64)
    for n in range(1, _MAX_GROUPS):
        limit = np.int64(1) << (5 * n - 1)
        groups += (values >= limit) | (values < -limit)
    places = np.arange(_MAX_GROUPS)
    bits = (values[:, None] >> (5 * places)) & 0x1F
    bits |= (places < groups[:, None] - 1) << 5
    characters = bits[places < groups[:, None]] + ord("0")
    return {"size": [height, width], "counts": characters.astype(np.uint8).tobytes().decode()}


def rle_to_runs(rle: Rle) -> NDArray[np.int64]:
    """The run lengths of an encoding: of background, of foreground, and so on, column by column.

    Raises
    ------
    ImageError
        As `rle_to_mask`.
    """
    return _runs(rle)


def rle_to_mask(rle: Rle) -> NDArray[np.bool_]:
    """Decode to (H, W) bool.

    Raises
    ------
    ImageError
        If `rle` is not an encoding, or its runs do not fill its size exactly.
    """
    height, width = _size(rle)
    columns = _flat(_runs(rle)).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def rle_to_crop(rle: Rle) -> tuple[NDArray[np.bool_], Box]:
    """Decode to the mask's bounding box and what is inside it.

    Returns
    -------
    crop, box
        (h, w) bool and its xyxy (x1, y1 exclusive); an empty mask gives (0, 0) and a box of no
        area. Nothing larger than the box is made.

    Raises
    ------
    ImageError
        As `rle_to_mask`.
    """
    size, runs = _size(rle), _runs(rle)
    box = _extent(runs, size[0])
    if box[0] == box[2]:
        return np.zeros((0, 0), bool), box
    return runs_to_crop(runs, box, size), box


def rle_to_box(rle: Rle) -> Box:
    """The mask's bounding box: xyxy, x1 and y1 exclusive; zeros for an empty mask.

    No pixel is made: the memory that this takes depends on the number of runs alone.

    Raises
    ------
    ImageError
        As `rle_to_mask`.
    """
    return _extent(_runs(rle), _size(rle)[0])


def _extent(runs: NDArray[np.int64], height: int) -> Box:
    edges = np.cumsum(runs)
    filled = runs[1::2] > 0
    first_column, first_row = np.divmod(edges[:-1:2][filled], height)
    last_column, last_row = np.divmod(edges[1::2][filled] - 1, height)
    if not len(first_row):
        return 0, 0, 0, 0
    x0, x1 = int(first_column[0]), int(last_column[-1]) + 1
    # A run that goes on in the next column takes up the last row and the first.
    if (first_column != last_column).any():
        return x0, 0, x1, height
    return x0, int(first_row.min()), x1, int(last_row.max()) + 1


def rle_area(rle: Rle) -> int:
    """Pixels of the mask.

    Raises
    ------
    ImageError
        As `rle_to_mask`.
    """
    return int(_runs(rle)[1::2].sum())


def _flat(runs: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _size(rle: Rle) -> Size:
    size = rle.get("size") if isinstance(rle, dict) else None
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(isinstance(n, int) and n > 0 for n in size)
        or size[0] * size[1] > _MAX_PIXELS
    ):
        raise ImageError(
            "A run-length encoding needs 'size': [height, width], together at most "
            f"{_MAX_PIXELS} pixels, found {size!r}."
        )
    return size[0], size[1]


def _runs(rle: Rle) -> NDArray[np.int64]:
    """Run lengths that are known to fill the image."""
    height, width = _size(rle)
    counts = rle.get("counts")
    if isinstance(counts, str | bytes):
        runs = _decompress(counts)
    elif isinstance(counts, list) and all(
        isinstance(n, int) and abs(n) <= _MAX_PIXELS for n in counts
    ):
        runs = np.array(counts, np.int64)
    else:
        raise ImageError(
            "A run-length encoding needs 'counts' as a COCO string or a list of run lengths, "
            f"found {type(counts).__name__}."
        )
    _check_runs(runs, (height, width))
    return runs


def _check_runs(runs: NDArray[np.int64], size: Size) -> None:
    height, width = size
    if (runs < 0).any() or (runs > height * width).any() or int(runs.sum()) != height * width:
        raise ImageError(
            f"The run lengths must add up to {height} x {width} = {height * width} pixels and do "
            "not: the encoding is damaged or its size is another image's."
        )


def _decompress(counts: str | bytes) -> NDArray[np.int64]:
    try:
        text = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError as error:
        raise ImageError(f"A COCO run-length string must be ASCII: {error}.") from error
    values = np.frombuffer(text, np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero((values & 0x20) == 0)
    if not len(values):
        return values
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else np.zeros(1, np.int64)
    lengths = ends - starts + 1 if len(ends) else np.full(1, len(values))
    if (
        values.min() < 0
        or values.max() > 0x3F
        or ends[-1:].tolist() != [len(values) - 1]
        or lengths.max() > _MAX_GROUPS
    ):
        raise ImageError("The COCO run-length string is damaged: it does not decode to numbers.")
    place = np.arange(len(values)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((values & 0x1F) << (5 * place), starts)
    negative = (values[ends] & 0x10) != 0
    numbers[negative] -= np.int64(1) << (5 * lengths[negative])
    # The fourth run length and all later ones are differences to the one two places before.
    numbers[2::2] = numbers[2::2].cumsum()
    numbers[1::2] = numbers[1::2].cumsum()
    return numbers
