"""Many tasks within a given time; what is left over is done when nothing else is."""

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from labelstudio_backend.answering.desk import Desk
from labelstudio_backend.answering.lane import Lane
from labelstudio_backend.answering.preparing import Preparing
from labelstudio_backend.answering.values import Answers
from labelstudio_backend.answering.waiting_room import Rank, StoppedError
from labelstudio_backend.answering.whole import annotate_task, has_work
from labelstudio_backend.errors import BusyError
from sam_plugins.errors import SamPluginsError

if TYPE_CHECKING:
    from labelstudio_backend.controls import LabelConfig

__all__ = ["Batches"]

LATER = 2000
"""Tasks that wait to be done later."""

KEPT = 1000
KEPT_BYTES = 256 << 20
"""Answers that nobody has asked for again."""

SECONDS_FOR_MODEL = 3600.0
"""Nobody waits for what is done later."""

_log = logging.getLogger(__name__)

HEAVY = frozenset({"rle", "imageDataURL", "maskDataURL"})
"""Values of regions that are masks already: no prompts, and megabytes of each task."""

Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    config: "LabelConfig"
    task: Mapping[str, Any]
    key: Key


class Batches:
    """Answers batches of tasks, one element per task.

    Parameters
    ----------
    desk, preparing
        Of the annotator.
    """

    def __init__(self, desk: Desk, preparing: Preparing) -> None:
        self._desk = desk
        self._preparing = preparing
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Answers] = OrderedDict()
        self.later: Lane[_Task] = Lane("later", self._do_later, LATER, desk.meters)

    def batch(
        self, config: "LabelConfig", tasks: Sequence[Mapping[str, Any]], seconds: float
    ) -> list[Answers | None]:
        """What is found in each task; None where it was not done in time or failed.

        Those are done later. A task that waits for prompts, opened by itself, is prepared.
        """
        deadline = time.monotonic() + seconds
        config_key = hashlib.sha256(repr(config).encode()).hexdigest()
        if len(tasks) == 1 and self._only_prepare(config, tasks[0]):
            return [None]
        waiting = [_Task(config, _light(task), (config_key, _fingerprint(task))) for task in tasks]
        found: list[Answers | None] = []
        for number, one in enumerate(waiting):
            if number + 1 < len(waiting) and time.monotonic() < deadline:
                self._prepare(config, waiting[number + 1].task)
            found.append(self._one(one, deadline))
        return found

    def close(self) -> None:
        """Do nothing later any more."""
        self.later.close()

    def _one(self, one: _Task, deadline: float) -> Answers | None:
        kept = self._take(one)
        if kept is None:
            self.later.wait_for(one.key, max(deadline - time.monotonic(), 0))
            kept = self._take(one)
        if kept is not None:
            return kept
        if time.monotonic() >= deadline:
            self.later.put(one.key, one)
            return None
        self.later.take_back(one.key)
        try:
            return annotate_task(
                self._desk,
                one.config,
                one.task,
                stop=lambda: time.monotonic() >= deadline,
                seconds_for_model=max(deadline - time.monotonic(), 0),
            )
        except StoppedError:
            pass
        except Exception as error:
            self._note(one, error)
        self.later.put(one.key, one)
        return None

    def _do_later(self, one: _Task) -> None:
        try:
            answers = annotate_task(
                self._desk,
                one.config,
                one.task,
                rank=Rank.LATER,
                seconds_for_model=SECONDS_FOR_MODEL,
            )
        except Exception as error:
            self._note(one, error)
            return
        self._desk.meters.count("later_done")
        with self._lock:
            self._kept[one.key] = answers
            total = sum(each.nbytes for each in self._kept.values())
            while len(self._kept) > KEPT or (total > KEPT_BYTES and len(self._kept) > 1):
                total -= self._kept.popitem(last=False)[1].nbytes

    def _take(self, one: _Task) -> Answers | None:
        with self._lock:
            kept = self._kept.pop(one.key, None)
        if kept is None or kept.model_version != self._desk.model.version:
            return None
        return kept

    def _only_prepare(self, config: "LabelConfig", task: Mapping[str, Any]) -> bool:
        try:
            if has_work(config, task):
                return False
        except SamPluginsError as error:
            self._desk.meters.count("failed")
            _log.warning("Task %s cannot be annotated: %s", task.get("id"), error)
            return True
        self._prepare(config, task)
        return True

    def _prepare(self, config: "LabelConfig", task: Mapping[str, Any]) -> None:
        """Start the embeddings of a task; what is wrong with it is told when it is its turn."""
        from labelstudio_backend.controls import task_data

        try:
            pictures = config.pictures(task_data(task))
        except SamPluginsError:
            return
        for _, _, picture in pictures:
            self._preparing.prepare(picture)

    def _note(self, one: _Task, error: Exception) -> None:
        """Say why a task has no answer yet."""
        self._desk.meters.count("failed")
        if isinstance(error, BusyError):
            _log.info("Task %s waits: %s", one.task.get("id"), error)
        elif isinstance(error, SamPluginsError):
            _log.warning("Task %s could not be annotated: %s", one.task.get("id"), error)
        else:
            _log.error("Task %s could not be annotated", one.task.get("id"), exc_info=error)


def _light(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task without the masks that lie on it: many may wait for a long time."""
    light = dict(task)
    for name in ("annotations", "drafts", "predictions"):
        if isinstance(task.get(name), list):
            light[name] = [_without_masks(holder) for holder in task[name]]
    return light


def _without_masks(holder: Any) -> Any:
    if not isinstance(holder, Mapping) or not isinstance(holder.get("result"), list):
        return holder
    kept = [
        region
        for region in holder["result"]
        if not isinstance(region, Mapping)
        or not isinstance(region.get("value"), Mapping)
        or HEAVY.isdisjoint(region["value"])
    ]
    return {**holder, "result": kept}


def _fingerprint(task: Mapping[str, Any]) -> str:
    """The same as long as a task asks the same."""
    said = [task.get(name) for name in ("id", "data", "annotations", "drafts", "predictions")]
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
