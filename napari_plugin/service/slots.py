"""Requests of which only the newest counts."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_plugin.service.deliveries import Deliveries
from sam_plugins.ports import Segmenter

__all__ = ["Slot"]


@dataclass(frozen=True, slots=True)
class _Asked:
    number: int
    work: Callable[[Segmenter], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]


class Slot:
    """One request is worked on and at most one waits; a newer one takes its place.

    Parameters
    ----------
    name
        For the name of the thread.
    model
        The segmenter; waits until there is one and raises why there is none.
    deliveries
        The way back.
    changed
        Guards this slot; notified whenever it becomes idle or busy.
    """

    def __init__(
        self,
        name: str,
        model: Callable[[], Segmenter],
        deliveries: Deliveries,
        changed: threading.Condition,
    ) -> None:
        self._name = name
        self._model = model
        self._deliveries = deliveries
        self._changed = changed
        self._newest = 0
        self._waiting: _Asked | None = None
        self._running = False
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether an answer that counts is worked on or waited for; `changed` must be held."""
        return self._waiting is not None or self._running

    def ask(
        self,
        work: Callable[[Segmenter], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Take the place of whatever was asked before."""
        with self._changed:
            self._newest += 1
            self._waiting = _Asked(self._newest, work, done, failed)
            if self._thread is None:
                name = f"sam-plugins {self._name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def forget(self) -> None:
        """Deliver nothing that was asked until now."""
        with self._changed:
            self._newest += 1
            self._waiting = None
            self._changed.notify_all()

    def close(self) -> None:
        """Forget everything; the thread ends when what it works on ends."""
        with self._changed:
            self._closed = True
            self.forget()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                asked, self._waiting = self._waiting, None
                if asked is None:
                    return
                self._running = True
            try:
                self._answer(asked)
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()

    def _answer(self, asked: _Asked) -> None:
        def wanted() -> bool:
            return asked.number == self._newest

        try:
            segmenter = self._model()
            if not wanted():  # a newer one came while the model was opened
                return
            answer = asked.work(segmenter)
        except Exception as raised:
            error = raised
            self._deliveries.send(lambda: asked.failed(error), wanted)
        else:
            self._deliveries.send(lambda: asked.done(answer), wanted)
