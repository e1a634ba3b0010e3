"""What a pickled checkpoint declares: values that stand for tensors and for foreign objects."""

import sys
from dataclasses import dataclass
from typing import Any

from sam_plugins.errors import CheckpointError

__all__ = [
    "ITEM_BYTES",
    "DeclaredTensor",
    "Foreign",
    "Storage",
    "call_result",
    "foreign_name",
    "shown",
    "storage_from",
]

MAX_DIMENSIONS = 8
MAX_NUMBER = 2**48

STORAGE_DTYPES = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.ComplexFloatStorage": "complex64",
    "torch.ComplexDoubleStorage": "complex128",
}

ITEM_BYTES = {
    "float32": 4,
    "float64": 8,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "complex64": 8,
    "complex128": 16,
}

HARMLESS_MODULES = frozenset(
    "_codecs argparse collections copyreg datetime decimal enum functools pathlib random".split()  # noqa: SIM905
)
HARMLESS_BUILTINS = frozenset(
    "bytearray complex dict frozenset list object range set slice tuple".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of numbers in the file: record `key`, `count` numbers of `dtype`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class DeclaredTensor:
    """A view of a storage; `offset` and `stride` count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """Name of the number type."""
        return self.storage.dtype


@dataclass(frozen=True, slots=True)
class Foreign:
    """A Python object that is not a tensor; never built. `name` is its class or function."""

    name: str


def shown(text: object) -> str:
    """Text from a file made fit for one line of a message: quoted, and shortened."""
    plain = str(text)
    return repr(plain if len(plain) <= 80 else f"{plain[:77]}...")


def foreign_name(name: str) -> Foreign:
    """A dotted name in a pickle.

    Raises
    ------
    CheckpointError
        If it belongs to the standard library and describes no data, such as `os.system`. It would
        not be called anyway; the user is to know that the file is hostile.
    """
    module, _, rest = name.partition(".")
    if module in ("builtins", "__builtin__"):
        suspect = rest not in HARMLESS_BUILTINS
    else:
        suspect = module in sys.stdlib_module_names and module not in HARMLESS_MODULES
    if suspect:
        raise CheckpointError(
            f"Expected weights, found a pickle that wants {shown(name)} called: it was not "
            "executed, and no honest weights file needs it; delete the file and get the weights "
            "from their publisher."
        )
    return Foreign(name)


def call_result(function: Any, arguments: Any) -> Any:
    """What a call would make, for the few calls that describe weights; else a `Foreign`."""
    if not isinstance(function, Foreign) or not isinstance(arguments, tuple):
        raise TypeError("a call of something that is no function")
    match function.name, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "torch._utils._rebuild_tensor_v2", (Storage() as storage, offset, shape, stride, *_):
            whole = (_number(offset), _numbers(shape), _numbers(stride))
            return DeclaredTensor(storage, *whole)
        case "torch._utils._rebuild_parameter", (DeclaredTensor() as tensor, *_):
            return tensor
        case "torch.Size", (tuple() as sizes,):
            return sizes
    return function


def storage_from(identity: Any) -> Storage:
    """The storage that a persistent id names."""
    match identity:
        case ("storage", Foreign(name), str(key), _, count, *_) if name in STORAGE_DTYPES:
            return Storage(key, STORAGE_DTYPES[name], _number(count))
        case ("storage", Foreign(name), *_):
            raise ValueError(f"numbers of the unknown type {shown(name)}")
    raise ValueError("a block of numbers without a proper name")


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise ValueError("a size that is no sensible whole number")
    return value


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(values) > MAX_DIMENSIONS:
        raise ValueError("a tensor without a proper shape")
    return tuple(_number(value) for value in values)
