"""The bytes of a request, within limits of size, of time, and of all requests together."""

from dataclasses import dataclass

import anyio
from starlette.requests import Request

from labelstudio_backend.server.problems import Problem

__all__ = ["Incoming", "NotAcceptedError"]

MEGABYTE = 1 << 20


class NotAcceptedError(Exception):
    """A request whose body is not read.

    Parameters
    ----------
    problem
        What the client is told.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


@dataclass(slots=True)
class Incoming:
    """Reads bodies; one for all requests of a process, on its event loop.

    Parameters
    ----------
    most_bytes
        Of one body.
    most_together
        Bytes of all bodies that are read or answered at one time.
    seconds
        For a body to arrive.
    """

    most_bytes: int = 64 * MEGABYTE
    most_together: int = 256 * MEGABYTE
    seconds: float = 30.0
    held: int = 0

    async def read(self, request: Request) -> bytes:
        """The body; `release` its length when it was answered.

        Raises
        ------
        NotAcceptedError
            If it is no JSON by its header, is too large, too slow, or one too many.
        ClientDisconnect
            If the client went away.
        """
        _check_headers(request, self.most_bytes)
        held = 0
        chunks: list[bytes] = []
        try:
            with anyio.fail_after(self.seconds):
                async for chunk in request.stream():
                    chunks.append(chunk)
                    held += len(chunk)
                    self.held += len(chunk)
                    self._check(held)
        except BaseException as error:
            self.release(held)
            if not isinstance(error, TimeoutError):
                raise
            raise NotAcceptedError(
                Problem(408, f"The body did not arrive within {self.seconds:g} seconds.")
            ) from None
        return b"".join(chunks)

    def release(self, length: int) -> None:
        """A body of so many bytes is not needed any more."""
        self.held -= length

    def _check(self, held: int) -> None:
        if held > self.most_bytes:
            raise _too_large(self.most_bytes)
        if self.held > self.most_together:
            raise NotAcceptedError(Problem(503, "Too much is being read at once; try again.", 1))


def _check_headers(request: Request, most_bytes: int) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotAcceptedError(
            Problem(415, "The body must be JSON, with Content-Type application/json.")
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotAcceptedError(Problem(415, "The body must not be compressed."))
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> NotAcceptedError:
    return NotAcceptedError(
        Problem(413, f"The body is larger than {most_bytes // MEGABYTE} MB; send fewer tasks.")
    )
