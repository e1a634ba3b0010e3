"""Files that commands write: whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from sam_plugins.errors import SamPluginsError

__all__ = ["output_folder", "write_json", "write_picture"]


def output_folder(folder: Path) -> Path:
    """Make the folder for results if it is missing.

    Raises
    ------
    SamPluginsError
        If a file has its name, or it may not be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SamPluginsError(
            f"--out must be a folder that can be made and written, and {folder} is not: "
            f"{error.strerror}."
        ) from error
    return folder


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) or (H, W) uint8 as PNG."""
    with _replacing(path) as partial:
        PillowImage.fromarray(pixels).save(partial, format="png", compress_level=4)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document."""
    with _replacing(path) as partial:
        partial.write_text(json.dumps(document, indent=2), "utf-8")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
