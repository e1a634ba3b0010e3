"""`Journal`: what a session did, on the disk before the user is told that it is done."""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from napari_plugin.objects.errors import JournalError
from napari_plugin.objects.frames import MAGIC, Block, append, pack
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.regions import Slices, blocks_of, read

if TYPE_CHECKING:
    from napari_plugin.objects.ledger import Ledger

__all__ = ["About", "Journal", "lock_of"]

_BLOCK_ELEMENTS = 1 << 20
_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
# NotImplementedError: a file system that knows no locks.
_REFUSALS = (OSError, Timeout, NotImplementedError)
_HANDED_OVER = frozenset({"draft", "brush", "reopen"})


@dataclass(frozen=True, slots=True)
class About:
    """What a journal belongs to.

    Parameters
    ----------
    image, fingerprint
        The name of the image layer, and what tells its pixels from others.
    layer
        The name of the Labels layer.
    shape, dtype, axes
        Of the labels.
    settings
        JSON of the session: model, policy, intensity.
    model_id
        The model that was chosen.
    """

    image: str
    fingerprint: str
    layer: str
    shape: tuple[int, ...]
    dtype: str
    axes: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    model_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        found = asdict(replace(self, settings=dict(self.settings)))
        return {**found, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "About":
        """What `to_json` wrote; ValueError, TypeError or KeyError for anything else."""
        texts = {
            name: str(found[name])
            for name in ("image", "fingerprint", "layer", "dtype", "axes", "model_id")
        }
        shape = tuple(int(size) for size in found["shape"])
        if not shape or min(shape) < 0:
            raise ValueError(f"expected the shape of labels, found {shape}")
        if not np.issubdtype(np.dtype(texts["dtype"]), np.integer):
            raise ValueError(f"expected a type of whole numbers, found {texts['dtype']}")
        return cls(shape=shape, settings=dict(found["settings"]), **texts)


def lock_of(path: Path) -> FileLock:
    """What a live session holds while it writes the journal at `path`."""
    return FileLock(f"{path}.lock", timeout=0, thread_local=False)


class Journal:
    """An append-only file of what a session did; made by `create`.

    A disk that is full or read-only is told once, through `warn`; work goes on, and as soon as the
    disk takes something again, everything is written anew.
    """

    def __init__(self, path: Path, about: About, warn: Callable[[str], None]) -> None:
        self.path = path
        self.about = about
        self._warn = warn
        self._warned = False
        self._guard = threading.RLock()
        self._lock = lock_of(path)
        self._file = -1
        self._size = 0
        self._smallest = 0
        self._behind = False
        self._closed = False
        self._handed_over = False
        self._actions = 0
        self._touched: dict[tuple[tuple[int, int], ...], Slices] = {}
        self._book: Ledger | None = None

    @classmethod
    def create(
        cls, folder: Path, about: About, *, warn: Callable[[str], None] = lambda sentence: None
    ) -> "Journal":
        """A new journal in a folder, which is made if need be and is the user's alone (0700)."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:12]}.journal"
        journal = cls(folder / name, about, warn)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            journal._lock.acquire()
            journal._rewrite()
        except _REFUSALS as error:
            journal._fail(error)
        return journal

    @property
    def works(self) -> bool:
        """Whether everything that was done so far is on the disk."""
        return self._file >= 0 and not self._behind

    def bind(self, book: "Ledger") -> None:
        """Store the labels and records of a book as they are now, and be ready for its changes."""
        with self._guard:
            self._book = book
            self._attempt(self._rewrite)

    def note_settings(self, settings: Mapping[str, Any]) -> None:
        """Store the settings of the session (JSON), if they changed."""
        self.note_about(settings=dict(settings))

    def note_about(self, **changes: Any) -> None:
        """Store what is different now: the `layer`'s name, the `model_id`, the `settings`."""
        about = replace(self.about, **changes)
        if about.to_json() != self.about.to_json():
            self.about = about
            self._add({"kind": "about", "about": about.to_json()}, (), sync=False)

    def note_type(self) -> None:
        """Store everything anew if the labels hold another type now: blocks are of one type."""
        with self._guard:
            dtype = self.about.dtype if self._book is None else str(self._book.array.dtype)
            if dtype != self.about.dtype:
                self.about = replace(self.about, dtype=dtype)
                self._attempt(self._rewrite)

    def write(
        self,
        kind: str,
        regions: Sequence[Slices],
        records: Mapping[int, ObjectRecord | None] | None = None,
        draft: Any | None = None,
    ) -> bool:
        """Store how these boxes of the labels and these records are now.

        Returns
        -------
        stored
            Whether it is on the disk. What changes no accepted object ("draft", "brush",
            "reopen") is handed to the system, which outlives this process, and is on the disk
            with the next change of another kind, or with `flush`.
        """
        said = {
            "kind": kind,
            "records": {
                str(number): None if record is None else record.to_json()
                for number, record in (records or {}).items()
            },
        }
        if draft is not None:
            said["draft"] = draft
        return self._add(said, regions, sync=kind not in _HANDED_OVER)

    def flush(self) -> bool:
        """Put on the disk what was only handed to the system; whether everything is there."""
        with self._guard:
            if self._file >= 0 and self._handed_over:
                self._attempt(self._sync)
            return self.works

    def _sync(self) -> None:
        os.fsync(self._file)
        self._handed_over = False

    def close(self, *, saved: bool = False) -> None:
        """The session ends; if its work was saved elsewhere, or there was none, so does the file.

        A journal that is not `saved` is offered again.
        """
        with self._guard:
            if self._closed:
                return
            empty = not self._actions and not (self._book and self._book.records)
            self._add({"kind": "closed", "saved": saved}, (), sync=True)
            self._release()
            self._book, self._closed = None, True
            if saved or empty:
                self.path.unlink(missing_ok=True)
            self._lock.release()
            if saved or empty:
                with contextlib.suppress(OSError):
                    Path(self._lock.lock_file).unlink(missing_ok=True)

    def _add(self, said: Mapping[str, Any], regions: Sequence[Slices], *, sync: bool) -> bool:
        with self._guard:
            if self._closed:
                return False
            self._actions += said["kind"] not in ("closed", "about")
            for where in regions:
                self._touched[tuple((part.start, part.stop) for part in where)] = where
            if self._behind or self._file < 0:
                # A frame was lost: only everything makes the file whole again.
                return self._attempt(self._rewrite)
            return self._attempt(lambda: self._append(said, regions, sync))

    def _append(self, said: Mapping[str, Any], regions: Sequence[Slices], sync: bool) -> None:
        data = pack(said, self._blocks(regions))
        try:
            append(self._file, data)
        except OSError:
            # Half a frame would hide those that follow.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._handed_over = True
        self._size += len(data)
        if sync:
            self._sync()
        if self._size > max(1 << 24, 4 * self._smallest):
            try:
                self._rewrite()
            except OSError:
                # No room for a second file: the long one is whole. Try again when it has doubled.
                self._smallest = self._size

    def _blocks(self, regions: Sequence[Slices]) -> list[Block]:
        if self._book is None:
            return []
        return [Block.of(where, read(self._book.array, where)) for where in regions]

    def compact(self) -> bool:
        """Write the present state in place of the way there."""
        with self._guard:
            return not self._closed and self._attempt(self._rewrite)

    def _rewrite(self) -> None:
        """Everything as it is now, in a new file that takes the place of the old one at once."""
        partial = self.path.with_suffix(".partial")
        if not self._lock.is_locked:
            self._lock.acquire()
        file = os.open(partial, os.O_TRUNC | _APPENDING, 0o600)
        try:
            try:
                size = self._write_state(file)
                os.fsync(file)
            finally:
                os.close(file)
            # Some systems replace no file that is open.
            self._release()
            os.replace(partial, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            if self._size and self._file < 0:
                self._file = os.open(self.path, _APPENDING, 0o600)
            raise
        self._file = os.open(self.path, _APPENDING, 0o600)
        self._size, self._smallest = size, size
        self._behind = self._handed_over = False
        _sync_folder(self.path.parent)

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _write_state(self, file: int) -> int:
        book = self._book
        whole = book is not None and isinstance(book.array, np.ndarray)
        begin = {
            "kind": "begin",
            "about": self.about.to_json(),
            "whole": whole,
            "when": time.time(),
        }
        if book is not None:
            begin["records"] = {str(n): record.to_json() for n, record in book.records.items()}
            if book.draft is not None:
                begin["draft"] = book.draft
        begin["actions"] = self._actions
        data = MAGIC + pack(begin)
        append(file, data)
        size = len(data)
        if book is None:
            return size
        for where in blocks_of(book.array, _BLOCK_ELEMENTS) if whole else self._touched.values():
            values = read(book.array, where)
            if not whole or values.any():
                data = pack({"kind": "labels"}, [Block.of(where, values)])
                append(file, data)
                size += len(data)
        return size

    def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except (*_REFUSALS, JournalError, TypeError, ValueError) as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: Exception) -> None:
        self._behind = True
        if not self._warned:
            self._warned = True
            reason = getattr(error, "strerror", None) or str(error)
            self._warn(
                f"The journal at {self.path.parent} cannot be written ({reason}): if napari ends "
                "now, work since the last save is lost. Free some space or save the labels."
            )


def _sync_folder(folder: Path) -> None:
    # Not every system lets a folder be opened; the file itself is safe already.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
