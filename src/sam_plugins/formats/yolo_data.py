"""The ``data.yaml`` of a YOLO data set: names of classes, and where its pictures are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sam_plugins.errors import DatasetError
from sam_plugins.formats.strangers import read_bytes
from sam_plugins.formats.whole import whole_file
from sam_plugins.formats.yolo_seg import MOST_CLASSES

__all__ = ["YoloData", "read_yolo_data", "write_yolo_data"]

_MOST_BYTES = 2**18
_DEEPEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloData:
    """What a data set says about itself.

    Parameters
    ----------
    names
        Class index, from 0 -> name.
    train, val, test
        Folders of pictures, or files that list them, as the document has them: relative to `path`.
        They are words of whoever wrote the document, and nothing is opened: before you open one,
        make sure that it stays where it should, see `check_file_name`.
    path
        The folder of the data set; None for the folder of the document.
    """

    names: Mapping[int, str]
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...] = ()
    path: str | None = None


def write_yolo_data(path: str | Path, data: YoloData) -> None:
    """Write a ``data.yaml``; a reader never sees half of it.

    Raises
    ------
    DatasetError
        If a class has no index of at least 0.
    OSError
        If the folder is missing or cannot be written.
    """
    document: dict[str, Any] = {} if data.path is None else {"path": data.path}
    for split in ("train", "val", "test"):
        places = list(getattr(data, split))
        if places or split != "test":
            document[split] = places[0] if len(places) == 1 else places
    names = {_index(index): str(name) for index, name in sorted(data.names.items())}
    document |= {"nc": max(names, default=-1) + 1, "names": names}
    # Characters that nobody sees are escaped: line breaks of other scripts would become spaces.
    plain = "".join([*names.values(), *data.train, *data.val, *data.test, data.path or ""])
    text = yaml.safe_dump(
        document, sort_keys=False, allow_unicode=plain.isprintable(), width=_MOST_BYTES
    )
    with whole_file(path) as partial:
        partial.write_text(text, "utf-8")


def read_yolo_data(path: str | Path, *, max_bytes: int = _MOST_BYTES) -> YoloData:
    """Read a ``data.yaml``, our own or anybody's.

    Raises
    ------
    DatasetError
        If it is larger than `max_bytes`, no YAML, has aliases (a small file could unfold to a huge
        one) or more than 10 lists in each other, or its names or folders are not as they should be.
    OSError
        If it cannot be opened.
    """
    content = read_bytes(path, max_bytes)
    try:
        _check_structure(content)
        document = yaml.safe_load(content)
        if not isinstance(document, Mapping):
            raise DatasetError("it needs 'names' and has none.")
        folder = document.get("path")
        if folder is not None and not isinstance(folder, str):
            raise DatasetError("'path' must be a text.")
        return YoloData(
            names=_names(document),
            train=_places(document, "train"),
            val=_places(document, "val"),
            test=_places(document, "test"),
            path=folder,
        )
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DatasetError(f"'{path}' cannot be read as the data of YOLO: {error}") from error


def _check_structure(content: bytes) -> None:
    """Refuse what makes a small file costly, before anything is built from it."""
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise DatasetError("it may have no aliases: write the values out.")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise DatasetError(f"it may be {_DEEPEST} lists deep, and is deeper.")


def _names(document: Mapping[Any, Any]) -> dict[int, str]:
    found = document.get("names")
    pairs: list[tuple[Any, Any]]
    if isinstance(found, Mapping):
        pairs = list(found.items())
    elif isinstance(found, list):
        pairs = list(enumerate(found))
    else:
        raise DatasetError("'names' must be a list, or class indices with their names.")
    if not all(isinstance(name, str | int | float) for _, name in pairs):
        raise DatasetError("each of 'names' must be a text.")
    names = {_index(index): str(name) for index, name in pairs}
    count = document.get("nc")
    if count is not None and (type(count) is not int or count <= max(names, default=-1)):
        raise DatasetError(f"'nc' must be the number of classes, {len(names)}, found {count!r}.")
    return names


def _index(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MOST_CLASSES:
        raise DatasetError(f"A class needs an index from 0 to {MOST_CLASSES - 1}, found {value!r}.")
    return value


def _places(document: Mapping[Any, Any], split: str) -> tuple[str, ...]:
    value = document.get(split)
    found = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(place, str) for place in found):
        raise DatasetError(f"'{split}' must be a folder or a list of them.")
    return tuple(found)
