"""Files of the folder that Label Studio serves local files from, where it is mounted here as well.

Nothing outside of the folder is read: no way up, no link that leads out, no device or pipe.
"""

import os
import stat
from pathlib import Path, PurePosixPath

from labelstudio_backend.errors import AddressError
from sam_plugins.errors import LimitError

__all__ = ["read_mounted"]

# Absent on Windows, where symbolic links need a privilege. Nothing waits for a pipe's other end.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def read_mounted(root: Path, path: str, max_bytes: int) -> bytes:
    """The bytes of a file in the folder.

    Parameters
    ----------
    root
        The folder.
    path
        Relative to it, with slashes.
    max_bytes
        Of the file.

    Raises
    ------
    AddressError
        If there is no such file, or it is not in the folder.
    LimitError
        If it is larger.
    """
    name = f"{path[:150]!r}"
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith("/")
        or any(ord(character) < 32 for character in path)
        or any(part == ".." or "\\" in part or "%2f" in part.lower() for part in parts)
        or PurePosixPath(path).is_absolute()
        or Path(path).drive
    ):
        raise AddressError(
            f"The local file {name} is not written as a path below Label Studio's folder of local "
            "files: write it relative to that folder, without dots that lead up."
        )
    try:
        home = root.resolve(strict=True)
        found = home.joinpath(*parts).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise _missing(name) from error
    if not found.is_relative_to(home):
        raise AddressError(
            f"The local file {name} leads out of Label Studio's folder of local files: put the "
            "file itself there, or mount the folder that it is in."
        )
    return _read(found, home, name, max_bytes)


def _read(found: Path, home: Path, name: str, max_bytes: int) -> bytes:
    try:
        descriptor = _open_below(home, found.relative_to(home).parts)
    except OSError as error:
        raise _missing(name) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AddressError(f"The local file {name} is a folder or device: give a picture file.")
        if status.st_size > max_bytes:
            raise LimitError(
                f"The local file {name} has {status.st_size:,} bytes and at most {max_bytes:,} "
                "are read: shrink the picture."
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes)
    except OSError as error:
        raise _missing(name) from error
    finally:
        os.close(descriptor)


def _open_below(home: Path, parts: tuple[str, ...]) -> int:
    """Open folder after folder without following a link that was put there since the check."""
    if os.open not in os.supports_dir_fd or not parts:
        return os.open(home.joinpath(*parts), os.O_RDONLY | _SAFELY | _BINARY)
    folder = os.open(home, os.O_RDONLY | _SAFELY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _SAFELY, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1], os.O_RDONLY | _SAFELY, dir_fd=folder)
    finally:
        os.close(folder)


def _missing(name: str) -> AddressError:
    return AddressError(
        f"The local file {name} is not here or cannot be read: mount Label Studio's folder of "
        "local files here as well, readable, or unset LOCAL_FILES_DOCUMENT_ROOT so that it is "
        "read through Label Studio."
    )
