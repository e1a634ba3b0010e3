"""Errors across processes: a class of `sam_plugins.errors` and its sentence."""

import logging
import traceback
from dataclasses import dataclass

from sam_plugins import errors
from sam_plugins.errors import SamPluginsError, WorkerError

__all__ = ["Failure"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it crosses.

    Parameters
    ----------
    kind
        Name of a class in `sam_plugins.errors`.
    message
        Its sentence.
    trace
        The traceback, for the log; empty for an error that a user can cause.
    """

    kind: str
    message: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What to send."""
        if isinstance(error, SamPluginsError):
            return cls(type(error).__name__, str(error), "")
        trace = "".join(traceback.format_exception(error))
        text = f"Something unexpected failed in the model: {type(error).__name__}: {error}"
        return cls("WorkerError", text, trace)

    def error(self) -> SamPluginsError:
        """What to raise; the traceback goes to the log."""
        if self.trace:
            _log.error("In the model's process:\n%s", self.trace)
        kind = getattr(errors, self.kind, WorkerError)
        raised: SamPluginsError = kind(self.message)
        return raised
