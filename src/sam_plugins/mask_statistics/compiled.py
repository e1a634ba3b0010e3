"""The kernel compiled by numba: once per machine, kept in a folder that only its owner can use.

Compiled code is native code in a pickle: whoever can write to that folder can run programs here.
So the folder must belong to the user and be closed to everybody else, or nothing is kept.
"""

import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from sam_plugins.folders import cache_root

__all__ = ["compiled_kernel", "is_prepared"]

Kernel: TypeAlias = Callable[..., Any]

_SIGNATURE = (
    "int64[::1](float32[:,:,::1]," + "uint32[:,::1],float32[:,::1]," * 4 + "float32[::1],"
    "int64[::1],int64[:,::1],int64[:,::1],int64[::1])"
)


class _Once:
    """The compiled kernel, None where it cannot be had; made by the first who asks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made = False
        self._kernel: Kernel | None = None

    @property
    def made(self) -> bool:
        return self._made

    def get(self) -> Kernel | None:
        with self._lock:
            if not self._made:
                self._kernel = _compile()
                self._made = True
            return self._kernel


_once = _Once()


def is_prepared() -> bool:
    """Whether `compiled_kernel` answers at once; the first time it may take seconds."""
    return _once.made


def compiled_kernel() -> Kernel | None:
    """`kernel.measure`, compiled; None, with one warning, where numba cannot do that.

    It releases the interpreter's lock. The first call compiles, or loads what an earlier process
    compiled with the same source, numba and processor.
    """
    return _once.get()


def _compile() -> Kernel | None:
    try:
        import numba

        from sam_plugins.mask_statistics.kernel import measure

        dispatcher = numba.njit(nogil=True, error_model="numpy")(measure)
        _keep(dispatcher, numba.__version__)
        dispatcher.compile(_SIGNATURE)
        dispatcher.disable_compile()
    except Exception as error:  # whatever numba or LLVM meet: there is another way
        warnings.warn(
            f"numba cannot compile the mask statistics ({type(error).__name__}: {error}); they "
            "are computed by NumPy, which is slower. Install numba again to change that.",
            RuntimeWarning,
            stacklevel=4,
        )
        return None
    kernel: Kernel = dispatcher
    return kernel


def _keep(dispatcher: Any, version: str) -> None:
    """Let numba keep the compiled code in our folder; without the folder nothing is kept.

    numba's own choices are beside the source, which may belong to another user or be read-only, and
    a folder named by the environment. Its classes for caches are not promised to stay as they are:
    without them the kernel is compiled anew by each process.
    """
    folder = _private_folder()
    if folder is None:
        return
    try:
        from numba.core import caching

        code = Path(dispatcher.py_func.__code__.co_filename).read_bytes()
        stamp = hashlib.sha256(code + version.encode()).hexdigest()

        class Locator(caching._CacheLocator):
            """Our folder, and names that no other source and no other numba use.

            numba itself adds the processor and its features.
            """

            @classmethod
            def from_function(cls, _function: Any, _file: str) -> "Locator":
                return cls()

            def get_cache_path(self) -> str:
                return str(folder)

            def get_source_stamp(self) -> str:
                return stamp

            def get_disambiguator(self) -> str:
                return stamp[:16]

        places = {"_locator_classes": [Locator]}
        implementation = type("Implementation", (caching.CompileResultCacheImpl,), places)
        kept = type("Kept", (caching.FunctionCache,), {"_impl_class": implementation})
        dispatcher._cache = kept(dispatcher.py_func)
    except (AttributeError, ImportError, OSError, TypeError, RuntimeError):
        return


def _private_folder() -> Path | None:
    """The folder for compiled code if it is the user's and closed to others, else None."""
    folder = cache_root() / "compiled"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
        return None
    return folder
