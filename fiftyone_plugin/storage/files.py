"""Masks as PNG files of one run: ``folder/run/sample/mask-digest.png``.

A file appears whole under its name or not at all. Its name holds a hash of its bytes, so that two
processes that work on one sample never change each other's file, and a file that somebody has
edited since is known. Names are made here, never taken from a dataset; nothing outside of the
run's folder is written or removed, and nothing in it that has not such a name.
"""

import hashlib
import io
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fiftyone_plugin.errors import RunError

__all__ = ["MaskFiles", "is_slug"]

_SLUG = re.compile(r"[0-9A-Za-z_]{1,64}")
_MASK = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.png")
_UNFINISHED = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.png\.[0-9a-f]{16}\.part")
_TRIES = 3


def is_slug(name: str) -> bool:
    """Whether a name is fit to be that of a folder: letters, digits and _, at most 64."""
    return _SLUG.fullmatch(name) is not None


class MaskFiles:
    """The files of one run.

    Parameters
    ----------
    folder
        For the masks of the field; the run has a folder of its own in it.
    run_id
        The run.

    Raises
    ------
    RunError
        If the run's name is not fit to be that of a folder.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        if not is_slug(run_id):
            raise RunError(
                f"Expected a run's name of letters, digits and _, found {run_id!r}: its record is "
                "damaged; delete it with FiftyOne's dataset.delete_run()."
            )
        self._folder = Path(folder).absolute() / run_id

    @property
    def folder(self) -> Path:
        """The run's own folder; it need not exist."""
        return self._folder

    def write(self, sample_id: str, prompt_id: str, number: int, crop: NDArray[np.bool_]) -> Path:
        """Write one mask and give its absolute path.

        Parameters
        ----------
        sample_id, prompt_id, number
            What it is the mask of; they decide its name.
        crop
            (h, w) bool; the file is 8 bits deep, 0 and 255.

        Raises
        ------
        RunError
            If the folder cannot be written to.
        """
        data = _png(crop)
        place = hashlib.sha256(f"{prompt_id}\0{number}".encode()).hexdigest()[:16]
        path = self._sample_folder(sample_id) / f"{place}-{_digest(data)}.png"
        for left in reversed(range(_TRIES)):
            try:
                _write_whole(path, data)
            except FileNotFoundError as error:
                # Another process that has finished the same sample tidied up meanwhile.
                if not left:
                    raise _unwritable(path, error) from error
            except OSError as error:
                raise _unwritable(path, error) from error
            else:
                break
        return path

    def present(self, sample_id: str) -> frozenset[Path]:
        """All files that this run has for a sample, unfinished ones too."""
        return frozenset(_ours(self._sample_folder(sample_id)))

    def samples(self) -> list[str]:
        """Ids of the samples that have a folder."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(
                each.name
                for each in os.scandir(self._folder)
                if each.is_dir(follow_symlinks=False) and is_slug(each.name)
            )
        return []

    def remove(self, paths: Iterable[Path]) -> int:
        """Remove files, and folders that are empty then; what is not of this run is left.

        Returns
        -------
        How many were removed.
        """
        removed, folders = 0, set()
        for path in map(Path, paths):
            if not self.owns(path):
                continue
            with suppress(FileNotFoundError):
                path.unlink()
                removed += 1
            folders.add(path.parent)
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        return removed

    def remove_all(self, keep: Collection[Path] = ()) -> int:
        """Remove every file of the run but those to keep; gives how many were removed."""
        kept = frozenset(keep)
        removed = 0
        for sample_id in self.samples():
            removed += self.remove(self.present(sample_id) - kept)
            with suppress(OSError):
                self._sample_folder(sample_id).rmdir()
        with suppress(OSError):
            self._folder.rmdir()
        return removed

    def owns(self, path: Path) -> bool:
        """Whether a path is that of a file of this run: by its name and place, links refused."""
        path = Path(path)
        folder = path.parent
        named = _MASK.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name)
        inside = folder.parent == self._folder and is_slug(folder.name)
        return bool(named) and inside and not folder.is_symlink()

    def unchanged(self, path: Path) -> bool:
        """Whether a file holds what was written; False too if it is not there or not ours."""
        if not self.owns(path):
            return False
        try:
            return _digest(Path(path).read_bytes()) == Path(path).name[17:33]
        except OSError:
            return False

    def _sample_folder(self, sample_id: str) -> Path:
        if not is_slug(sample_id):
            raise RunError(f"Expected a sample's id, found {sample_id!r}.")
        return self._folder / sample_id


def _png(crop: NDArray[np.bool_]) -> bytes:
    buffer = io.BytesIO()
    pixels = np.ascontiguousarray(crop, bool).astype(np.uint8) * 255
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.is_symlink():
        raise OSError(f"{path.parent} is a link")
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _ours(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for each in os.scandir(folder):
            if _MASK.fullmatch(each.name) or _UNFINISHED.fullmatch(each.name):
                yield folder / each.name


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"Expected to write a mask into {path.parent}, found: {error.strerror or error}. Make room "
        "or name another folder, and start the same run again: it goes on."
    )
