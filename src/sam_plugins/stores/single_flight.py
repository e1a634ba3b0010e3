"""One computation per key: whoever asks meanwhile waits for it, and not for ever."""

from threading import Event, Lock

from sam_plugins.types import Embedding

__all__ = ["Flight", "Flights"]


class Flight:
    """An embedding that a thread of this process is computing."""

    def __init__(self) -> None:
        self._landed = Event()
        self._embedding: Embedding | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, with or without an embedding, within this time."""
        return self._landed.wait(max(0.0, seconds))

    @property
    def embedding(self) -> Embedding | None:
        """What came of it; None if it failed, was cancelled, or is not over."""
        return self._embedding

    def land(self, embedding: Embedding | None) -> None:
        """Tell those who wait. What came first counts."""
        if not self._landed.is_set():
            self._embedding = embedding
            self._landed.set()


class Flights:
    """What the threads of this process are computing, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._lock = Lock()

    def board(self, key: str) -> tuple[Flight, bool]:
        """The flight of a key, and whether the caller leads it and has to land it."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Flight()
            return flight, True

    def land(self, key: str, flight: Flight, embedding: Embedding | None) -> None:
        """End a flight. Without an embedding one of those who waited leads the next."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.land(embedding)
