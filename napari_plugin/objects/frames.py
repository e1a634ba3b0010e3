"""A file of frames, each with its length and checksum: what is whole is read, a torn end is not.

The file begins with `MAGIC`. A frame is the length and the CRC-32 of its payload (little-endian,
32 bits each) and the payload: the length of a JSON object (32 bits), the object, and the compressed
labels of the boxes that its "blocks" name, one after the other.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_plugin.objects.errors import JournalError
from napari_plugin.objects.regions import MOST_ELEMENTS, Slices, inflate

__all__ = ["MAGIC", "Block", "Frame", "append", "pack", "read_frames"]

MAGIC = b"sam-plugins journal 1\n"
_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Block:
    """The labels of a box, compressed; `start` and `shape` have one entry for each data axis."""

    start: tuple[int, ...]
    shape: tuple[int, ...]
    packed: bytes = field(repr=False)

    @classmethod
    def of(cls, where: Slices, values: NDArray[Any]) -> "Block":
        """The labels of a box."""
        packed = zlib.compress(np.ascontiguousarray(values).tobytes(), 1)
        return cls(tuple(part.start for part in where), values.shape, packed)

    @property
    def slices(self) -> Slices:
        """What indexes the data."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))

    def values(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The labels; ValueError if they are damaged."""
        count = prod(self.shape)
        if count > MOST_ELEMENTS:
            raise ValueError(f"a block of shape {self.shape} is larger than {MOST_ELEMENTS}")
        raw = inflate(self.packed, count * dtype.itemsize)
        return np.frombuffer(raw, dtype).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry: a JSON object and the labels of boxes."""

    said: Mapping[str, Any]
    blocks: tuple[Block, ...] = ()


def pack(said: Mapping[str, Any], blocks: Sequence[Block] = ()) -> bytes:
    """The bytes of a frame."""
    boxes = [
        {"start": list(b.start), "shape": list(b.shape), "bytes": len(b.packed)} for b in blocks
    ]
    text = json.dumps({**said, "blocks": boxes}, separators=(",", ":"), default=_number).encode()
    payload = b"".join((_LENGTH.pack(len(text)), text, *(block.packed for block in blocks)))
    if len(payload) > _MOST_BYTES:
        raise JournalError(
            f"One change of {len(payload)} bytes is more than a journal entry can hold."
        )
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def append(descriptor: int, data: bytes) -> None:
    """Write all of the bytes at the end of a file; OSError if they do not fit."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _unpack(payload: bytes) -> Frame:
    (length,) = _LENGTH.unpack_from(payload)
    offset = _LENGTH.size + length
    said = json.loads(payload[_LENGTH.size : offset])
    blocks = []
    for box in said.pop("blocks"):
        size = int(box["bytes"])
        start, shape = tuple(map(int, box["start"])), tuple(map(int, box["shape"]))
        if size < 0 or offset + size > len(payload) or min(start + shape, default=0) < 0:
            raise ValueError(f"a block of {size} bytes at {start} does not fit")
        blocks.append(Block(start, shape, payload[offset : offset + size]))
        offset += size
    return Frame(said, tuple(blocks))


def read_frames(path: Path) -> Iterator[Frame | str]:
    """The frames of a file, in order.

    Yields
    ------
    frame
        Each that is whole. A last one that was not written to its end is left out. If the file is
        damaged before its end, a sentence that says so comes last instead.

    Raises
    ------
    JournalError
        If it is not such a file.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise JournalError(f"{path.name} is not a journal of this plugin, or of a newer one.")
        size = os.fstat(file.fileno()).st_size
        yield from _frames(file, size)


def _frames(file: BinaryIO, size: int) -> Iterator[Frame | str]:
    while True:
        start = file.tell()
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return
        length, checksum = _HEAD.unpack(head)
        end = start + _HEAD.size + length
        if end > size and length <= _MOST_BYTES:
            return
        payload = file.read(length) if length <= _MOST_BYTES else b""
        damage = "its checksum differs"
        if length <= _MOST_BYTES and zlib.crc32(payload) == checksum:
            try:
                frame = _unpack(payload)
            except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
                damage = str(error)
            else:
                yield frame
                continue
        if end < size:
            yield (
                f"The journal is damaged at byte {start} of {size} ({damage}): what was done "
                "before that is restored, what was done later is not."
            )
        return
