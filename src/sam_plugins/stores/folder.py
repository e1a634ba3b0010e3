"""The files of a `DiskStore`: their names, and how they are written, read and removed.

::

    <root>/3f/3f9c....fp32.safetensors    one embedding
    <root>/3f/.3f9c....<random>.part      one that is being written, or was when its writer died
    <root>/locks/0a1.lock                 empty; locked while an embedding is computed
    <root>/encoders/77ab....json          which model an encoder belongs to, to be told to people

Several processes, and several machines on a network folder, use it at once: a file appears whole
under its name or not at all, and whoever reads one that is being replaced has the former file. All
is readable by its owner only, as an embedding tells much about a picture.
"""

import hashlib
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["EmbeddingFolder", "StoredFile"]

LEFTOVER_SECONDS = 3600.0
"""A file that has been written for longer than this will not be finished."""

TOUCH_SECONDS = 60.0
"""Reading notes the time of use, and not more often than this."""

_LOCKS = 1024
_SHARD = re.compile(r"[0-9a-f]{2}")
_EMBEDDING = re.compile(r"[0-9a-f]{40}\.(fp32|fp16)\.safetensors")
_PART = re.compile(r"\.[0-9a-f]{40}\.[0-9a-f]{32}\.part")
_LOCK = re.compile(r"[0-9a-f]{3}\.lock")
_ENCODER = re.compile(r"[0-9a-f]{40}\.json")

# Absent on Windows, where symbolic links need a privilege. Nothing waits for a pipe's other end.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an embedding: where, how large in bytes, used last when (seconds since 1970)."""

    path: Path
    nbytes: int
    used: float

    @property
    def storage(self) -> str:
        """Precision of its features: "fp32" or "fp16"."""
        return self.path.name.split(".")[1]


class EmbeddingFolder:
    """The files below one folder, which is made when the first is written.

    Parameters
    ----------
    root
        The folder. It may be a symbolic link; nothing below it may.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str, storage: str) -> Path:
        """Where an embedding lies. Names come from a hash, so that any key is safe."""
        name = _hashed(key)
        return self.root / name[:2] / f"{name}.{storage}.safetensors"

    def lock_path(self, key: str) -> Path:
        """The file that is locked while this key's embedding is computed.

        There are 1024, shared by all keys, so that they need no cleaning.
        """
        return self.root / "locks" / f"{int(_hashed(key)[:8], 16) % _LOCKS:03x}.lock"

    def encoder_path(self, encoder_id: str) -> Path:
        """Where the name of an encoder's model is noted."""
        return self.root / "encoders" / f"{_hashed(encoder_id)}.json"

    def read(self, path: Path, max_bytes: int) -> bytes:
        """A regular file of at most `max_bytes`, and note that it was used.

        Raises
        ------
        OSError
            If there is none, or it is something else, or larger.
        """
        with _opened(path) as (file, status):
            if status.st_size > max_bytes:
                raise OSError(f"it has {status.st_size} bytes, more than {max_bytes}: {path}")
            data = file.read(status.st_size)
        if abs(time.time() - status.st_mtime) > TOUCH_SECONDS:
            with suppress(OSError):
                os.utime(path)
        return data

    def read_head(self, path: Path, max_bytes: int) -> bytes:
        """The first bytes of a regular file, without noting that it was used.

        Raises
        ------
        OSError
            If there is none, or it is something else.
        """
        with _opened(path) as (file, _):
            return file.read(max_bytes)

    def write(self, path: Path, data: bytes) -> None:
        """Put a whole file in the place of what is there.

        It is not forced onto the disk: what a power cut leaves half there has a wrong checksum.

        Raises
        ------
        OSError
            If it cannot be written; nothing is left then.
        """
        self.make(path.parent)
        part = path.parent / f".{path.name.split('.')[0]}.{uuid.uuid4().hex}.part"
        try:
            with open(part, "xb", opener=_open_to_write) as file:
                file.write(data)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise

    def make(self, folder: Path) -> None:
        """Make a folder of ours, for its owner only.

        Raises
        ------
        OSError
            If it cannot be made or is a symbolic link.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_link(folder)
        folder.mkdir(mode=0o700, exist_ok=True)

    def files(self) -> Iterator[StoredFile]:
        """Every embedding that is there now, in no order."""
        for path, status in self._entries(_EMBEDDING):
            yield StoredFile(path, status.st_size, status.st_mtime)

    def remove(self, file: StoredFile) -> bool:
        """Delete an embedding unless it was used or written since it was listed."""
        with suppress(OSError):
            if file.path.lstat().st_mtime == file.used:
                file.path.unlink()
                return True
        return False

    def remove_leftovers(self, seconds: float = LEFTOVER_SECONDS) -> None:
        """Delete what writers that died have left, if it is older than this."""
        latest = time.time() - seconds
        for path, status in self._entries(_PART):
            if status.st_mtime < latest:
                with suppress(OSError):
                    path.unlink()

    def remove_empty(self) -> None:
        """Delete notes, locks and folders of ours, if no embedding is left.

        Whoever computes an embedding at this moment may lose the lock, and another compute it too.
        """
        if next(self.files(), None) is not None:
            return
        for name, pattern in (("locks", _LOCK), ("encoders", _ENCODER)):
            for path, _ in _regular_files(self.root / name, pattern):
                with suppress(OSError):
                    path.unlink()
        for folder in (*self._shards(), self.root / "locks", self.root / "encoders", self.root):
            with suppress(OSError):
                folder.rmdir()

    def _entries(self, pattern: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
        for shard in self._shards():
            yield from _regular_files(shard, pattern)

    def _shards(self) -> list[Path]:
        with suppress(OSError), os.scandir(self.root) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if _SHARD.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
        return []


def _regular_files(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
    """What is there at one moment; files that others delete meanwhile are left out."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        yield Path(entry.path), status


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """A regular file that neither is a symbolic link nor lies in one."""
    _refuse_link(path.parent)
    _refuse_link(path)
    with open(path, "rb", opener=_open_to_read) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"it is not a file: {path}")
        yield file, status


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OSError(f"it is a symbolic link: {path}")


def _open_to_read(path: str, flags: int) -> int:
    return os.open(path, flags | _SAFELY)


def _open_to_write(path: str, flags: int) -> int:
    return os.open(path, flags | _SAFELY, 0o600)
