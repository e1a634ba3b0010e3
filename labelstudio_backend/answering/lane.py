"""A thread with a bounded list of what it still has to do."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from labelstudio_backend.answering.meters import Meters

__all__ = ["Lane"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Lane(Generic[T]):
    """One thing after the other in the background, each key once.

    Parameters
    ----------
    name
        Of the thread; the meters get the level "<name>_queue" and the count "<name>_dropped".
    work
        Done with each thing; what it raises goes to the log.
    length
        Things that may wait; where more come, those that wait longest are dropped.
    meters
        See `name`.
    """

    def __init__(self, name: str, work: Callable[[T], None], length: int, meters: Meters) -> None:
        self._name = name
        self._work = work
        self._length = length
        self._meters = meters
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Hashable, T] = OrderedDict()
        self._running: Hashable | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is done."""
        with self._changed:
            return not self._waiting and self._running is None

    def put(self, key: Hashable, thing: T) -> None:
        """Do this after everything else, unless the same is waiting or being done."""
        with self._changed:
            if self._closed or key in self._waiting or key == self._running:
                return
            self._waiting[key] = thing
            while len(self._waiting) > self._length:
                self._waiting.popitem(last=False)
                self._meters.count(f"{self._name}_dropped")
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"sam-plugins {self._name}", daemon=True
                )
                self._thread.start()
            self._tell()

    def take_back(self, key: Hashable) -> bool:
        """Leave out what waits; False where it does not wait, or has begun."""
        with self._changed:
            taken = self._waiting.pop(key, None) is not None
            self._tell()
            return taken

    def wait_for(self, key: Hashable, seconds: float) -> None:
        """Wait while this is being done, if it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._running != key or self._closed, seconds)

    def close(self) -> None:
        """Forget what waits; the thread ends after what it does."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._tell()

    def _tell(self) -> None:
        self._changed.notify_all()
        self._meters.level(f"{self._name}_queue", len(self._waiting))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                self._running, thing = self._waiting.popitem(last=False)
                self._tell()
            try:
                self._work(thing)
            except Exception:
                _log.exception("%s failed", self._name)
            finally:
                del thing
                with self._changed:
                    self._running = None
                    self._tell()
