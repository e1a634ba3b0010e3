"""Which device, with which numbers, on how many threads.

float32 means float32: TensorFloat-32 and bfloat16 shortcuts, which PyTorch takes by default in
cuDNN convolutions, are off while one of our models runs (`precise`) and afterwards as they were.
"""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Barrier, Lock
from typing import Any, Literal, TypeAlias, cast, get_args

from sam_plugins.errors import DeviceError, ModelError

__all__ = [
    "Numerics",
    "bf16_sentence",
    "choose_device",
    "choose_numerics",
    "precise",
    "single_threaded_workers",
    "thread_budget",
]

_log = logging.getLogger(__name__)

_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")

Numerics: TypeAlias = Literal["fp32", "bf16"]
"""The class of arithmetic of a forward pass; part of `encoder_id`."""


def choose_device(device: str | None = None) -> str:
    """A torch device that is there.

    Parameters
    ----------
    device
        "cpu", "cuda", "cuda:1", "mps", or "auto": the best one here, CUDA before MPS before CPU.
        None means "auto".

    Raises
    ------
    DeviceError
        If it is unknown or not on this machine.
    """
    import torch

    mps = torch.backends.mps.is_available()
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = ["cpu", *(["mps"] if mps else []), *(["cuda"] if cards else [])]
    here += [f"cuda:{index}" for index in range(cards)]
    if device is None or device == "auto":
        return "cuda" if cards else "mps" if mps else "cpu"
    if device not in here:
        raise DeviceError(
            f"Expected a device of this machine ({', '.join(here)} or auto), found {device!r}: "
            "choose one of these, or install a PyTorch build for that device."
        )
    return device


def choose_numerics(precision: str, device: str) -> Numerics:
    """The arithmetic called `precision`, if `device` can do it.

    A processor can do bf16 always, and without instructions for it only slowly: a warning says so.

    Raises
    ------
    ModelError
        If there is no such precision.
    DeviceError
        If the device cannot compute in it.
    """
    if precision not in get_args(Numerics):
        raise ModelError(f"Expected a precision among fp32 and bf16, found {precision!r}.")
    if precision == "bf16" and device.startswith("cuda"):
        import torch

        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported():
                raise DeviceError(
                    f"Expected a card that computes in bf16, found {device!r} without: use fp32."
                )
    if precision == "bf16" and device == "cpu" and _has_bf16_instructions() is False:
        _log.warning("bf16 is asked for, but %s", bf16_sentence(device))
    return cast("Numerics", precision)


def bf16_sentence(device: str) -> str:
    """Whether bf16 is worth asking for on `device`, for people to read."""
    if device != "cpu":
        return f"computed by {device}."
    known = _has_bf16_instructions()
    if known is None:
        return "this PyTorch does not say whether the processor has instructions for it."
    if known:
        return "this processor has instructions for it, so that it is faster than fp32."
    return "this processor has no instructions for it, so that it is slower than fp32."


def _has_bf16_instructions() -> bool | None:
    """Whether the processor multiplies in bf16; None where an older PyTorch cannot tell."""
    import torch

    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is None:
        return None
    found = capabilities()
    return any(found.get(name, False) for name in _BF16_INSTRUCTIONS)


@contextmanager
def precise(device: str = "cpu", numerics: Numerics = "fp32") -> Iterator[None]:
    """Run forward passes in exactly the arithmetic named; threads may be in it together.

    Parameters
    ----------
    device
        Where the model is.
    numerics
        "fp32": full float32 in every layer. "bf16": matrix products and convolutions in bfloat16
        (autocast), everything else in float32.
    """
    with _exact_float32, _autocast(device, numerics):
        yield


def _autocast(device: str, numerics: Numerics) -> AbstractContextManager[Any]:
    import torch

    kind = torch.device(device).type
    if numerics == "bf16":
        return torch.autocast(kind, dtype=torch.bfloat16)
    if torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


class _ExactFloat32:
    """Turns the process-wide shortcuts off for the first that enters, back for the last to leave.

    They belong to the process, not to a thread: without the count, a thread that leaves first
    would turn them on under another one's forward pass.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before: list[object] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                holders = _float32_holders()
                self._before = [getattr(holder, name) for holder, name, _ in holders]
                for holder, name, exact in holders:
                    setattr(holder, name, exact)
            self._inside += 1

    def __exit__(self, *_reason: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for (holder, name, _), old in zip(_float32_holders(), self._before, strict=True):
                    setattr(holder, name, old)


_exact_float32 = _ExactFloat32()


def _float32_holders() -> list[tuple[Any, str, object]]:
    """Where PyTorch keeps these settings, with the exact one: by operation since 2.9."""
    import torch

    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        return [
            (library, "allow_tf32", False) for library in (backends.cuda.matmul, backends.cudnn)
        ]
    matmul, cudnn, mkldnn = backends.cuda.matmul, backends.cudnn, backends.mkldnn
    operations = (matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv)
    return [(operation, "fp32_precision", "ieee") for operation in operations]


def single_threaded_workers(count: int) -> ThreadPoolExecutor:
    """`count` threads of this process in each of which torch computes with one thread.

    PyTorch keeps its number of threads for each thread, and besides the one that threads begin
    with. So these begin together, once, and are kept: nobody else's number changes afterwards.
    """
    with _workers_lock:
        # A forked child has the dictionary and none of the threads.
        key = os.getpid(), count
        if key not in _workers:
            _workers[key] = _started(count)
        return _workers[key]


_workers: dict[tuple[int, int], ThreadPoolExecutor] = {}
_workers_lock = Lock()


def _started(count: int) -> ThreadPoolExecutor:
    import torch

    before, all_here = torch.get_num_threads(), Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # the first question takes over the common number, once
        torch.set_num_threads(1)
        all_here.wait()

    pool = ThreadPoolExecutor(count, "one torch thread")
    for started in [pool.submit(begin) for _ in range(count)]:
        started.result()
    torch.set_num_threads(before)
    return pool


def thread_budget() -> int:
    """Threads for one process: ``SAM_PLUGINS_THREADS``, else the CPUs it may run on.

    Raises
    ------
    DeviceError
        If the variable is set to something that is no positive whole number.
    """
    asked = os.environ.get("SAM_PLUGINS_THREADS", "").strip()
    if not asked:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise DeviceError(
            f"Expected a positive whole number in SAM_PLUGINS_THREADS, found {asked!r}: set it to "
            "a number such as 4, or unset it."
        )
    return int(asked)
