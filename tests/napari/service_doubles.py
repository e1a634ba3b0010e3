"""A window's thread that is a queue, and models that stall or fail on demand."""

import queue
import threading
import time

from sam_plugins.testing import FakeSegmenter

PATIENCE = 20.0
"""Seconds until a test gives up on something that should have happened."""


class Window:
    """The window's thread: callables that were delivered run when the test says so."""

    def __init__(self):
        self._queue = queue.Queue()

    def deliver(self, call):
        self._queue.put(call)

    def run_until(self, reached, patience=PATIENCE):
        """Run what is delivered until `reached()` holds."""
        end = time.monotonic() + patience
        while not reached():
            left = end - time.monotonic()
            assert left > 0, "nothing came"
            try:
                self._queue.get(timeout=min(left, 0.05))()
            except queue.Empty:
                continue

    def run_waiting(self):
        """Run what has been delivered until now."""
        while True:
            try:
                self._queue.get_nowait()()
            except queue.Empty:
                return


class Openings:
    """Opens `FakeSegmenter`s when the test allows it, and remembers what was asked."""

    def __init__(self, error=None, gate=True):
        self.asked = []
        self.opened = []
        self.reports = []
        self.error = error
        self.gate = threading.Event()
        if gate:
            self.gate.set()

    def __call__(self, model, *, device, precision, engine, on_status):
        self.asked.append((model, device, precision, engine))
        self.reports.append(on_status)
        assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        self.opened.append(Closable())
        return self.opened[-1]


class Closable(FakeSegmenter):
    """A fake that knows whether it was closed."""

    def __init__(self):
        super().__init__()
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


class Stall:
    """Work that begins and goes on only when the test lets it."""

    def __init__(self):
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, segmenter):
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return "late"
