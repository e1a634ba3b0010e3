"""Errors as HTTP says them: a status and one sentence, never a traceback."""

from dataclasses import dataclass

from labelstudio_backend.errors import (
    AddressError,
    BusyError,
    ConfigError,
    LabelStudioError,
    RequestError,
)
from sam_plugins.errors import (
    CheckpointError,
    DeviceError,
    EmbeddingError,
    ImageError,
    MissingExtraError,
    ModelError,
    PromptError,
    SamPluginsError,
    WorkerError,
)

__all__ = ["Problem", "problem_of"]

STATUSES: tuple[tuple[type[SamPluginsError], int], ...] = (
    (BusyError, 503),
    (AddressError, 502),
    (LabelStudioError, 502),
    (RequestError, 400),
    (ConfigError, 400),
    (PromptError, 400),
    (ImageError, 422),
    (CheckpointError, 503),
    (DeviceError, 503),
    (EmbeddingError, 503),
    (MissingExtraError, 503),
    (ModelError, 503),
    (WorkerError, 503),
)
"""The first that fits, from the top: an AddressError is an ImageError as well."""

MODEL_RETRY = 10
"""Seconds until it is worth asking a model again that could not answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told.

    Parameters
    ----------
    status
        Of HTTP.
    sentence
        What was expected, what was found, what to do.
    retry_after
        Seconds; None if asking again changes nothing.
    """

    status: int
    sentence: str
    retry_after: int | None = None


def problem_of(error: Exception, reference: str) -> Problem:
    """Say what went wrong; of an error that nobody foresaw only where the log tells of it."""
    if not isinstance(error, SamPluginsError):
        return Problem(500, f"Internal error, reference {reference}; the backend's log says more.")
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    retry = None
    if status == 503:
        retry = error.retry_after if isinstance(error, BusyError) else MODEL_RETRY
    return Problem(status, str(error), retry)
