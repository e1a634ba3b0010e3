"""The one way back to the window's thread."""

import logging
from collections.abc import Callable

from napari_plugin.service.state import Deliver

__all__ = ["Deliveries"]

_log = logging.getLogger(__name__)


class Deliveries:
    """Hands callables to the window's thread; none runs after `close`, and no error is lost.

    Parameters
    ----------
    deliver
        Runs a callable later on the window's thread.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._closed = False

    def send(self, call: Callable[[], None], wanted: Callable[[], bool] | None = None) -> None:
        """Run `call` on the window's thread, if `wanted` still says so when its turn comes."""

        def run() -> None:
            if self._closed or (wanted is not None and not wanted()):
                return
            try:
                call()
            except Exception:
                _log.exception("What the window does with an answer of the model failed")

        if self._closed:
            return
        try:
            self._deliver(run)
        except Exception:  # as of a window that was destroyed meanwhile
            _log.exception("An answer of the model could not be handed to the window")

    def close(self) -> None:
        """Deliver nothing from now on, not even what is on its way."""
        self._closed = True
