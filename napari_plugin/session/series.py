"""`Series`: a folder of images, one annotated after the other, with states that are kept."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from sam_plugins.errors import DatasetError, ImageError

__all__ = ["Entry", "Series", "State"]

State: TypeAlias = Literal["open", "done", "skipped"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".zarr")
_STATE_FILE = "series.json"
_MOST_FILES = 100_000
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a series: its file, and what became of it."""

    path: Path
    state: State = "open"


class Series:
    """The images of a folder in the order of their names, and where one is.

    States lie in the output folder and are written at each change, so that a series goes on where
    it was left, also after a crash. Images that were added meanwhile are open; of those that are
    gone nothing is said.

    Parameters
    ----------
    folder
        Images directly inside are taken.
    output
        Where labels and states go; a folder ``labels`` inside by default.

    Raises
    ------
    ImageError
        If there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path, output: Path | None = None) -> None:
        if not folder.is_dir():
            raise ImageError(f"{folder} is no folder: choose one that holds images.")
        self.folder = folder
        self.output = folder / "labels" if output is None else output
        paths = sorted(_images(folder), key=lambda path: path.name)
        if not paths:
            raise ImageError(
                f"{folder} holds no image ({', '.join(_SUFFIXES)}): choose another folder."
            )
        if len(paths) > _MOST_FILES:
            raise ImageError(f"{folder} holds {len(paths):,} images, at most {_MOST_FILES:,} go.")
        states = self._stored()
        self.entries = [Entry(path, states.get(path.name, "open")) for path in paths]
        self.position = next(
            (n for n, entry in enumerate(self.entries) if entry.state == "open"), 0
        )

    @property
    def current(self) -> Entry:
        """Where one is."""
        return self.entries[self.position]

    def labels_path(self, entry: Entry) -> Path:
        """The file that holds an image's labels."""
        return self.output / f"{entry.path.stem}{entry.path.suffix.replace('.', '_')}.labels.tif"

    def mark(self, state: State) -> None:
        """Say what became of the current image; stored at once.

        Raises
        ------
        DatasetError
            If it cannot be stored; it counts until the program ends.
        """
        self.entries[self.position] = replace(self.current, state=state)
        try:
            self._store()
        except OSError as error:
            raise DatasetError(
                f"{self.output / _STATE_FILE} cannot be written ({error.strerror or error}): make "
                "room, or allow writing there."
            ) from error

    def step(self, by: int) -> bool:
        """Go on or back; False at either end. Going on passes over what is done or skipped."""
        position = self.position + by
        if by > 0:
            while position < len(self.entries) and self.entries[position].state != "open":
                position += by
        if not 0 <= position < len(self.entries):
            return False
        self.position = position
        return True

    @property
    def following(self) -> Entry | None:
        """The image that comes next, to be prepared; None if there is none."""
        for entry in self.entries[self.position + 1 :]:
            if entry.state == "open":
                return entry
        return None

    def _stored(self) -> dict[str, State]:
        path = self.output / _STATE_FILE
        try:
            if path.stat().st_size > _MOST_BYTES:
                return {}
            found: Any = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        states = found.get("states") if isinstance(found, dict) else None
        if not isinstance(states, dict):
            return {}
        return {str(n): s for n, s in states.items() if s in get_args(State)}

    def _store(self) -> None:
        states = self._stored() | {entry.path.name: entry.state for entry in self.entries}
        self.output.mkdir(parents=True, exist_ok=True)
        partial = self.output / f".{_STATE_FILE}.{os.getpid()}.part"
        try:
            partial.write_text(json.dumps({"states": states}, indent=1), "utf-8")
            partial.replace(self.output / _STATE_FILE)
        finally:
            partial.unlink(missing_ok=True)


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.suffix.lower() not in _SUFFIXES:
            continue
        if path.is_file() or path.suffix.lower() == ".zarr":
            yield path
