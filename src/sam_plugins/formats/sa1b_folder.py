"""Folders of SA-1B documents, one document for each picture: any number of them, one at a time."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sam_plugins.errors import DatasetError
from sam_plugins.formats.sa1b import SA1B_MOST_BYTES, Sa1bImage, read_sa1b, write_sa1b
from sam_plugins.formats.strangers import check_file_name

__all__ = ["read_sa1b_folder", "sa1b_file_name", "sa1b_files", "write_sa1b_folder"]


def sa1b_file_name(file_name: str) -> str:
    """The name of a picture's document: that of the picture with the ending ``.json``.

    Raises
    ------
    DatasetError
        As `check_file_name`, or if the name or a folder of it is hidden: readers pass it over.
    """
    folder, slash, name = check_file_name(file_name).rpartition("/")
    if any(part.startswith(".") for part in file_name.split("/")):
        raise DatasetError(f"{file_name!r} is hidden, and its document would not be found again.")
    return f"{folder}{slash}{Path(name).stem}.json"


def write_sa1b_folder(
    folder: str | Path, images: Iterable[Sa1bImage], *, overwrite: bool = False
) -> Iterator[Path]:
    """Write many pictures, each as it comes; nothing happens until this is iterated.

    Parameters
    ----------
    folder
        Made if it is missing, as are the folders that file names have in them.
    images
        Taken one at a time; only names of files are remembered.
    overwrite
        Replace documents that are there already, but never one of this call.

    Yields
    ------
    The path of each document, once it is complete.

    Raises
    ------
    DatasetError
        As `to_sa1b`, or if a picture's document would replace another. What was written before
        stays.
    OSError
        If something cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    root, written = folder.resolve(), set[str]()
    for image in images:
        name = sa1b_file_name(image.file_name)
        path, key = folder / name, name.casefold()
        if key in written or (not overwrite and path.exists()):
            raise DatasetError(
                f"'{path}' of the picture {image.file_name} is there already and would have to be "
                "replaced: give each picture a name of its own, or allow overwriting."
            )
        if not path.parent.resolve().is_relative_to(root):
            raise DatasetError(f"'{path}' would lie outside '{folder}': a link leads out of it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sa1b(path, image)
        written.add(key)
        yield path


def sa1b_files(folder: str | Path) -> Iterator[Path]:
    """The documents of a folder and its subfolders, sorted by name; hidden ones are left out.

    Only the names of one folder at a time are in memory. Links to folders are not followed.

    Raises
    ------
    OSError
        If a folder is missing or cannot be read.
    """
    for place, folders, files in os.walk(folder, onerror=_fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".json") and not name.startswith("."):
                yield Path(place, name)


def _fail(error: OSError) -> None:
    raise error


def read_sa1b_folder(
    folder: str | Path, *, max_bytes: int = SA1B_MOST_BYTES
) -> Iterator[tuple[Path, Sa1bImage]]:
    """Read the documents of a folder one after the other, see `sa1b_files` and `read_sa1b`.

    The first one that cannot be read ends it; to go on, iterate over `sa1b_files` instead.

    Raises
    ------
    DatasetError
        As `read_sa1b`.
    OSError
        If something cannot be opened.
    """
    for path in sa1b_files(folder):
        yield path, read_sa1b(path, max_bytes=max_bytes)
