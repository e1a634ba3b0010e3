"""Files and names that strangers wrote: read within bounds, and kept inside their folder."""

import json
import os
import re
from pathlib import Path
from typing import Any

from sam_plugins.errors import DatasetError

__all__ = ["check_file_name", "read_bytes", "read_json"]

_LONGEST_NAME = 1024


def read_bytes(path: str | Path, max_bytes: int) -> bytes:
    """A file that is not too large.

    Parameters
    ----------
    path
        A file; a pipe or a device is refused before it is opened.
    max_bytes
        No more than this is ever in memory.

    Raises
    ------
    DatasetError
        If it is larger, or no file.
    OSError
        If it cannot be opened.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise DatasetError(f"'{path}' must be a file and is something else.")
    with path.open("rb") as file:
        # A read sets aside all that it is asked for: ask for no more than there is.
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, max_bytes))
    if size > max_bytes:
        raise DatasetError(
            f"'{path}' has more than {max_bytes:,} bytes, which is the most that is read here: "
            "split it, or allow more with max_bytes."
        )
    return content


def read_json(path: str | Path, max_bytes: int, what: str) -> Any:
    """A JSON document that is not too large.

    Parameters
    ----------
    path, max_bytes
        As `read_bytes`. In memory a document takes up to fifty times its bytes.
    what
        What it should be, for the sentence of the error: "a COCO document".

    Raises
    ------
    DatasetError
        If it is larger, or no JSON.
    OSError
        If it cannot be opened.
    """
    content = read_bytes(path, max_bytes)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"'{path}' must be {what} in JSON, and is not: {error}.") from error


def check_file_name(name: Any) -> str:
    """A picture's name in a document, as long as it stays inside the folder that it belongs to.

    Parameters
    ----------
    name
        "a.jpg" or "train/a.jpg": relative, with forward slashes.

    Raises
    ------
    DatasetError
        If it is no such name: absolute, with a drive, with "..", a backslash or a
        character that no name has, or longer than 1024 characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        shown = repr(name)[:80]
        raise DatasetError(
            f"A file name must be a text of 1 to {_LONGEST_NAME} characters, found {shown}."
        )
    parts = name.split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or re.match(r"[A-Za-z]:", name)
        or re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", name)
    ):
        raise DatasetError(
            f"A file name must be relative and stay inside its folder, as 'train/a.jpg', found "
            f"{name[:80]!r}."
        )
    return name
