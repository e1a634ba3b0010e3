"""Files in the safetensors format, read by the `safetensors` library.

The format holds nothing but numbers, and the library checks that the tensors fill the file without
gaps or overlaps; only the length of the header is looked at before.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sam_plugins.errors import CheckpointError
from sam_plugins.weights.declared import shown

if TYPE_CHECKING:
    import torch

__all__ = ["SafetensorsFile", "SafetensorsTensor", "open_safetensors"]

MAX_HEADER_BYTES = 16 * 2**20

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """A tensor that the header declares."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class SafetensorsFile:
    """An opened file.

    Attributes
    ----------
    tree
        Name -> `SafetensorsTensor`.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.tree = {name: self._declared(name) for name in file.keys()}  # noqa: SIM118

    def _declared(self, name: str) -> SafetensorsTensor:
        part = self._file.get_slice(name)
        kind = part.get_dtype()
        return SafetensorsTensor(name, DTYPES.get(kind, kind), tuple(part.get_shape()))

    def check(self, name: str, tensor: SafetensorsTensor) -> None:
        """Nothing is left to check: the library has compared every tensor with the file."""

    def read(self, tensor: SafetensorsTensor) -> "torch.Tensor":
        """The numbers of a tensor, in memory of its own."""
        found: torch.Tensor = self._file.get_tensor(tensor.name).clone()
        return found


@contextmanager
def open_safetensors(path: str | os.PathLike[str]) -> Iterator[SafetensorsFile]:
    """Open and check a safetensors file; closed at the end of the block.

    Raises
    ------
    CheckpointError
        If it is damaged or not in this format.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as file:
        start = file.read(8)
    size = os.path.getsize(path)
    header = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= header <= min(MAX_HEADER_BYTES, size - 8):
        raise _damaged(f"a header of {header} bytes in a file of {size}")
    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            yield SafetensorsFile(opened)
    except SafetensorError as error:
        raise _damaged(f"{shown(error)}") from error


def _damaged(found: str) -> CheckpointError:
    return CheckpointError(
        f"Expected a complete safetensors file, found {found}: the file is damaged; download or "
        "save it again."
    )
