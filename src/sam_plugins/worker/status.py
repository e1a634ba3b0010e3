"""How far a model in a process of its own is."""

from dataclasses import dataclass
from typing import Literal

from sam_plugins.ports import EngineStatus, SegmenterInfo

__all__ = ["WorkerStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """How far a model in a process of its own is.

    Parameters
    ----------
    phase
        "starting": the process loads its libraries; "opening": it opens the model; "ready": it
        answers; "failed": the model cannot be opened; "stopped": the process ended.
    message
        What is being done, or what happened, in a sentence.
    engine
        How far a faster engine is, where one is prepared.
    info
        What the model is, once it is ready.
    """

    phase: Literal["starting", "opening", "ready", "failed", "stopped"]
    message: str
    engine: EngineStatus | None = None
    info: SegmenterInfo | None = None
