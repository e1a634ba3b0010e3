"""What the service says about its model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from sam_plugins import WorkerStatus
from sam_plugins.ports import EngineStatus, Segmenter, SegmenterInfo

__all__ = ["Closes", "Deliver", "Opener", "Request", "ServiceState", "Waits"]

Deliver = Callable[[Callable[[], None]], None]
"""Runs a callable later on the thread of the window; called from any thread, never blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked to be opened; the fields are those of `sam_plugins.open_worker`."""

    model: str | None = None
    device: str | None = None
    engine: str = "auto"
    precision: str = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How far the model is.

    Parameters
    ----------
    phase
        "closed": none was asked for; "downloading": its weights arrive; "opening": it is loaded;
        "ready": it answers; "failed": it cannot be opened; "stopped": its process ended, and the
        next request starts it again.
    message
        A sentence for the user; of the error where it failed.
    request
        What was asked for.
    info
        Name, device and engine of the model, once it is ready.
    engine
        How far a faster engine is, where one is prepared.
    bytes_done, bytes_total
        Of a download; the total is None while it is unknown.
    error
        What failed, for a log.
    """

    phase: Literal["closed", "downloading", "opening", "ready", "failed", "stopped"]
    message: str
    request: Request
    info: SegmenterInfo | None = None
    engine: EngineStatus | None = None
    bytes_done: int = 0
    bytes_total: int | None = None
    error: Exception | None = None

    @property
    def fraction(self) -> float | None:
        """Of the download, 0 to 1; None while its size is unknown, or without a download."""
        return min(self.bytes_done / self.bytes_total, 1.0) if self.bytes_total else None


class Opener(Protocol):
    """Opens a model: `sam_plugins.open_worker`, or what stands for it in a test."""

    def __call__(
        self,
        model: str | None,
        *,
        device: str | None,
        precision: str,
        engine: str,
        on_status: Callable[[WorkerStatus], None],
    ) -> Segmenter:
        """A segmenter, ready or on its way; called on a thread that may be blocked."""
        ...


@runtime_checkable
class Waits(Protocol):
    """A segmenter that is on its way when it is handed out."""

    def wait_ready(self, timeout: float | None = None) -> SegmenterInfo:
        """Wait until it answers; raises what went wrong."""
        ...


@runtime_checkable
class Closes(Protocol):
    """A segmenter that holds a process or a file."""

    def close(self) -> None:
        """End it."""
        ...
