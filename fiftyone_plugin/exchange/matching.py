"""Pictures that files speak of, and the samples that they are."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.values import ExchangedObject
from fiftyone_plugin.runs import pictures_of
from sam_plugins.types import Size

__all__ = ["AmbiguousError", "Found", "Matcher", "Objects", "files_below"]

Objects: TypeAlias = Callable[[Size], Iterable[ExchangedObject]]
"""Decodes the masks of a picture, given its (H, W); raises a SamPluginsError if it cannot."""


def _none(size: Size) -> Iterable[ExchangedObject]:
    return ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """One picture that a file speaks of; a stranger's words.

    Parameters
    ----------
    name
        Its file name, perhaps with folders before it; without ending where `by_stem`.
    objects
        Its masks.
    sample_id, filepath
        What our own exports say beside it; anything where others wrote it.
    by_stem
        Whether the name has no ending.
    reason
        Why it cannot be read; "" if it can.
    """

    name: str
    objects: Objects = field(default=_none)
    sample_id: Any = None
    filepath: Any = None
    by_stem: bool = False
    reason: str = ""


class AmbiguousError(ExchangeError):
    """A name that several samples have."""


class Matcher:
    """Finds the samples of a dataset by names.

    Parameters
    ----------
    dataset
        Of FiftyOne; ids and paths of its pictures are held, nothing else.
    names
        Sample id -> the name that our export gives it: the only way back from a YOLO label file,
        which says nothing but its stem.
    """

    def __init__(self, dataset: Any, names: Callable[[list[tuple[str, str]]], Any]) -> None:
        ids, paths = pictures_of(dataset).values(["id", "filepath"])
        self._path_of = dict(zip(ids, paths, strict=True))
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_path: dict[str, list[str]] = defaultdict(list)
        for sample_id, path in self._path_of.items():
            name = _name(path)
            self._by_name[name].append(sample_id)
            self._by_stem[PurePosixPath(name).stem].append(sample_id)
            self._by_path[path].append(sample_id)
        self._exported: dict[str, list[str]] = defaultdict(list)
        for sample_id, name in names(list(self._path_of.items())).items():
            self._exported[PurePosixPath(name).stem].append(sample_id)

    def __len__(self) -> int:
        return len(self._path_of)

    def sample_of(self, found: Found) -> str | None:
        """Id of the sample that a picture is; None if the dataset has none such.

        A sample's id counts where the sample has a picture of that path, or of that name; then a
        path; then a name with its folders, as far as they are needed to tell samples apart.

        Raises
        ------
        AmbiguousError
            If the name fits several samples.
        """
        if self._said(found):
            return str(found.sample_id)
        same = self._by_path.get(found.filepath, []) if isinstance(found.filepath, str) else []
        if len(same) == 1:
            return same[0]
        name = _name(found.name)
        known = self._by_stem if found.by_stem else self._by_name
        stem = name if found.by_stem else PurePosixPath(name).stem
        candidates = known.get(name) or self._exported.get(stem, [])
        if len(candidates) > 1:
            candidates = self._narrowed(candidates, found) or candidates
        if len(candidates) > 1:
            raise AmbiguousError(
                f"Expected {found.name!r} to be one picture of the dataset, found "
                f"{len(candidates)} of that name in other folders: rename them, or name the folder "
                "in the file as well."
            )
        return candidates[0] if candidates else None

    def _said(self, found: Found) -> bool:
        path = self._path_of.get(found.sample_id) if isinstance(found.sample_id, str) else None
        if path is None:
            return False
        return path == found.filepath or _name(path) == _name(found.name)

    def _narrowed(self, candidates: list[str], found: Found) -> list[str]:
        """Candidates whose path ends as the name does."""
        wanted = _parts(found.name)
        if len(wanted) < 2:
            return []
        kept = []
        for each in candidates:
            parts = _parts(self._path_of[each])
            if found.by_stem:
                parts = (*parts[:-1], PurePosixPath(parts[-1]).stem)
            if parts[-len(wanted) :] == wanted:
                kept.append(each)
        return kept


def files_below(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files of a folder and its subfolders by name; links to folders and hidden ones left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(endings) and not name.startswith("."):
                yield Path(place, name)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.replace("\\", "/").split("/") if part)


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
