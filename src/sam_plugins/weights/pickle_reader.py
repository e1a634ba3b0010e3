"""Reads what a pickle *says* without doing what it says.

A pickle is a small program that can call any function. `read_pickle` walks its operations on a
stack of plain values and never looks up, imports or calls anything that the file names. Tensors
become `DeclaredTensor`, every other object an inert `Foreign`, so that names, shapes and sizes are
known before a byte of weights is read. This is stricter than ``torch.load(weights_only=True)``,
which makes tensors as it goes and accepts calls that reserve memory.

The operations are those that the standard library's `pickletools` documents.
"""

import pickletools
from typing import Any

from sam_plugins.errors import CheckpointError
from sam_plugins.weights.declared import Foreign, call_result, foreign_name, shown, storage_from

__all__ = ["read_pickle"]

MAX_OPERATIONS = 500_000
"""A state dict of 600 tensors needs about 20 000; this bounds time and memory."""


def read_pickle(data: bytes) -> Any:
    """The content of a pickle, with nothing in it executed.

    Parameters
    ----------
    data
        The bytes of `data.pkl` in a file that torch.save wrote.

    Returns
    -------
    Dicts, lists, tuples, strings and numbers with `DeclaredTensor` and `Foreign` among them.

    Raises
    ------
    CheckpointError
        If the bytes are no pickle, end early, are too many, or name a function of the standard
        library such as `os.system`.
    """
    machine = _Machine()
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MAX_OPERATIONS:
                raise ValueError(f"more than {MAX_OPERATIONS} operations")
            machine.step(operation.name, argument)
        return machine.stack[-1]
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError(
            "Expected tensors by name as torch.save writes them, found a pickle that cannot be "
            f"read ({shown(error)}): download the file again, or save the weights as safetensors."
        ) from error


_MARK = object()
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
    "EMPTY_SET": Foreign("builtins.set"),
}
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "  # noqa: SIM905
    "UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


class _Machine:
    """The stack and memo of a pickle; each operation makes at most one new value.

    Only text is kept as a key: names are, and hashing a deeply nested tuple takes for ever.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _PUTS:
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name not in _IGNORED:
            method = getattr(self, f"_do_{name.lower()}", None)
            if method is None:
                raise ValueError(f"the operation {name}")
            method(argument)

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while place >= 0 and self.stack[place] is not _MARK:
            place -= 1
        if place < 0:
            raise IndexError("a mark is missing")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def _last(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise IndexError("a value is missing")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def _fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Foreign):
            return
        if not isinstance(target, dict):
            raise TypeError(f"items for a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, str):
                target[key] = value

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Foreign):
            raise TypeError(f"items for a {type(target).__name__}")

    def _do_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _do_pop(self, _: Any) -> None:
        self.stack.pop()

    def _do_pop_mark(self, _: Any) -> None:
        self._since_mark()

    _do_additems = _do_pop_mark

    def _do_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _do_empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _do_empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _do_list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _do_dict(self, _: Any) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._fill(items)

    def _do_frozenset(self, _: Any) -> None:
        self._since_mark()
        self.stack.append(Foreign("builtins.frozenset"))

    def _do_tuple1(self, _: Any) -> None:
        self.stack.append(self._last(1))

    def _do_tuple2(self, _: Any) -> None:
        self.stack.append(self._last(2))

    def _do_tuple3(self, _: Any) -> None:
        self.stack.append(self._last(3))

    def _do_append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def _do_appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _do_setitem(self, _: Any) -> None:
        self._fill(list(self._last(2)))

    def _do_setitems(self, _: Any) -> None:
        self._fill(self._since_mark())

    def _do_global(self, argument: str) -> None:
        self.stack.append(foreign_name(argument.replace(" ", ".", 1)))

    def _do_stack_global(self, _: Any) -> None:
        module, name = self._last(2)
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a name that is no text")
        self.stack.append(foreign_name(f"{module}.{name}"))

    def _do_inst(self, argument: str) -> None:
        self._since_mark()
        self._do_global(argument)

    def _do_obj(self, _: Any) -> None:
        self.stack.append(call_result(self._since_mark()[0], ()))

    def _do_reduce(self, _: Any) -> None:
        self.stack.append(call_result(*self._last(2)))

    _do_newobj = _do_reduce

    def _do_newobj_ex(self, _: Any) -> None:
        function, arguments, _keywords = self._last(3)
        self.stack.append(call_result(function, arguments))

    def _do_build(self, _: Any) -> None:
        self._last(1)
        if not self.stack:
            raise IndexError("a value is missing")

    def _do_binpersid(self, _: Any) -> None:
        self.stack.append(storage_from(self.stack.pop()))
