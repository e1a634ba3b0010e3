"""What napari loads with its first Labels layer, loaded before anybody waits for it."""

import logging
import threading
from collections.abc import Callable

import numpy as np

__all__ = ["Warming"]

_log = logging.getLogger(__name__)


class Warming:
    """Makes layers that are thrown away, on a thread of its own.

    The first layers of a session take napari more than a second (it imports pandas and a compiler
    for colours), during which the window would stand still.

    Parameters
    ----------
    deliver
        Runs a callable later on the window's thread.
    """

    def __init__(self, deliver: Callable[[Callable[[], None]], None]) -> None:
        self._deliver = deliver
        self._waiting: list[Callable[[], None]] = []
        self.done = False
        self._thread = threading.Thread(target=self._run, name="sam-plugins warming", daemon=True)
        self._thread.start()

    def then(self, call: Callable[[], None]) -> None:
        """Call it now if all is loaded, else as soon as it is. On the window's thread."""
        if self.done:
            call()
        else:
            self._waiting.append(call)

    def _run(self) -> None:
        try:
            from napari.layers import Labels, Points, Shapes

            Labels(np.zeros((8, 8), np.int32), name="warm").get_color(1)
            Labels(np.zeros((8, 8), np.uint8), name="warm")
            Points(np.zeros((1, 2)), name="warm")
            Shapes([np.zeros((4, 2))], name="warm")
        except Exception:
            _log.debug("napari's layers could not be loaded ahead.", exc_info=True)
        self._deliver(self._ready)

    def _ready(self) -> None:
        self.done = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
