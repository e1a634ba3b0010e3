"""Files and folders that appear whole under their name, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam_plugins.errors import ImageError

__all__ = ["whole_file", "whole_folder"]


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a name to write to; what was written takes the place of `path` when all went well.

    Parameters
    ----------
    path
        The name that the file shall have. What has it already stays until then.

    Yields
    ------
    A hidden name in the same folder, with the same ending. After an error it is removed.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """As `whole_file`, for a folder.

    Parameters
    ----------
    path
        The name that the folder shall have.
    overwrite
        Remove what has this name already, once the new folder is complete.

    Raises
    ------
    ImageError
        If something has this name and `overwrite` is not set.
    OSError
        If the folder above is missing or cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise ImageError(
            f"'{path}' is there already and would have to be replaced: give another name, or "
            "allow overwriting."
        )
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    aside = path.with_name(f".{path.stem}.{os.getpid()}.old{path.suffix}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        if path.exists():
            path.rename(aside)
        partial.rename(path)
    finally:
        if aside.exists() and not path.exists():
            aside.rename(path)
        shutil.rmtree(partial, ignore_errors=True)
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
