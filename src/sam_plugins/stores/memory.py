"""Embeddings in the memory of one process."""

from collections import OrderedDict
from threading import Lock

from sam_plugins.types import Embedding

__all__ = ["MemoryStore"]


class MemoryStore:
    """The embeddings used last, in memory. Safe to share between threads.

    Parameters
    ----------
    max_bytes
        Bound on the sum of `Embedding.nbytes`; those used longest ago go first. An embedding that
        is larger than this on its own is not kept.
    """

    def __init__(self, max_bytes: int = 1 << 29) -> None:
        self._max_bytes = max_bytes
        self._nbytes = 0
        self._entries: OrderedDict[str, Embedding] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._nbytes

    def get(self, key: str) -> Embedding | None:
        """The embedding stored under `key`, or None."""
        with self._lock:
            embedding = self._entries.get(key)
            if embedding is not None:
                self._entries.move_to_end(key)
            return embedding

    def put(self, key: str, embedding: Embedding) -> Embedding:
        """Store an embedding under `key` in place of what is there; it comes back as it is."""
        with self._lock:
            former = self._entries.pop(key, None)
            if former is not None:
                self._nbytes -= former.nbytes
            if embedding.nbytes > self._max_bytes:
                return embedding
            self._entries[key] = embedding
            self._nbytes += embedding.nbytes
            while self._nbytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._nbytes -= oldest.nbytes
        return embedding
