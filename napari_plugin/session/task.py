"""`Task`: long work that needs no model, on a thread of its own."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from typing import Any

__all__ = ["Task"]

_log = logging.getLogger(__name__)


class Task:
    """Goes through an iterator on a thread, and tells the window's thread about it.

    Parameters
    ----------
    make
        Makes the iterator, on the thread.
    deliver
        Runs a callable later on the window's thread.
    on_event
        Called there with each thing that the iterator yields.
    on_end
        Called there once: with None when all is done, "stopped", or the exception that ended it.
    """

    def __init__(
        self,
        make: Callable[[], Iterator[Any]],
        deliver: Callable[[Callable[[], None]], None],
        on_event: Callable[[Any], None],
        on_end: Callable[[Exception | str | None], None],
    ) -> None:
        self._make, self._deliver = make, deliver
        self._on_event, self._on_end = on_event, on_end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sam-plugins task", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the work before its next step."""
        self._stop.set()

    def _run(self) -> None:
        ended: Exception | str | None = None
        try:
            events: Any = self._make()
            with closing(events) if hasattr(events, "close") else nullcontext():
                for event in events:
                    if self._stop.is_set():
                        ended = "stopped"
                        break
                    self._deliver(lambda event=event: self._on_event(event))  # type: ignore[misc]
        except Exception as error:
            _log.debug("A task failed.", exc_info=True)
            ended = error
        self._deliver(lambda: self._on_end(ended))
