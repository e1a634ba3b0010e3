"""Every error a user can cause, as one tree.

::

    SamPluginsError
    ├── PromptError(ValueError)       a prompt that cannot be answered
    ├── ImageError(ValueError)        a picture that cannot be read or is not one
    │   └── LimitError                a picture larger than the caller's `Limits`
    ├── CheckpointError               a weights file that is damaged, foreign or unsafe
    │   └── DownloadError             weights that are not here and cannot be fetched
    ├── ModelError(ValueError)        an unknown model, precision or engine name
    ├── EmbeddingError(ValueError)    an embedding made by another model, or damaged
    ├── DeviceError                   a device that is asked for and not there
    ├── DatasetError(ValueError)      training or evaluation data that cannot be used
    ├── WorkerError                   a model's own process that ended, or failed unexpectedly
    └── MissingExtraError(ImportError) an optional dependency that is not installed

A message says what was expected, what was found and what to do next, in one sentence or two.
Adapters catch `SamPluginsError` at the host's boundary and show ``str(error)``.
"""

__all__ = [
    "CheckpointError",
    "DatasetError",
    "DeviceError",
    "DownloadError",
    "EmbeddingError",
    "ImageError",
    "LimitError",
    "MissingExtraError",
    "ModelError",
    "PromptError",
    "SamPluginsError",
    "WorkerError",
]


class SamPluginsError(Exception):
    """The root: whatever a user, a file or a machine can do wrong."""


class PromptError(SamPluginsError, ValueError):
    """A prompt that cannot be answered: wrong shape, outside the image, or empty."""


class ImageError(SamPluginsError, ValueError):
    """A file or array that is not a picture this library can read."""


class LimitError(ImageError):
    """A picture larger than the `Limits` of the call."""


class CheckpointError(SamPluginsError):
    """A weights file that is damaged, of another architecture, or unsafe."""


class DownloadError(CheckpointError):
    """Weights that are not on this machine and could not be fetched."""


class ModelError(SamPluginsError, ValueError):
    """An unknown model, precision or engine name."""


class EmbeddingError(SamPluginsError, ValueError):
    """An embedding that was made by another encoder, or whose bytes are damaged."""


class DeviceError(SamPluginsError):
    """A device or precision that was asked for and that this machine does not have."""


class DatasetError(SamPluginsError, ValueError):
    """Training or evaluation data that cannot be used."""


class MissingExtraError(SamPluginsError, ImportError):
    """A part of the library whose optional dependency is not installed."""


class WorkerError(SamPluginsError):
    """The process that a model lives in ended, or something in it failed unexpectedly."""
