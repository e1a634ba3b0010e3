"""Threads of the model's process, each of which does one thing after the other."""

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Lane", "give_way"]

NICENESS = 5
"""The window and the desktop come first."""


def give_way() -> None:
    """Let others go first: on Linux this thread and those it starts, elsewhere the process."""
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(NICENESS)


class Lane:
    """One thread and what it still has to do.

    A stream enters one step at a time, so that steps of several streams and single calls take
    turns, and a stream that nobody reads keeps nobody waiting.

    Parameters
    ----------
    name
        Of the thread.
    polite
        Whether it gives way to other programs.
    """

    def __init__(self, name: str, *, polite: bool = False) -> None:
        self._polite = polite
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; what was put before is done first."""
        self._thread.start()

    def put(self, work: Callable[[], None]) -> None:
        """Do this after everything else; it must not raise."""
        self._waiting.put(work)

    def _run(self) -> None:
        if self._polite:
            give_way()
        while True:
            self._waiting.get()()
