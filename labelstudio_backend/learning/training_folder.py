"""The folder that `sam-plugins train` reads, kept up to date picture by picture.

``images/<stem>.png`` and ``masks/<stem>.png`` belong together, and ``.labelstudio/<stem>.json``
says what they were made from. The mask is written before its picture, and a picture that changes is
taken away before its mask changes: whenever a run is killed, every picture has its own mask.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image as PillowImage

from labelstudio_backend.errors import ConfigError
from sam_plugins.formats import whole_file, write_label_image
from sam_plugins.types import Image

__all__ = ["TrainingFolder"]


class TrainingFolder:
    """Pairs of pictures and masks in a folder, by stem.

    Parameters
    ----------
    path
        Made if it is not there. Files without a note of ours are never touched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._images, self._masks = path / "images", path / "masks"
        self._notes = path / ".labelstudio"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the folder for oneself, and clear away what a killed run left half written.

        Raises
        ------
        ConfigError
            If another export writes to it.
        OSError
            If it cannot be made or written.
        """
        for folder in (self._images, self._masks, self._notes):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._notes / "lock", timeout=0):
                for folder in (self._images, self._masks, self._notes):
                    for partial in folder.glob(".*.part.*"):
                        partial.unlink(missing_ok=True)
                yield
        except Timeout as error:
            raise ConfigError(
                f"Another export writes to {self.path}: wait for it, or give another folder."
            ) from error

    def note(self, stem: str) -> dict[str, Any]:
        """What a pair was made from; nothing if it is not there, or not whole."""
        try:
            found = json.loads((self._notes / f"{stem}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        whole = self._image(stem).is_file() and self._mask(stem).is_file()
        return found if whole and isinstance(found, dict) else {}

    def write(
        self,
        stem: str,
        image: Image | None,
        labels: NDArray[np.uint16],
        note: dict[str, Any],
    ) -> None:
        """Put a pair in its place.

        Parameters
        ----------
        stem
            The name without its ending.
        image
            (H, W, 3) uint8 RGB; None if it is there already and the same.
        labels
            (H, W) uint16, 0 background.
        note
            What to find by `note` later.
        """
        if image is not None:
            self._image(stem).unlink(missing_ok=True)
        write_label_image(self._mask(stem), labels)
        if image is not None:
            with whole_file(self._image(stem)) as partial:
                PillowImage.fromarray(image).save(partial, compress_level=1)
        with whole_file(self._notes / f"{stem}.json") as partial:
            partial.write_text(json.dumps(note), encoding="utf-8")

    def remove_others(self, stems: set[str], begins: tuple[str, ...] = ()) -> int:
        """Take away the pairs of former exports that are not among `stems`; tell how many.

        Parameters
        ----------
        stems
            Whose files stay.
        begins
            What begins with one of these stays as well.
        """
        gone = [
            note.stem
            for note in self._notes.glob("*.json")
            if note.stem not in stems and not note.stem.startswith(begins)
        ]
        for stem in gone:
            # The picture first: a mask without a picture disturbs nobody.
            self._image(stem).unlink(missing_ok=True)
            self._mask(stem).unlink(missing_ok=True)
            (self._notes / f"{stem}.json").unlink(missing_ok=True)
        return len(gone)

    def _image(self, stem: str) -> Path:
        return self._images / f"{stem}.png"

    def _mask(self, stem: str) -> Path:
        return self._masks / f"{stem}.png"
