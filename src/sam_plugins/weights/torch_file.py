"""Files written by ``torch.save``: a zip archive of one pickle and one record per tensor.

The archive's directory and the pickle are checked first; a tensor's bytes are then read straight
from their record. Nothing is unpickled, unpacked or memory-mapped.
"""

import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import IO, TYPE_CHECKING, Any

from sam_plugins.errors import CheckpointError
from sam_plugins.weights.declared import ITEM_BYTES, DeclaredTensor, shown
from sam_plugins.weights.pickle_reader import read_pickle

if TYPE_CHECKING:
    import torch

__all__ = ["TorchFile", "open_torch_file"]

MAX_PICKLE_BYTES = 16 * 2**20
MAX_DIRECTORY_BYTES = 16 * 2**20
MAX_SPREAD = 16
"""Numbers that a view may step over for each one that it holds; all are read."""


def _damaged(found: str) -> CheckpointError:
    return CheckpointError(
        f"Expected a complete file written by torch.save, found {found}: download it again, or "
        "save the weights as safetensors."
    )


class TorchFile:
    """An opened archive whose directory has been checked.

    Attributes
    ----------
    tree
        What was saved: nested dicts with `DeclaredTensor` leaves.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._records = _records(file, self._size)
        names = [name for name in self._records if name.count("/") == 1]
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _damaged("a zip archive without exactly one data.pkl")
        self._root = pickles[0].removesuffix("data.pkl")
        if any(name.startswith(f"{self._root}code/") for name in self._records):
            raise CheckpointError(
                "Expected weights, found a TorchScript program, which holds code: save "
                "model.state_dict() instead."
            )
        if self._record(f"{self._root}byteorder", 16, b"little") != b"little":
            raise _damaged("numbers in big-endian order")
        self.tree: Any = read_pickle(self._record(pickles[0], MAX_PICKLE_BYTES))

    def _record(self, name: str, limit: int, default: bytes | None = None) -> bytes:
        if name not in self._records:
            if default is None:
                raise _damaged(f"no record {shown(name)}")
            return default
        start, size = self._records[name]
        if size > limit:
            raise _damaged(f"{size} bytes in {shown(name)}, where {limit} are the most expected")
        self._file.seek(start)
        return self._file.read(size)

    def check(self, name: str, tensor: DeclaredTensor) -> None:
        """Refuse a tensor that lies outside its record or repeats its numbers.

        Raises
        ------
        CheckpointError
            If the declaration does not fit the bytes that are there.
        """
        storage = tensor.storage
        name = shown(name)
        if len(tensor.shape) != len(tensor.stride):
            raise _damaged(f"{name} with shape {tensor.shape} and stride {tensor.stride}")
        record = f"{self._root}data/{storage.key}"
        if record not in self._records:
            raise _damaged(f"{name} without its numbers (no record {shown(record)})")
        have = self._records[record][1]
        need = storage.count * ITEM_BYTES[storage.dtype]
        if need != have:
            raise _damaged(f"{have} bytes for {name}, which declares {need}")
        count, span = prod(tensor.shape), _span(tensor)
        if not count <= span <= MAX_SPREAD * count or tensor.offset + span > storage.count:
            raise _damaged(
                f"{name} of {count} numbers spread over {span} of a record of {storage.count}"
            )

    def read(self, tensor: DeclaredTensor) -> "torch.Tensor":
        """The numbers of a checked tensor, contiguous, in memory of its own."""
        import torch

        item = ITEM_BYTES[tensor.storage.dtype]
        start = self._records[f"{self._root}data/{tensor.storage.key}"][0]
        buffer = bytearray(_span(tensor) * item)
        self._file.seek(start + tensor.offset * item)
        if self._file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
            raise _damaged("a file that became shorter while it was read")
        flat = torch.frombuffer(buffer, dtype=getattr(torch, tensor.storage.dtype))
        return flat.as_strided(tensor.shape, tensor.stride).contiguous()


def _span(tensor: DeclaredTensor) -> int:
    """Numbers from the first to the last that the view touches."""
    if 0 in tensor.shape:
        return 0
    steps = zip(tensor.shape, tensor.stride, strict=True)
    return 1 + sum((size - 1) * stride for size, stride in steps)


def _records(file: IO[bytes], size: int) -> dict[str, tuple[int, int]]:
    """Record name -> (first byte, bytes); checked against the size of the file."""
    if _directory_bytes(file, size) > MAX_DIRECTORY_BYTES:
        raise _damaged("a zip directory too large for any model")
    try:
        entries = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise _damaged(f"a broken zip archive ({shown(error)})") from error
    records = {}
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise _damaged(f"a compressed or encrypted record {shown(entry.filename)}")
        if entry.filename in records:
            raise _damaged(f"two records named {shown(entry.filename)}")
        start = _first_byte(file, entry)
        if start + entry.file_size > size:
            raise _damaged(f"a record {shown(entry.filename)} that ends after the file")
        records[entry.filename] = (start, entry.file_size)
    if sum(length for _, length in records.values()) > size:
        raise _damaged("records that overlap")
    return records


def _first_byte(file: IO[bytes], entry: zipfile.ZipInfo) -> int:
    file.seek(max(0, entry.header_offset))
    header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise _damaged(f"no record where {shown(entry.filename)} should be")
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    return entry.header_offset + 30 + int(name_bytes) + int(extra_bytes)


def _directory_bytes(file: IO[bytes], size: int) -> int:
    """Length of the zip directory, read before the library builds a list of it."""
    file.seek(max(0, size - 42))
    tail = file.read(42)
    end = tail[-22:]
    if len(end) < 22 or end[:4] != b"PK\x05\x06":
        raise _damaged("a zip archive without its end (an interrupted download or copy)")
    length = int(struct.unpack("<I", end[12:16])[0])
    if length != 0xFFFFFFFF:
        return length
    if tail[:4] != b"PK\x06\x07":
        raise _damaged("a zip archive with a broken end")
    file.seek(min(int(struct.unpack("<Q", tail[8:16])[0]), size))
    record = file.read(56)
    if record[:4] != b"PK\x06\x06" or len(record) != 56:
        raise _damaged("a zip archive with a broken end")
    return int(struct.unpack("<Q", record[40:48])[0])


@contextmanager
def open_torch_file(path: str | os.PathLike[str]) -> Iterator[TorchFile]:
    """Open and check a file written by torch.save; closed at the end of the block."""
    with open(path, "rb") as file:
        yield TorchFile(file)
