"""The way from other threads to the thread of the window."""

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, Signal

__all__ = ["Bridge"]


class Bridge(QObject):
    """Runs callables on the thread of the window that made it, in order, when Qt has the word.

    After `close` nothing runs any more.
    """

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._posted.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def deliver(self, call: Callable[[], None]) -> None:
        """Run `call` soon, on the window's thread. May be called from any thread."""
        if self._open:
            self._posted.emit(call)

    def close(self) -> None:
        """Drop what is on its way, and all that follows."""
        self._open = False

    def _run(self, call: Callable[[], None]) -> None:
        if self._open:
            call()
