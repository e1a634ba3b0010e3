"""Fetch a published checkpoint: with progress, resumable, checked, and never half there."""

import hashlib
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from sam_plugins.errors import DownloadError
from sam_plugins.weights.locate import cache_folder, find_checkpoint, missing_weights
from sam_plugins.weights.registry import Checkpoint, checkpoint_named, unknown_checkpoint
from sam_plugins.weights.transfer import Part, TransferError, fetch

__all__ = ["download"]

ATTEMPTS = 5
"""Connections in a row; each must bring bytes for there to be a next."""

LOCK_SECONDS = 0.2

Progress = Callable[[int, int | None], None]
"""Called with bytes so far and bytes in all (None while unknown)."""


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


def download(
    name: str | Checkpoint,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """The weights file of a known model, downloaded unless it is already here.

    A download that breaks off is continued by the next call. Two processes that want the same file
    wait for each other. The file appears under its name only when it is complete and, where the
    hash is known and computable here (`Checkpoint.verified`), equal to what was published.

    Parameters
    ----------
    name
        A name in `CHECKPOINTS`, or a record.
    cache_dir
        As in `cache_folder`; created if missing.
    progress
        Called with the bytes so far and the bytes in all, or None while that is unknown.
    cancelled
        Asked between blocks; True stops the download and keeps what has arrived.

    Returns
    -------
    Path of the file.

    Raises
    ------
    DownloadError
        If it cannot be fetched, was cancelled, or is not what was published. The message says what
        to fetch by hand and where to put it.
    CheckpointError
        If no model has that name.
    """
    checkpoint = name if isinstance(name, Checkpoint) else checkpoint_named(name)
    if checkpoint is None:
        raise unknown_checkpoint(str(name))
    if checkpoint.url is None:
        return find_checkpoint(checkpoint.name)
    folder = cache_folder(cache_dir)
    path = folder / checkpoint.filename
    stop = cancelled or (lambda: False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{checkpoint.filename}.lock", checkpoint, stop):
            if not path.is_file():
                _fetch_into(path, checkpoint, checkpoint.url, progress or (lambda *_: None), stop)
    except OSError as error:
        raise DownloadError(
            f"Expected to write {path}, found: {error.strerror or error}. Free some space, or set "
            "SAM_PLUGINS_CACHE to a folder that can be written to."
        ) from error
    return path


@contextmanager
def _alone(path: Path, checkpoint: Checkpoint, stop: Callable[[], bool]) -> Iterator[None]:
    """Hold a lock; waited for as long as another process downloads the same file."""
    lock = FileLock(path, timeout=LOCK_SECONDS)
    while not lock.is_locked:
        try:
            lock.acquire()
        except Timeout:
            if stop():
                raise _stopped(checkpoint, 0) from None
    try:
        yield
    finally:
        lock.release()


def _fetch_into(
    path: Path, checkpoint: Checkpoint, url: str, progress: Progress, stop: Callable[[], bool]
) -> None:
    part = Part(path.with_name(f"{path.name}.part"))
    for attempt in range(ATTEMPTS):
        before = part.size
        try:
            if fetch(url, part, progress, stop, expected=checkpoint.size_bytes):
                break
            raise _stopped(checkpoint, part.size)
        except TransferError as error:
            if attempt + 1 == ATTEMPTS or part.size <= before:
                raise DownloadError(
                    f"{missing_weights(checkpoint, path.parent)} The download failed: {error}."
                ) from error
    _check(part, checkpoint)
    os.replace(part.path, path)
    part.forget()


def _stopped(checkpoint: Checkpoint, size: int) -> DownloadError:
    return DownloadError(
        f"The download of {checkpoint.name!r} was cancelled at {size} bytes, which are kept: start "
        "it again to continue."
    )


def _check(part: Part, checkpoint: Checkpoint) -> None:
    """Compare the complete file with the published hash, where that can be computed."""
    algorithm, _, expected = (checkpoint.digest or "").partition(":")
    hasher = _hasher(algorithm)
    if hasher is None:
        return
    with open(part.path, "rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    found = hasher.hexdigest()
    if found != expected:
        part.forget()
        raise DownloadError(
            f"Expected {algorithm} {expected} for {checkpoint.name!r} from {checkpoint.url}, found "
            f"{found}: the download was damaged or the file was replaced, and it was deleted; try "
            "again, and if it happens again, do not use that file."
        )


def _hasher(algorithm: str) -> _Hasher | None:
    if algorithm in hashlib.algorithms_guaranteed:
        return hashlib.new(algorithm)
    with suppress(ImportError):
        library: Any = importlib.import_module("xxhash")
        made: _Hasher | None = library.xxh128() if algorithm == "xxh128" else None
        return made
    return None
