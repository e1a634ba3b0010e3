"""One prediction to Label Studio, once: where it is not known whether it came, it is looked for."""

import random
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from labelstudio_backend.errors import LabelStudioError

__all__ = ["ClientPort", "Sender", "StoppedError"]

_REFUSED, _TOO_MANY = 400, 429
_SERVER_FAILED = 500


class ClientPort(Protocol):
    """What is asked of Label Studio; reading is tried again by the client, sending is not."""

    def project(self, number: int) -> dict[str, Any]:
        """One project."""
        ...

    def tasks(self, project: int, *, page_size: int = 100) -> Iterator[dict[str, Any]]:
        """All tasks of a project with their predictions and annotations, page by page."""
        ...

    def predictions(self, task: int) -> list[dict[str, Any]]:
        """All predictions of a task."""
        ...

    def create_prediction(
        self, task: int, result: list[dict[str, Any]], *, score: float | None, model_version: str
    ) -> int:
        """Send a prediction; its number. `LabelStudioError.status` None: nobody knows."""
        ...


class StoppedError(Exception):
    """The run is to end, and so the waiting for Label Studio does."""


class Sender:
    """Sends predictions of one model version.

    Parameters
    ----------
    client
        Of Label Studio.
    model_version
        What predictions carry, and what they are known by.
    wait
        Waits for as many seconds; True if the run is to end.
    tries
        How often a prediction is sent that is known not to be there.
    first_delay
        Seconds before the second time; then twice as long each time.
    doubt
        Seconds before each look for a prediction that may still arrive. A server that was given a
        request may be at it when its connection is long gone.
    """

    def __init__(
        self,
        client: ClientPort,
        model_version: str,
        *,
        wait: Callable[[float], bool],
        tries: int = 5,
        first_delay: float = 0.5,
        doubt: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
    ) -> None:
        self._client, self._version = client, model_version
        self._wait, self._tries, self._first_delay = wait, tries, first_delay
        self._doubt = doubt

    @property
    def patience(self) -> float:
        """After so many seconds a prediction that is not there does not come any more."""
        return sum(self._doubt)

    def send(self, task: int, result: list[dict[str, Any]], score: float | None) -> None:
        """Send a prediction until it is there.

        Raises
        ------
        LabelStudioError
            If it is refused, or Label Studio fails too often; with status None it is not known
            whether it arrived.
        StoppedError
            If the run ends while waiting; it is not known whether it arrived.
        """
        for attempt in range(1, self._tries + 1):
            try:
                self._client.create_prediction(
                    task, result, score=score, model_version=self._version
                )
            except LabelStudioError as error:
                in_doubt = error.status is None or not _REFUSED <= error.status < _SERVER_FAILED
                if not in_doubt and error.status != _TOO_MANY:
                    raise
                if in_doubt and self.arrived(task):
                    return
                if attempt == self._tries:
                    # What was looked for in vain is known not to be there.
                    raise LabelStudioError(str(error), error.status or _SERVER_FAILED) from error
            else:
                return
            # Workers that were turned away together do not come back together.
            self._pause(self._first_delay * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))

    def arrived(self, task: int) -> bool:
        """Whether a prediction that was sent is there, now or after some more seconds.

        Raises
        ------
        LabelStudioError
            If Label Studio does not say.
        StoppedError
            As `send`.
        """
        for delay in self._doubt:
            self._pause(delay)
            if self.is_there(task):
                return True
        return False

    def is_there(self, task: int) -> bool:
        """Whether a task has a prediction of this model version now.

        Raises
        ------
        LabelStudioError
            If Label Studio does not say; its status is None, whatever it was, as this leaves the
            state of the task unknown.
        """
        try:
            found = self._client.predictions(task)
        except LabelStudioError as error:
            raise LabelStudioError(str(error), None) from error
        return any(each.get("model_version") == self._version for each in found)

    def _pause(self, seconds: float) -> None:
        if self._wait(seconds):
            raise StoppedError
