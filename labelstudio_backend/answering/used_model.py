"""One opened model, closed when nobody uses it any more."""

import logging
import threading
from collections.abc import Callable
from itertools import count

from labelstudio_backend.answering.enduring import EnduringSegmenter

__all__ = ["UsedModel"]

_log = logging.getLogger(__name__)
_numbers = count(1)


class UsedModel:
    """One opened model and how many requests use it.

    Parameters
    ----------
    segmenter
        That is ready.
    on_close
        Called when the last request is over and the model was replaced.
    """

    def __init__(
        self, segmenter: EnduringSegmenter, on_close: Callable[["UsedModel"], None]
    ) -> None:
        info = segmenter.info
        self.number = next(_numbers)
        self.version = f"{info.name}-{info.model_id[:10]}"
        self.segmenter = segmenter
        self._on_close = on_close
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False
        self._closed = False

    def begin(self) -> None:
        """Not closed until as many `end` as there were of this."""
        with self._lock:
            self._users += 1

    def end(self) -> None:
        """One request fewer uses it."""
        with self._lock:
            self._users -= 1
        self._close_unused()

    def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        with self._lock:
            self._retired = True
        self._close_unused()

    def close(self) -> None:
        """Close it at once; who uses it gets a `WorkerError`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self.segmenter.close()
        except Exception:
            _log.exception("A model could not be closed")
        self._on_close(self)

    def _close_unused(self) -> None:
        with self._lock:
            if self._users or not self._retired or self._closed:
                return
        threading.Thread(target=self.close, name="sam-plugins close", daemon=True).start()
