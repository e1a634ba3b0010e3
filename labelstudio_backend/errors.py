"""What can go wrong between Label Studio and the model, besides what the core knows.

::

    SamPluginsError
    ├── ConfigError(ValueError)     a labelling config or setting that cannot be used
    ├── RequestError(ValueError)    a request that is not one of Label Studio's
    ├── AddressError(ImageError)    an address that this backend may not or will not read
    ├── LabelStudioError            Label Studio refused, or did not answer
    └── BusyError                   more requests than the queue holds; `retry_after` seconds
"""

from sam_plugins.errors import ImageError, SamPluginsError

__all__ = ["AddressError", "BusyError", "ConfigError", "LabelStudioError", "RequestError"]


class ConfigError(SamPluginsError, ValueError):
    """A labelling config, or a setting of the backend, that cannot be used."""


class RequestError(SamPluginsError, ValueError):
    """A request that is not one of Label Studio's."""


class AddressError(ImageError):
    """An address that this backend may not read, or that did not answer with a picture."""


class LabelStudioError(SamPluginsError):
    """Label Studio refused a request, or did not answer it.

    Parameters
    ----------
    message
        What was asked, what came and what to do.
    status
        HTTP status; None where no answer came, so that it is not known what was done.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class BusyError(SamPluginsError):
    """More requests wait than the queue holds.

    Parameters
    ----------
    message
        What to do.
    retry_after
        Seconds after which it is worth asking again.
    """

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
