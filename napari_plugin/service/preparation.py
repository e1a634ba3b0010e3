"""Work in the background that makes later answers quick."""

import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from napari_plugin.service.deliveries import Deliveries
from sam_plugins.errors import SamPluginsError
from sam_plugins.ports import Segmenter

__all__ = ["Preparation", "Prepared"]

Prepared = tuple[Hashable, Callable[[Segmenter], Iterator[Any]]]
"""What it is about, and what steps through it."""

_log = logging.getLogger(__name__)


class Preparation:
    """A queue that a new list takes the place of; one entry is worked on at a time.

    Parameters
    ----------
    model
        The segmenter; waits until there is one and raises why there is none.
    deliveries
        The way back.
    changed
        Guards the queue; notified whenever `stand_back` may answer otherwise.
    stand_back
        Whether something more urgent is wanted; asked between steps with `changed` held.
    """

    def __init__(
        self,
        model: Callable[[], Segmenter],
        deliveries: Deliveries,
        changed: threading.Condition,
        stand_back: Callable[[], bool],
    ) -> None:
        self._model = model
        self._deliveries = deliveries
        self._changed = changed
        self._stand_back = stand_back
        self._waiting: list[Prepared] = []
        self._running: Hashable = None
        self._on_prepared: Callable[[Hashable], None] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def replace(
        self, requests: Sequence[Prepared], on_prepared: Callable[[Hashable], None] | None
    ) -> None:
        """Forget what waits and do these, first entry first; what runs already is not repeated."""
        with self._changed:
            self._waiting = [entry for entry in requests if entry[0] != self._running]
            self._on_prepared = on_prepared
            if self._thread is None and self._waiting:
                self._thread = threading.Thread(
                    target=self._run, name="sam-plugins prepare", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what waits; what runs ends at its next step."""
        with self._changed:
            self._closed = True
            self._waiting = []
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
                if self._closed:
                    return
                self._running, steps = self._waiting.pop(0)
            key = self._running
            try:
                finished = self._step_through(steps)
            except SamPluginsError as error:
                _log.info("Preparing %s failed: %s", key, error)
                finished = False
            except Exception:
                _log.exception("Preparing %s failed", key)
                finished = False
            with self._changed:
                self._running = None
                report = self._on_prepared
            if finished and report is not None:
                self._send(report, key)

    def _step_through(self, make: Callable[[Segmenter], Iterator[Any]]) -> bool:
        segmenter = self._model()
        if not self._may_go_on():
            return False
        steps = make(segmenter)
        try:
            for _ in steps:
                if not self._may_go_on():
                    return False
        finally:
            if close := getattr(steps, "close", None):
                close()
        return True

    def _may_go_on(self) -> bool:
        """Wait while something more urgent is wanted; False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._stand_back())
            return not self._closed

    def _send(self, report: Callable[[Hashable], None], key: Hashable) -> None:
        self._deliveries.send(lambda: report(key), lambda: not self._closed)
