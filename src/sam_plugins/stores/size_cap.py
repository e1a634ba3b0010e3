"""The bound on the bytes of a folder of embeddings, kept by several processes without a lock."""

import shutil
from threading import Lock

from sam_plugins.stores.folder import EmbeddingFolder

__all__ = ["SizeCap"]

_LOOK_AFTER = 32
"""The folder is looked through when this process has written so small a part of the bound."""

_FILL = 0.9
"""Share of the bound that is left after a clearing, so that the next is not due at once."""


class SizeCap:
    """Deletes the embeddings used longest ago before a new one would exceed the bound.

    Looking through the folder is rare: between two looks this process counts what it writes itself,
    so that what other processes write meanwhile may exceed the bound by a few percent. Several may
    clear at once: each deletes the same oldest files, and none that was used since.

    Parameters
    ----------
    folder
        The files.
    max_bytes
        Bound on the sum of their sizes.
    min_free_bytes
        The bound is lowered so far that the disk keeps so much space for others.
    """

    def __init__(self, folder: EmbeddingFolder, max_bytes: int, min_free_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._lock = Lock()
        self._room = 0
        """Bytes that may be written before the next look."""

    def make_room(self, nbytes: int) -> bool:
        """Whether a file of `nbytes` fits, with older ones deleted where that is needed."""
        with self._lock:
            if nbytes > self._room:
                self._look(nbytes)
            if nbytes > self._room:
                return False
            self._room -= nbytes
            return True

    def _look(self, nbytes: int) -> None:
        self._folder.remove_leftovers()
        files = sorted(self._folder.files(), key=lambda file: file.used)
        held = sum(file.nbytes for file in files)
        bound = min(self._max_bytes, held + self._free_bytes() - self._min_free_bytes)
        if held + nbytes > bound:
            wanted = min(bound * _FILL, bound - nbytes)
            for file in files:
                if held <= wanted or nbytes > bound:
                    break
                if self._folder.remove(file):
                    held -= file.nbytes
        self._room = min(bound - held, max(nbytes, self._max_bytes // _LOOK_AFTER))

    def _free_bytes(self) -> int:
        place = self._folder.root
        while not place.exists() and place != place.parent:
            place = place.parent
        try:
            return shutil.disk_usage(place).free
        except OSError:
            return self._max_bytes + self._min_free_bytes
