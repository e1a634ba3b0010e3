"""Who may use the model next: clicks in their order, and other work when no click wants it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import count

from labelstudio_backend.answering.meters import Meters, NoMeters
from labelstudio_backend.errors import BusyError
from sam_plugins.errors import SamPluginsError

__all__ = ["Place", "Rank", "StoppedError", "SupersededError", "WaitingRoom"]

SECONDS_BETWEEN_STOPS = 0.05
MOST_SECONDS_TO_RETRY = 30


class StoppedError(SamPluginsError):
    """Work that `stop` ended before it was complete, so that nothing of it counts."""


class SupersededError(SamPluginsError):
    """A question that a newer one contains; nobody waits for its answer."""


class Rank(IntEnum):
    """What goes first among steps; clicks come before all but the first."""

    CLICK = 0
    PREPARE = 1
    BATCH = 2
    LATER = 3
    PREFETCH = 4


class Place:
    """One question in the room; made by `WaitingRoom.enter`."""

    def __init__(
        self, room: "WaitingRoom", task: str, labels: frozenset[str], prompts: frozenset[str]
    ) -> None:
        self._room = room
        self.task = task
        self.labels = labels
        self.prompts = prompts
        self.started = False
        self.superseded = False

    def contains(self, other: "Place") -> bool:
        """Whether it asks about the same as an older question, and about all of that."""
        same = self.task == other.task and self.labels == other.labels
        return same and self.prompts >= other.prompts

    def check(self) -> None:
        """Raise SupersededError if nobody waits for the answer any more."""
        if self.superseded:
            raise SupersededError("A newer request asks the same and more.")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only question that is answered.

        Raises
        ------
        SupersededError
            If a newer question contained this one before its turn.
        BusyError
            If the room was closed and time was over before its turn.
        """
        with self._room.turn(self):
            yield


class WaitingRoom:
    """One accelerator and who waits for it.

    A model answers prompts on one thread and encodes on another, so one question is answered at a
    time, and beside it one step of other work is done: encoding for a question that waits, or a
    piece of preparation or of a batch. Those pieces begin only while no question waits for its turn
    or has it.

    Parameters
    ----------
    length
        Questions that may be here besides the one that is answered.
    meters
        Get "wait" seconds, the counts "superseded" and "rejected", the levels "queue" and
        "running".
    """

    def __init__(self, length: int, meters: Meters | None = None) -> None:
        self._length = length
        self._meters = NoMeters() if meters is None else meters
        self._changed = threading.Condition()
        self._places: list[Place] = []
        self._queue: deque[Place] = deque()
        self._running: Place | None = None
        self._steps: list[tuple[Rank, int]] = []
        self._stepping = False
        self._numbers = count()
        self._usual_seconds = 0.1
        self._closing = False
        self._given_up = False

    @property
    def waiting(self) -> int:
        """Questions that have not begun."""
        return sum(not (place.started or place.superseded) for place in self._places)

    @property
    def running(self) -> int:
        """Questions and steps that have begun."""
        return (self._running is not None) + self._stepping

    @contextmanager
    def enter(self, task: str, labels: frozenset[str], prompts: frozenset[str]) -> Iterator[Place]:
        """Take a place for one question.

        Those for the same task and labels that have not begun, and all of whose prompts are among
        `prompts`, are superseded.

        Raises
        ------
        BusyError
            If there is no room, or the room is closed.
        """
        place = Place(self, task, labels, prompts)
        with self._changed:
            self._admit(place)
            self._places.append(place)
            self._tell()
        try:
            yield place
        finally:
            with self._changed:
                self._places.remove(place)
                self._tell()

    @contextmanager
    def turn(self, place: Place) -> Iterator[None]:
        """As `Place.turn`."""
        began = time.monotonic()
        with self._changed:
            self._queue.append(place)
            try:
                self._changed.wait_for(
                    lambda: (
                        place.superseded
                        or self._given_up
                        or (self._running is None and self._queue[0] is place)
                    )
                )
                place.check()
                if self._given_up:
                    raise _ending()
                place.started = True
                self._running = place
            finally:
                self._queue.remove(place)
                self._tell()
        start = time.monotonic()
        self._meters.seconds("wait", start - began)
        try:
            yield
        finally:
            with self._changed:
                self._running = None
                self._usual_seconds += (time.monotonic() - start - self._usual_seconds) / 8
                self._tell()

    @contextmanager
    def step(self, rank: Rank, stop: Callable[[], bool] | None = None) -> Iterator[None]:
        """Do one piece of other work, as the only one.

        Parameters
        ----------
        rank
            What goes first. `Rank.CLICK` is for what a question needs before its turn.
        stop
            Asked while waiting.

        Raises
        ------
        StoppedError
            If `stop` said so.
        BusyError
            If the room was closed.
        """
        mine = (rank, next(self._numbers))
        began = time.monotonic()
        with self._changed:
            self._steps.append(mine)
            try:
                while not self._may_step(mine):
                    if stop is not None and stop():
                        raise StoppedError("The work was stopped before it was complete.")
                    if self._given_up or (self._closing and rank > Rank.CLICK):
                        raise _ending()
                    self._changed.wait(None if stop is None else SECONDS_BETWEEN_STOPS)
                self._stepping = True
            finally:
                self._steps.remove(mine)
                self._tell()
        if rank == Rank.CLICK:
            self._meters.seconds("wait", time.monotonic() - began)
        try:
            yield
        finally:
            with self._changed:
                self._stepping = False
                self._tell()

    def close(self, seconds: float) -> None:
        """Refuse what is new, let what is here end, and after some time what waits give up."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._places and not self._stepping, seconds)
            self._given_up = True
            self._changed.notify_all()

    def _admit(self, newer: Place) -> None:
        if self._closing:
            raise _ending()
        for place in self._places:
            if not place.started and not place.superseded and newer.contains(place):
                place.superseded = True
                self._meters.count("superseded")
        present = sum(not place.superseded for place in self._places)
        if present > self._length:
            self._meters.count("rejected")
            seconds = min(max(round(present * self._usual_seconds), 1), MOST_SECONDS_TO_RETRY)
            raise BusyError(
                f"{present} requests are here already and no more may wait: ask again in "
                f"{seconds} seconds.",
                seconds,
            )

    def _may_step(self, mine: tuple[Rank, int]) -> bool:
        rank = mine[0]
        if self._stepping or mine != min(self._steps) or self._given_up:
            return False
        if rank == Rank.CLICK:
            return True
        if self._closing or self._queue or self._running is not None:
            return False
        return rank < Rank.PREFETCH or not self._places

    def _tell(self) -> None:
        """Something changed: the others look again, and so do the meters."""
        self._changed.notify_all()
        self._meters.level("queue", self.waiting)
        self._meters.level("running", self.running)


def _ending() -> BusyError:
    return BusyError("The backend is ending: ask again when it has started.", 5)
