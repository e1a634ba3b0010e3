"""What a run says while it works, and when it has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from fiftyone_plugin.values import Status

__all__ = ["Stop", "Tell", "WorkProgress", "WorkReport"]


@dataclass(frozen=True, slots=True)
class WorkProgress:
    """How far it is.

    Parameters
    ----------
    done, total
        Samples, skipped ones included.
    objects
        Masks found so far.
    label
        What was done last, in some words.
    part
        How much of the sample that is worked on now is done, 0 to 1: of a long video.
    """

    done: int
    total: int
    objects: int
    label: str
    part: float = 0.0


@dataclass(slots=True)
class WorkReport:
    """What became of the samples; each is counted once.

    Parameters
    ----------
    done, nothing, partial, failed
        Samples that this call wrote, by their `Status`.
    skipped
        Done before, or by another process meanwhile, or not in the dataset any more.
    objects
        Masks that this call wrote.
    stopped
        Whether it was stopped before its end; what is missing is done by the next call.
    """

    done: int = 0
    nothing: int = 0
    partial: int = 0
    failed: int = 0
    skipped: int = 0
    objects: int = 0
    stopped: bool = False

    def add(self, status: Status, objects: int) -> None:
        """Count a sample that was written."""
        setattr(self, status.value, getattr(self, status.value) + 1)
        self.objects += objects


Tell: TypeAlias = Callable[[WorkProgress], None]
Stop: TypeAlias = Callable[[], bool]
