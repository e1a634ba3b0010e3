"""Memory in front of the disk, so that repeated clicks read no file."""

from contextlib import AbstractContextManager

from sam_plugins.ports import SegmenterInfo
from sam_plugins.stores.disk import DiskStore
from sam_plugins.stores.memory import MemoryStore
from sam_plugins.types import Embedding

__all__ = ["LayeredStore"]


class LayeredStore:
    """What memory does not have is looked for on the disk; both keep what is put.

    Parameters
    ----------
    memory, disk
        The layers.
    """

    def __init__(self, memory: MemoryStore, disk: DiskStore) -> None:
        self._memory = memory
        self._disk = disk

    @property
    def disk(self) -> DiskStore:
        """The layer that outlives the process."""
        return self._disk

    def get(self, key: str) -> Embedding | None:
        """The embedding stored under `key`, or None."""
        embedding = self._memory.get(key)
        if embedding is None:
            embedding = self._disk.get(key)
            if embedding is not None:
                self._memory.put(key, embedding)
        return embedding

    def put(self, key: str, embedding: Embedding) -> Embedding:
        """Store an embedding in both, and give it back as `get` will: exact, or rounded."""
        return self._memory.put(key, self._disk.put(key, embedding))

    def lock(self, key: str, seconds: float) -> AbstractContextManager[bool]:
        """As `DiskStore.lock`."""
        return self._disk.lock(key, seconds)

    def note_encoder(self, info: SegmenterInfo) -> None:
        """As `DiskStore.note_encoder`."""
        self._disk.note_encoder(info)
