"""The ways in which an address does not give a picture, told apart by those who try again."""

from labelstudio_backend.errors import AddressError

__all__ = ["RefusedError", "UnreachableError"]


class UnreachableError(AddressError):
    """No complete answer came.

    Parameters
    ----------
    message
        What was tried and what to do.
    sent
        Whether the request may have been read: False where no connection was made.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class RefusedError(AddressError):
    """An answer came, and it is not the one that was asked for.

    Parameters
    ----------
    message
        What was asked, what came and what to do.
    status
        HTTP status of the answer.
    retry_after
        Seconds that the other side asked to wait for, None if it did not.
    """

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def may_pass(self) -> bool:
        """Whether the other side is too busy or broken now, and may not be later."""
        return self.status == 429 or self.status >= 500
