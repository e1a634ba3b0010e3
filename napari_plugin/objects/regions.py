"""Boxes of an N-D labels array: reading, writing, and masks that are small while they wait."""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_plugin.values import Plane
from sam_plugins.types import Box

__all__ = [
    "MOST_ELEMENTS",
    "Region",
    "Slices",
    "block_steps",
    "blocks_of",
    "blocks_within",
    "holds_any",
    "in_box",
    "inflate",
    "owned_in",
    "plane_box",
    "read",
    "tight",
    "without",
]

Slices: TypeAlias = tuple[slice, ...]

# The most elements that one mask or one block of a journal may hold: nothing is unpacked beyond it.
MOST_ELEMENTS = 1 << 28
_BLOCK_ELEMENTS = 1 << 22


def read(array: Any, where: Slices) -> NDArray[Any]:
    """The labels of a box as a NumPy array; of a NumPy array it may be a view."""
    return np.asarray(array[where])


def plane_box(plane: Plane, box: Box, crop: NDArray[Any]) -> tuple[Slices, NDArray[Any]]:
    """A crop of a plane as a box of the data.

    Parameters
    ----------
    plane
        Where.
    box
        xyxy of the crop in pixels of the plane.
    crop
        (h, w), rows first.

    Returns
    -------
    where, values
        One slice for each data axis, and `crop` with as many axes, in the order of the data.
    """
    x0, y0, x1, y1 = box
    where = [slice(position, position + 1) for position in plane.index]
    where[plane.rows], where[plane.columns] = slice(y0, y1), slice(x0, x1)
    ordered = crop if plane.rows < plane.columns else crop.T
    return tuple(where), ordered.reshape([part.stop - part.start for part in where])


def in_box(plane: Plane, values: NDArray[Any]) -> NDArray[Any]:
    """The values of a box of one plane as (h, w), rows first: `plane_box` the other way."""
    axes = sorted((plane.rows, plane.columns))
    flat = values.reshape(values.shape[axes[0]], values.shape[axes[1]])
    return flat if plane.rows < plane.columns else flat.T


def tight(where: Slices, mask: NDArray[np.bool_]) -> tuple[Slices, NDArray[np.bool_]]:
    """The same mask cut to what it covers; it must cover something."""
    inner = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        (found,) = np.nonzero(mask.any(axis=others))
        inner.append(slice(int(found[0]), int(found[-1]) + 1))
    outer = tuple(
        slice(part.start + cut.start, part.start + cut.stop)
        for part, cut in zip(where, inner, strict=True)
    )
    return outer, mask[tuple(inner)]


def blocks_of(array: Any, elements: int = _BLOCK_ELEMENTS) -> Iterator[Slices]:
    """Boxes that cover the array, in the order of its axes, along its chunks if it has some."""
    shape = tuple(int(size) for size in array.shape)
    yield from blocks_within(
        tuple(slice(0, size) for size in shape), shape, block_steps(array, elements)
    )


def blocks_within(where: Slices, shape: Sequence[int], steps: Sequence[int]) -> Iterator[Slices]:
    """The blocks of an array with a shape, `steps` long along each axis, that a box touches."""
    starts = [
        range(part.start // step * step, part.stop, step)
        for part, step in zip(where, steps, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(
            slice(start, min(start + step, size))
            for start, step, size in zip(corner, steps, shape, strict=True)
        )


def block_steps(array: Any, elements: int = _BLOCK_ELEMENTS) -> list[int]:
    """How long a block is along each axis: a chunk of the array, or about `elements` of it."""
    shape = tuple(int(size) for size in array.shape)
    return _steps(shape, getattr(array, "chunks", None), elements)


def _steps(shape: Sequence[int], chunks: Any, elements: int) -> list[int]:
    if chunks is not None and len(chunks) == len(shape):
        # zarr says one size for each axis, dask says all sizes of each axis.
        sizes = [c if isinstance(c, int) else max(c) for c in chunks]
        if prod(sizes) <= MOST_ELEMENTS:
            return [max(1, int(size)) for size in sizes]
    steps = [max(1, size) for size in shape]
    for axis, size in enumerate(shape):
        rest = prod(steps[axis + 1 :])
        steps[axis] = max(1, min(size, elements // max(1, rest)))
        if rest <= elements:
            break
    return steps


def inflate(packed: bytes, size: int) -> bytes:
    """Exactly `size` bytes; ValueError for anything else, and never more memory than that."""
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError(f"damaged bytes ({error})") from error
    if len(found) != size:
        raise ValueError(f"expected {size} bytes, found {len(found)} or more")
    return found


@dataclass(frozen=True, slots=True)
class Region:
    """A mask on a box of the data, compressed.

    Parameters
    ----------
    start, shape
        The box: one entry for each data axis.
    packed
        The bits of the mask in C order, compressed.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    packed: bytes

    @classmethod
    def of(cls, where: Slices, mask: NDArray[np.bool_]) -> "Region":
        """The region of a mask on a box."""
        start = tuple(part.start for part in where)
        return cls(start, mask.shape, zlib.compress(np.packbits(mask).tobytes(), 1))

    @property
    def slices(self) -> Slices:
        """What indexes the data."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))

    def mask(self) -> NDArray[np.bool_]:
        """`shape` bool."""
        count = prod(self.shape)
        bits = np.frombuffer(inflate(self.packed, (count + 7) // 8), np.uint8)
        return np.unpackbits(bits, count=count).astype(bool).reshape(self.shape)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "start": list(self.start),
            "shape": list(self.shape),
            "mask": base64.b64encode(self.packed).decode("ascii"),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Region":
        """The region that `to_json` wrote; ValueError, TypeError or KeyError for anything else."""
        start = tuple(int(value) for value in found["start"])
        shape = tuple(int(value) for value in found["shape"])
        if len(start) != len(shape) or min(start, default=0) < 0 or min(shape, default=1) < 1:
            raise ValueError(f"expected a box, found start {start} and shape {shape}")
        if prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"a mask of shape {shape} is larger than {MOST_ELEMENTS} pixels")
        try:
            packed = base64.b64decode(found["mask"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"damaged mask ({error})") from error
        region = cls(start, shape, packed)
        region.mask()
        return region


def _shared(first: Slices, second: Slices) -> Slices | None:
    both = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )
    return both if all(part.start < part.stop for part in both) else None


def _within(outer: Slices, inner: Slices) -> Slices:
    return tuple(
        slice(part.start - whole.start, part.stop - whole.start)
        for whole, part in zip(outer, inner, strict=True)
    )


def owned_in(regions: Sequence[Region], where: Slices) -> NDArray[np.bool_]:
    """Which pixels of a box the regions cover."""
    found = np.zeros([part.stop - part.start for part in where], bool)
    for region in regions:
        shared = _shared(region.slices, where)
        if shared is not None:
            found[_within(where, shared)] |= region.mask()[_within(region.slices, shared)]
    return found


def without(regions: Sequence[Region], where: Slices) -> tuple[Region, ...]:
    """The regions, less what they cover of a box."""
    kept = []
    for region in regions:
        shared = _shared(region.slices, where)
        if shared is None:
            kept.append(region)
        elif shared != region.slices:
            mask = region.mask()
            mask[_within(region.slices, shared)] = False
            if mask.any():
                kept.append(Region.of(*tight(region.slices, mask)))
    return tuple(kept)


def holds_any(array: Any, value: int) -> bool:
    """Whether any pixel of the array holds a value."""
    return any(bool((read(array, where) == value).any()) for where in blocks_of(array))
