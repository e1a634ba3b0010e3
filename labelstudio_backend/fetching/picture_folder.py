"""Picture files that were read before, on disk, shared by processes and bounded in bytes.

::

    <root>/addresses/3f/3f9c....json     which content an address had, and when it was asked for
    <root>/contents/a0/a0b4....picture   the bytes, named by their SHA-256

A file appears whole under its name or not at all. What was damaged since is noticed by its hash and
is as if it were not there. Only the owner may read any of it.
"""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from sam_plugins.formats import whole_file

__all__ = ["KeptPicture", "PictureFolder", "Validators"]

TOUCH_SECONDS = 60.0
"""Reading notes the time of use, and not more often than this."""

LEFTOVER_SECONDS = 3600.0
"""A file that has been written for longer than this will not be finished."""

LOOK_AFTER = 32
FILL = 0.9

_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_DIGEST = re.compile(r"[0-9a-f]{64}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Validators:
    """By what a server recognises the version of a file, as it gave them; None if it did not."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A file that was read before.

    Parameters
    ----------
    content
        Its bytes.
    digest
        Their SHA-256 in hexadecimal digits.
    checked
        When its address was asked last, in seconds since 1970.
    validators
        Of this version.
    """

    content: bytes
    digest: str
    checked: float
    validators: Validators


class PictureFolder:
    """Keeps files by the key of their address. Safe between threads and between processes.

    What cannot be written, for want of space or rights, is not kept, and that is no error.

    Parameters
    ----------
    root
        The folder; it is made when the first file is kept.
    max_bytes
        Bound on all files; those used longest ago go first.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int = 2 << 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = Lock()
        self._room = 0
        """Bytes that may be written before the folder is looked through."""

    def get(self, key: str) -> KeptPicture | None:
        """What the address had when it was read last, or None."""
        note = _read(self._note_path(key))
        try:
            said = json.loads(note or b"null")
            digest, checked = said["content"], float(said["checked"])
            validators = Validators(_text(said["etag"]), _text(said["last_modified"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return None
        path = self._content_path(digest)
        content = _read(path)
        if content is None:
            return None
        if hashlib.sha256(content).hexdigest() != digest:
            _remove(path)
            return None
        for used in (path, self._note_path(key)):
            self._touch(used)
        return KeptPicture(content, digest, checked, validators)

    def put(self, key: str, content: bytes, validators: Validators) -> KeptPicture:
        """Keep what an address has now."""
        digest = hashlib.sha256(content).hexdigest()
        kept = KeptPicture(content, digest, self._clock(), validators)
        path = self._content_path(digest)
        with self._lock:
            try:
                if path.exists():
                    os.utime(path, (kept.checked, kept.checked))
                elif not self._make_room(len(content)):
                    return kept
                else:
                    self._write(path, content)
            except OSError as error:
                _log.warning("A picture was not kept on disk: %s", type(error).__name__)
                return kept
        self._note(key, kept)
        return kept

    def confirm(self, key: str, kept: KeptPicture, validators: Validators) -> KeptPicture:
        """The server said that nothing has changed."""
        confirmed = KeptPicture(
            kept.content,
            kept.digest,
            self._clock(),
            Validators(
                validators.etag or kept.validators.etag,
                validators.last_modified or kept.validators.last_modified,
            ),
        )
        self._note(key, confirmed)
        return confirmed

    def forget(self, key: str, kept: KeptPicture) -> None:
        """The address may not be read any more: neither may what it had."""
        _remove(self._note_path(key))
        _remove(self._content_path(kept.digest))

    def _note_path(self, key: str) -> Path:
        return self._root / "addresses" / key[:2] / f"{key}.json"

    def _content_path(self, digest: str) -> Path:
        return self._root / "contents" / digest[:2] / f"{digest}.picture"

    def _note(self, key: str, kept: KeptPicture) -> None:
        said = {"content": kept.digest, "checked": kept.checked, **asdict(kept.validators)}
        with self._lock:
            try:
                self._write(self._note_path(key), json.dumps(said).encode())
            except OSError as error:
                _log.warning("A picture was not noted on disk: %s", type(error).__name__)

    def _write(self, path: Path, content: bytes) -> None:
        for folder in (self._root, path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path) as partial:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _SAFELY
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
                file.write(content)
            now = self._clock()
            os.utime(partial, (now, now))

    def _touch(self, path: Path) -> None:
        now = self._clock()
        with suppress(OSError):
            if now - path.stat().st_mtime > TOUCH_SECONDS:
                os.utime(path, (now, now))

    def _make_room(self, nbytes: int) -> bool:
        if nbytes > self._room:
            self._look(nbytes)
        self._room -= nbytes
        return self._room >= 0

    def _look(self, nbytes: int) -> None:
        """Delete what was used longest ago, until there is room; leftovers go as well."""
        found: list[tuple[float, int, Path]] = []
        for path, used, size in self._files():
            if path.name.startswith("."):
                if self._clock() - used > LEFTOVER_SECONDS:
                    _remove(path)
            else:
                found.append((used, size, path))
        held = sum(size for _, size, _ in found)
        if held + nbytes > self._max_bytes >= nbytes:
            wanted = min(self._max_bytes * FILL, self._max_bytes - nbytes)
            for _, size, path in sorted(found):
                if held <= wanted:
                    break
                _remove(path)
                held -= size
        self._room = min(self._max_bytes - held, max(nbytes, self._max_bytes // LOOK_AFTER))

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        for path in self._root.glob("*/*/*"):
            with suppress(OSError):
                status = path.lstat()
                yield path, status.st_mtime, status.st_size


def _read(path: Path) -> bytes | None:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _SAFELY), "rb") as file:
            return file.read()
    except OSError:
        return None


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
