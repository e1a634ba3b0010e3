"""Memory in front of the disk, so that repeated clicks read no file."""

import os
from contextlib import AbstractContextManager

from sam_plugins.codec import Storage
from sam_plugins.ports import EmbeddingStore, SegmenterInfo
from sam_plugins.stores.disk import DEFAULT_MAX_BYTES, DiskStore
from sam_plugins.stores.memory import MemoryStore
from sam_plugins.types import Embedding

__all__ = ["LayeredStore", "open_store"]

DEFAULT = "default"


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


def open_store(
    where: EmbeddingStore | str | os.PathLike[str] = DEFAULT,
    *,
    storage: Storage = "fp32",
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> EmbeddingStore:
    """A store to share: memory in front of a folder.

    Parameters
    ----------
    where
        "default" for the folder that all hosts share, a path for another one, or a store, which
        comes back as it is.
    storage, max_bytes
        As `DiskStore` takes them.

    Raises
    ------
    ModelError
        If `storage` is unknown.
    """
    if not isinstance(where, str | os.PathLike):
        return where
    folder = None if where == DEFAULT else where
    return LayeredStore(MemoryStore(), DiskStore(folder, storage=storage, max_bytes=max_bytes))
