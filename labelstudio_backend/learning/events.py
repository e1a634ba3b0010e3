"""Label Studio's webhook payloads as a list of changes, checked and bounded."""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from labelstudio_backend.errors import RequestError

__all__ = ["LARGEST", "Change", "Removal", "Saved", "pack", "read_event", "unpack"]

LARGEST = 64 * 2**20
"""Bytes of JSON that one annotation, or one task's data, may have."""

_SAVED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED")
_REMOVED = ("ANNOTATION_DELETED", "ANNOTATIONS_DELETED")


@dataclass(frozen=True, slots=True)
class Saved:
    """An annotation as it was submitted.

    Parameters
    ----------
    annotation, task, project
        Label Studio's numbers.
    updated
        When, microseconds since 1970.
    usable
        False if the task was skipped: such an annotation is nothing to learn from.
    ground_truth
        Whether somebody marked it as the truth.
    data, result
        What the task holds and the regions, packed by `pack`.
    config
        The labelling config that it was made with.
    """

    annotation: int
    task: int
    project: int
    updated: int
    usable: bool
    ground_truth: bool
    data: bytes
    result: bytes
    config: str


@dataclass(frozen=True, slots=True)
class Removal:
    """Annotations, or whole tasks, that are no more. Their numbers are never given again."""

    annotations: tuple[int, ...] = ()
    tasks: tuple[int, ...] = ()


Change = Saved | Removal


def read_event(event: Mapping[str, Any]) -> Iterator[Change]:
    """What a payload changes; nothing for actions that concern no annotation.

    Raises
    ------
    RequestError
        If it is not as Label Studio sends it, or too large.
    """
    action = event.get("action")
    if action in _REMOVED:
        listed = event.get("annotations", event.get("annotation"))
        yield Removal(annotations=tuple(_number(each, "id") for each in _many(listed)))
    elif action == "TASKS_DELETED":
        yield Removal(tasks=tuple(_number(each, "id") for each in _many(event.get("tasks"))))
    elif action in _SAVED:
        yield from _saved(event)


def pack(value: Any) -> bytes:
    """JSON, compressed: run lengths shrink to a tenth.

    Raises
    ------
    RequestError
        If it is larger than `LARGEST`.
    """
    text = json.dumps(value, separators=(",", ":")).encode()
    if len(text) > LARGEST:
        raise RequestError(
            f"An annotation of {len(text) / 2**20:.0f} MB is more than the {LARGEST // 2**20} MB "
            "that are kept: it is left out of the training data."
        )
    return zlib.compress(text, 1)


def unpack(packed: bytes) -> Any:
    """What `pack` was given."""
    return json.loads(zlib.decompress(packed))


def _saved(event: Mapping[str, Any]) -> Iterator[Saved]:
    project = _mapping(event.get("project"), "project")
    tasks = {_number(task, "id"): task for task in _many(event.get("task"))}
    config = project.get("label_config")
    if not isinstance(config, str):
        raise RequestError("The webhook's project has no 'label_config': send the payload with it.")
    if any("\ud800" <= letter <= "\udfff" for letter in config):
        raise RequestError("The webhook's 'label_config' holds half a character; send UTF-8.")
    for annotation in _many(event.get("annotation")):
        task = tasks.get(_number(annotation, "task"))
        if task is None:
            raise RequestError(f"A webhook brings no task {annotation['task']} of its annotation.")
        result = annotation.get("result") or []
        if not isinstance(result, list):
            raise RequestError(
                f"An annotation's result must be a list, found {type(result).__name__}."
            )
        usable = not annotation.get("was_cancelled")
        yield Saved(
            annotation=_number(annotation, "id"),
            task=_number(task, "id"),
            project=_number(project, "id"),
            updated=_time(annotation.get("updated_at") or annotation.get("created_at")),
            usable=usable,
            ground_truth=bool(annotation.get("ground_truth")),
            data=pack(_mapping(task.get("data"), "task's data")),
            result=pack(result if usable else []),
            config=config,
        )


def _many(value: Any) -> list[Mapping[str, Any]]:
    """One or several, as Label Studio sends either."""
    values = value if isinstance(value, list) else [value]
    return [_mapping(each, "webhook's annotation or task") for each in values]


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(f"The {what} must be an object, found {type(value).__name__}.")
    return value


def _number(value: Mapping[str, Any], key: str) -> int:
    number = value.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise RequestError(f"'{key}' must be a number of Label Studio's, found {number!r:.40}.")
    return number


def _time(text: Any) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise RequestError(f"'updated_at' must be an ISO time, found {text!r:.40}.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
