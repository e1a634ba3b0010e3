"""Submitted annotations as a folder to train on: one outcome per picture, only changes written."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from labelstudio_backend.controls import LabelConfig, read_config, task_data
from labelstudio_backend.learning.intake import Intake, Submitted
from labelstudio_backend.learning.selection import mask_image, regions_of
from labelstudio_backend.learning.training_folder import TrainingFolder
from labelstudio_backend.values import Picture, PicturesPort
from sam_plugins.errors import SamPluginsError

__all__ = ["Exported", "PicturesPort", "State", "export_annotations"]

State = Literal["written", "unchanged", "empty", "failed"]

_LAYOUT = 1
"""Raised when the same annotation would give other files."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one picture.

    Parameters
    ----------
    stem
        Its name in the folder; of a task that failed as a whole, what its names begin with.
    state
        "written", "unchanged", "empty" (no masks) or "failed".
    objects
        Objects in its mask.
    reason
        Why it failed.
    left_out
        Why regions are no object, and how many.
    """

    stem: str
    state: State
    objects: int = 0
    reason: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


def export_annotations(
    intake: Intake,
    pictures: PicturesPort,
    out: Path,
    *,
    project: int | None = None,
    labels: frozenset[str] = frozenset(),
    parallel: int = 4,
    started: Callable[[int], None] = lambda tasks: None,
) -> Iterator[list[Exported]]:
    """Write what was submitted to a folder; the same call later writes only what has changed.

    Parameters
    ----------
    intake
        Where the annotations are.
    pictures
        Reads the tasks' pictures.
    out
        The folder. It holds what this call chooses and no more: pairs of an earlier export that
        are not chosen any more are taken away at the end.
    project
        Only of this project.
    labels
        Only regions with one of these labels; all if empty.
    parallel
        Pictures read at the same time; no more are held in memory.
    started
        Told how many tasks there are.

    Yields
    ------
    One element per task: what became of its pictures. One that fails stops no other.

    Raises
    ------
    ConfigError
        If another export writes to the folder.
    OSError
        If it cannot be written.
    """
    folder = TrainingFolder(out)
    with folder.held(), ThreadPoolExecutor(parallel, "export") as pool:
        chosen = intake.chosen(project)
        started(len(chosen))
        stems: set[str] = set()
        failed: set[str] = set()
        waiting: deque[Future[list[Exported]]] = deque()
        try:
            for submitted in intake.read(chosen):
                waiting.append(pool.submit(_task, submitted, pictures, folder, labels))
                if len(waiting) > parallel:
                    yield _kept(waiting.popleft().result(), stems, failed)
            while waiting:
                yield _kept(waiting.popleft().result(), stems, failed)
        finally:
            for future in waiting:
                future.cancel()
        folder.remove_others(stems, tuple(f"{stem}-" for stem in failed))


def _kept(outcomes: list[Exported], stems: set[str], failed: set[str]) -> list[Exported]:
    """Note the names whose files shall stay: a task that fails today keeps yesterday's."""
    stems.update(each.stem for each in outcomes if each.state != "empty")
    failed.update(each.stem for each in outcomes if each.state == "failed")
    return outcomes


def _task(
    submitted: Submitted, pictures: PicturesPort, folder: TrainingFolder, labels: frozenset[str]
) -> list[Exported]:
    begin = f"{submitted.project}-{submitted.task}"
    try:
        config = read_config(submitted.config)
        shown = config.pictures(task_data({"id": submitted.task, "data": submitted.data}))
    except SamPluginsError as error:
        return [Exported(begin, "failed", reason=str(error))]
    outcomes = []
    for to_name, item, picture in shown:
        stem = begin if len(shown) == 1 else f"{begin}-{_plain(to_name)}-{item or 0}"
        regions = regions_of(submitted.result, to_name, item)
        outcomes.append(_pair(stem, picture, regions, config, submitted, pictures, folder, labels))
    return outcomes


def _pair(
    stem: str,
    picture: Picture,
    regions: list[Mapping[str, Any]],
    config: LabelConfig,
    submitted: Submitted,
    pictures: PicturesPort,
    folder: TrainingFolder,
    labels: frozenset[str],
) -> Exported:
    made_from = {
        "picture": _digest([_LAYOUT, picture.address, picture.page]),
        "regions": _digest([_LAYOUT, regions, submitted.config, sorted(labels)]),
    }
    old = folder.note(stem)
    if {key: old.get(key) for key in made_from} == made_from:
        return Exported(stem, "unchanged", old["objects"], left_out=old["left_out"])
    try:
        if not regions:
            return Exported(stem, "empty")
        loaded = None
        if old.get("picture") != made_from["picture"]:
            loaded = pictures.load(picture)
        size = (old["size"][0], old["size"][1]) if loaded is None else loaded.size
        made = mask_image(config, regions, size, labels)
        if not made.objects:
            return Exported(stem, "empty", left_out=made.left_out)
        note = made_from | {"objects": made.objects, "left_out": made.left_out, "size": size}
        folder.write(stem, None if loaded is None else loaded.rgb, made.labels, note)
    except SamPluginsError as error:
        return Exported(stem, "failed", reason=str(error))
    return Exported(stem, "written", made.objects, left_out=made.left_out)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _plain(name: str) -> str:
    """A tag's name as a part of a file's name."""
    return "".join(each if each.isalnum() else "_" for each in name)
