"""Decoded pictures in memory, and which address had which of them."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from labelstudio_backend.values import LoadedPicture

__all__ = ["PictureMemory"]

MAX_ADDRESSES = 20_000


class PictureMemory:
    """The pictures used last. Safe to share between threads.

    Parameters
    ----------
    max_bytes
        Bound on the sum of their pixels; those used longest ago go first. A picture that is larger
        than this on its own is not kept.
    clock
        Seconds.
    """

    def __init__(
        self, max_bytes: int = 1 << 29, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._nbytes = 0
        self._pictures: OrderedDict[str, LoadedPicture] = OrderedDict()
        self._addresses: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._nbytes

    def at(self, address: str) -> LoadedPicture | None:
        """The picture that an address had lately, or None."""
        with self._lock:
            key, until = self._addresses.get(address, ("", 0.0))
            return self._get(key) if self._clock() < until else None

    def get(self, key: str) -> LoadedPicture | None:
        """The picture with this content, or None."""
        with self._lock:
            return self._get(key)

    def put(self, address: str, seconds: float, picture: LoadedPicture) -> None:
        """Keep a picture, and for some seconds that this address has it."""
        with self._lock:
            self._addresses[address] = (picture.key, self._clock() + seconds)
            self._addresses.move_to_end(address)
            if len(self._addresses) > MAX_ADDRESSES:
                self._addresses.popitem(last=False)
            if picture.key in self._pictures or picture.rgb.nbytes > self._max_bytes:
                return
            self._pictures[picture.key] = picture
            self._nbytes += picture.rgb.nbytes
            while self._nbytes > self._max_bytes:
                _, oldest = self._pictures.popitem(last=False)
                self._nbytes -= oldest.rgb.nbytes

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._pictures.clear()
            self._addresses.clear()
            self._nbytes = 0

    def _get(self, key: str) -> LoadedPicture | None:
        picture = self._pictures.get(key)
        if picture is not None:
            self._pictures.move_to_end(key)
        return picture
