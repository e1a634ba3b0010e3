"""Embeddings on the disk, shared by all hosts and processes of a user."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, local

from filelock import FileLock, Timeout

from sam_plugins.codec import Storage, embedding_from_bytes, embedding_to_bytes, rounded
from sam_plugins.errors import EmbeddingError, ModelError
from sam_plugins.ports import SegmenterInfo
from sam_plugins.stores.folder import EmbeddingFolder
from sam_plugins.stores.size_cap import SizeCap
from sam_plugins.types import Embedding

__all__ = ["DEFAULT_MAX_BYTES", "DiskStore"]

DEFAULT_MAX_BYTES = 10 * 10**9
DEFAULT_MIN_FREE_BYTES = 10**9

_MAX_FILE_BYTES = 1 << 28
_STORAGES = ("fp32", "fp16")

_log = logging.getLogger(__name__)

# The lock files that each thread holds: keys share them, and a cache may lie around another cache
# with the same folder, so that a thread would wait for itself.
_held = local()


class DiskStore:
    """One safetensors file per embedding. Safe to share between threads and between processes.

    A file that is damaged, foreign or not what its name says is left aside with a warning, as if it
    were not there; the next `put` replaces it. A disk that is full or may not be written costs one
    warning and no answer.

    Parameters
    ----------
    folder
        Where. Made with the first file, readable by its owner only.
    storage
        "fp32" keeps features exactly; "fp16" rounds them to half precision and takes half the
        space. The two have files of their own, so that one never answers for the other.
    max_bytes
        Bound on the files of the folder; those used longest ago go first.
    min_free_bytes
        Space of the disk that is left to others: the bound is lowered so far.

    Raises
    ------
    ModelError
        If `storage` is unknown.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        storage: Storage = "fp32",
        max_bytes: int = DEFAULT_MAX_BYTES,
        min_free_bytes: int = DEFAULT_MIN_FREE_BYTES,
    ) -> None:
        if storage not in _STORAGES:
            raise ModelError(f"storage must be one of {', '.join(_STORAGES)}, found {storage!r}.")
        self._storage: Storage = storage
        self._files = EmbeddingFolder(Path(folder).expanduser())
        self._cap = SizeCap(self._files, max_bytes, min_free_bytes)
        self._max_bytes = max_bytes
        self._warned: set[str] = set()
        self._lock = Lock()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._files.root

    @property
    def storage(self) -> Storage:
        """Precision of what is kept: "fp32" or "fp16"."""
        return self._storage

    @property
    def max_bytes(self) -> int:
        """Bound on the files of the folder."""
        return self._max_bytes

    def get(self, key: str) -> Embedding | None:
        """The embedding stored under `key`, or None. Takes no lock."""
        path = self._files.path(key, self._storage)
        try:
            data = self._files.read(path, _MAX_FILE_BYTES)
            embedding = embedding_from_bytes(data, storage=self._storage)
        except FileNotFoundError:
            return None
        except EmbeddingError as error:
            self._warn(str(path), f"{path} is ignored, the picture is encoded again: {error}")
            return None
        except OSError as error:
            self._warn(f"reading: {error.strerror}", f"{path} cannot be read: {error}")
            return None
        if embedding.key != key:
            self._warn(str(path), f"{path} is ignored: it holds another window's embedding.")
            return None
        return embedding

    def put(self, key: str, embedding: Embedding) -> Embedding:
        """Store an embedding under its key, and give it back as `get` will: exact, or rounded.

        Raises
        ------
        EmbeddingError
            If `key` is not the embedding's own, or it cannot be saved.
        """
        if key != embedding.key:
            raise EmbeddingError(
                f"An embedding is stored under its own key {embedding.key!r}, found {key!r}: pass "
                "embedding.key."
            )
        kept = rounded(embedding, self._storage)
        data = embedding_to_bytes(kept, storage=self._storage)
        if len(data) > _MAX_FILE_BYTES or not self._cap.make_room(len(data)):
            self._warn(
                "room",
                f"There is no room for an embedding of {len(data)} bytes in {self.folder}, so that "
                "it is not kept: free some space, or set SAM_PLUGINS_CACHE to another disk.",
            )
            return kept
        try:
            self._files.write(self._files.path(key, self._storage), data)
        except OSError as error:
            self._warn(
                f"writing: {error.strerror}",
                f"Embeddings cannot be kept in {self.folder} ({error}), so that pictures are "
                "encoded again: free some space, or set SAM_PLUGINS_CACHE to a folder that can be "
                "written to.",
            )
        return kept

    @contextmanager
    def lock(self, key: str, seconds: float) -> Iterator[bool]:
        """Be the only process that computes the embedding of `key`.

        The operating system frees the lock when its holder dies. Where files cannot be locked, it
        is held by whoever asks: at worst two compute the same. A thread may hold it twice.

        Parameters
        ----------
        seconds
            How long to wait for another holder.

        Yields
        ------
        Whether the lock is held; False when the time is over.
        """
        path = self._files.lock_path(key)
        place = self.folder.resolve() / path.name
        mine: set[Path] = _held.__dict__.setdefault("places", set())
        if place in mine:
            yield True
            return
        lock = FileLock(path, mode=0o600, thread_local=False)
        held = True
        try:
            self._files.make(path.parent)
            lock.acquire(timeout=max(0.0, seconds))
        except Timeout:
            held = False
        except (OSError, NotImplementedError) as error:
            _log.debug("Files in %s cannot be locked: %s", self.folder, error)
        if held:
            mine.add(place)
        try:
            yield held
        finally:
            if held:
                mine.discard(place)
            lock.release()

    def note_encoder(self, info: SegmenterInfo) -> None:
        """Note which model an encoder belongs to, for `sam-plugins cache list`."""
        path = self._files.encoder_path(info.encoder_id)
        names = {name: getattr(info, name) for name in ("encoder_id", "name", "numerics")}
        try:
            if not path.exists():
                self._files.write(path, json.dumps(names).encode())
        except OSError as error:
            _log.debug("%s cannot be written: %s", path, error)

    def _warn(self, subject: str, message: str) -> None:
        """Say each thing once: a host asks again and again."""
        with self._lock:
            if subject in self._warned:
                return
            self._warned.add(subject)
        _log.warning("%s", message)
