"""Work that takes long and tells what it finds."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from napari_plugin.service.deliveries import Deliveries

__all__ = ["Job"]

SECONDS_BETWEEN = 0.05
"""Between two deliveries of one job; what is found meanwhile comes together."""

_log = logging.getLogger(__name__)


class Job:
    """A piece of long work that was started; made by `ModelService.job`.

    One thread steps the generator, another one delivers, so that a step that stalls keeps neither
    events nor a cancellation back.

    Parameters
    ----------
    title
        What is being done, for the user.
    make
        Makes the generator; may wait for the model.
    deliveries
        The way back.
    on_event, on_done, on_failed
        As in `ModelService.job`.
    """

    def __init__(
        self,
        title: str,
        make: Callable[[], Iterator[Any]],
        deliveries: Deliveries,
        on_event: Callable[[Any], None],
        on_done: Callable[[bool], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self.title = title
        self._make = make
        self._deliveries = deliveries
        self._on_event = on_event
        self._on_done = on_done
        self._on_failed = on_failed
        self._changed = threading.Condition()
        self._events: list[Any] = []
        self._ended = False
        self._cancelled = False
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether neither `on_done` nor `on_failed` is on its way yet."""
        return not self._ended

    def start(self) -> None:
        """Begin; once."""
        for work in (self._produce, self._report):
            threading.Thread(target=work, name=f"sam-plugins {self.title}", daemon=True).start()

    def cancel(self) -> None:
        """End it at once: what was found is delivered, then `on_done(True)`. From any thread."""
        with self._changed:
            if not self._ended:
                self._cancelled = self._ended = True
                self._changed.notify_all()

    def _produce(self) -> None:
        error: Exception | None = None
        events: Iterator[Any] = iter(())
        try:
            events = self._make()
            for event in events:
                with self._changed:
                    if self._ended:
                        break
                    self._events.append(event)
                    self._changed.notify_all()
        except Exception as raised:
            error = raised
        self._close(events)
        with self._changed:
            if self._ended:
                if error is not None:  # nobody waits for it any more
                    _log.info("%s was cancelled and then failed: %s", self.title, error)
                return
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _close(self, events: Iterator[Any]) -> None:
        """Let the generator clean up, which ends its work in another process too."""
        try:
            if close := getattr(events, "close", None):
                close()
        except Exception:
            _log.exception("%s could not be ended", self.title)

    def _report(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._ended)
                events, self._events = self._events, []
                ended = self._ended
            for event in events:
                self._send_event(event)
            if ended:
                self._send_end()
                return
            with self._changed:
                self._changed.wait_for(lambda: self._ended, SECONDS_BETWEEN)

    def _send_event(self, event: Any) -> None:
        self._deliveries.send(lambda: self._on_event(event))

    def _send_end(self) -> None:
        error = self._error
        if error is not None:
            self._deliveries.send(lambda: self._on_failed(error))
        else:
            self._deliveries.send(lambda: self._on_done(self._cancelled))
