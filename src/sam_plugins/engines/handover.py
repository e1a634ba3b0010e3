"""An encoder that answers from the first moment and becomes a faster one when that is ready."""

import atexit
import logging
from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Literal

from sam_plugins.ports import EngineStatus, ImageEncoder

if TYPE_CHECKING:
    import torch

__all__ = ["Handover"]

LONGEST_LEAVE = 30.0
"""Seconds that a program which ends waits for a preparation that runs."""

_log = logging.getLogger(__name__)


class Handover:
    """An `ImageEncoder`: `meanwhile` until `make` has given a faster one, then that one.

    The faster one is made in a thread of its own. The change happens between two calls; a call
    that runs is finished by what began it. If making it fails, or if it fails at an image, a
    warning says so once and `instead` takes over for good.

    Parameters
    ----------
    meanwhile, meanwhile_name
        What answers first, and its name.
    make, name
        Makes the faster engine, and its name. It is given a function that takes what is being done
        and the fraction done.
    instead
        Makes what takes over after a failure; it is called `meanwhile_name` as well.
    ready
        Called when the faster one has taken over, so that the first one's memory can be freed.
    on_status
        Called with every `EngineStatus`, from the thread that caused it.
    """

    def __init__(
        self,
        *,
        meanwhile: ImageEncoder,
        meanwhile_name: str,
        make: Callable[[Callable[[str, float], None]], ImageEncoder],
        name: str,
        instead: Callable[[], ImageEncoder],
        ready: Callable[[], None] = lambda: None,
        on_status: Callable[[EngineStatus], None] | None = None,
    ) -> None:
        self._slow: ImageEncoder | None = meanwhile
        self._fast: ImageEncoder | None = None
        self._slow_name = meanwhile_name
        self._make = make
        self._name = name
        self._instead = instead
        self._ready = ready
        self._on_status = on_status
        self._lock = Lock()
        self._settled = Event()
        self._status = _status(meanwhile_name, "preparing", 0.0, "waiting to begin")

    @property
    def status(self) -> EngineStatus:
        """How far the faster engine is."""
        return self._status

    def engine(self) -> str:
        """Name of what answers now."""
        return self._status.engine

    def start(self) -> None:
        """Begin to make the faster engine. A program that ends meanwhile waits for it, bounded."""
        thread = Thread(target=self._prepare, name=f"prepare {self._name}", daemon=True)
        # A compiler is native code: a process that ends under it is aborted.
        atexit.register(thread.join, LONGEST_LEAVE)
        thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Until the faster engine answers or has failed, or time is up; whether it is settled."""
        return self._settled.wait(seconds)

    def __call__(self, pixels: "torch.Tensor") -> Mapping[str, "torch.Tensor"]:
        """(B, 3, S, S) float32 -> {name: (B, c, h, w)}; one call at a time."""
        with self._lock:
            if self._fast is not None:
                try:
                    return self._fast(pixels)
                except Exception as error:
                    self._fail(error)
            if self._slow is None:
                self._slow = self._instead()
            return self._slow(pixels)

    def _prepare(self) -> None:
        try:
            made = self._make(self._report)
            with self._lock:
                self._fast, self._slow = made, None
                self._ready()
            self._tell(_status(self._name, "ready", 1.0, "answers from now on"))
        except Exception as error:
            with self._lock:
                self._fail(error)
        finally:
            self._settled.set()

    def _fail(self, error: Exception) -> None:
        """Under the lock: never use the faster engine again."""
        self._fast = self._slow = None
        reason = f"{type(error).__name__}: {error}"
        _log.warning(
            "%s cannot be used (%s): %s answers instead, with the same results and more slowly.",
            self._name,
            reason,
            self._slow_name,
        )
        self._tell(_status(self._slow_name, "failed", 1.0, reason))

    def _report(self, message: str, fraction: float) -> None:
        self._tell(_status(self._slow_name, "preparing", fraction, message))

    def _tell(self, status: EngineStatus) -> None:
        self._status = status
        _log.info("%s, %d %%: %s", self._name, 100 * status.fraction, status.message)
        if self._on_status is None:
            return
        try:
            self._on_status(status)
        except Exception:
            _log.exception("The function that is told about engines failed")


def _status(
    engine: str, phase: Literal["preparing", "ready", "failed"], fraction: float, message: str
) -> EngineStatus:
    return EngineStatus(engine=engine, phase=phase, fraction=fraction, message=message)
