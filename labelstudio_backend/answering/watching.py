"""A file that is looked at from time to time, until it has changed and is still again."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["FileWatcher"]

Signature = tuple[int, int, int]
"""Time of the last change, size, and which file it is on its disk."""

_log = logging.getLogger(__name__)


class FileWatcher:
    """Says once for each change of a file that it changed, when nobody writes it any more.

    Parameters
    ----------
    file
        May be missing for a while.
    seconds
        Between two looks; a file that was the same at two of them is still.
    on_change
        Called from the thread of this class, for a file other than the first one too; what it
        raises goes to the log.
    """

    def __init__(self, file: Path, seconds: float, on_change: Callable[[], None]) -> None:
        self._file = file
        self._seconds = seconds
        self._on_change = on_change
        self._known: Signature | None = None
        self._before: Signature | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sam-plugins watch", daemon=True)

    def start(self, known: Signature | None) -> None:
        """Begin.

        Parameters
        ----------
        known
            `signature` of the file when it was read last; None if it was not.
        """
        self._known = known
        self._thread.start()

    def signature(self) -> Signature | None:
        """What changes when the file does; None if it is not there."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def look(self) -> None:
        """One look, and the call if it is time for it."""
        now = self.signature()
        still, self._before = now == self._before, now
        if now is None or now == self._known or not still:
            return
        self._known = now
        try:
            self._on_change()
        except Exception:
            _log.exception("The change of the model file could not be followed")

    def close(self) -> None:
        """Look no more; a call that runs is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()
