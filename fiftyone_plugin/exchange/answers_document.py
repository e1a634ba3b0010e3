"""Label Studio's JSON export, read with distrust: which task, which annotation, which regions."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.label_studio_tasks import FIELD_KEY, LABELS_KEY, SAMPLE_KEY

__all__ = ["Answer", "answer_of", "asked_field", "read_tasks"]

BRUSH = "brushlabels"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """What people made of one task.

    Parameters
    ----------
    sample_id
        The sample that the task says it is.
    field
        The field that it asked about.
    asked
        Ids of the labels that it asked about.
    regions
        Of the annotation that counts: the one marked as ground truth, else the last that was
        submitted. None where there is none: nobody has answered, or it was skipped.
    shown
        Whether the annotation began with the pre-annotations. Label Studio's page may open a task
        without them, and what somebody did not see was not taken away.
    """

    sample_id: str
    field: str
    asked: tuple[str, ...]
    regions: tuple[Mapping[str, Any], ...] | None
    shown: bool = False


def read_tasks(path: Path, max_bytes: int) -> list[Any]:
    """The tasks of a JSON export.

    Raises
    ------
    ExchangeError
        If it is too large, no file, or no list of tasks with annotations.
    """
    try:
        if not path.is_file():
            raise ExchangeError(f"Expected Label Studio's JSON export, found no file '{path}'.")
        with path.open("rb") as stream:
            content = stream.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise ExchangeError(
                f"Expected at most {max_bytes:,} bytes, found more in '{path}': export the project "
                "in parts."
            )
        document = json.loads(content)
    except OSError as error:
        raise ExchangeError(
            f"Expected to read '{path}', found: {error.strerror or error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ExchangeError(f"Expected JSON in '{path}', found none: {error}.") from error
    tasks = document if isinstance(document, list) else None
    if tasks is None or any(_without_annotations(each) for each in tasks):
        raise ExchangeError(
            f"Expected Label Studio's export of the kind JSON in '{path}', a list of tasks with "
            "'data' and 'annotations', found something else: export again, as JSON (not JSON-MIN)."
        )
    return tasks


def asked_field(tasks: list[Any]) -> str:
    """The field that the tasks ask about.

    Raises
    ------
    ExchangeError
        If no task says it.
    """
    for task in tasks:
        field = task["data"].get(FIELD_KEY)
        if isinstance(field, str) and field:
            return field
    raise ExchangeError(
        f"Expected tasks that this plugin has exported, found none with {FIELD_KEY!r} in its data."
    )


def answer_of(task: Mapping[str, Any]) -> Answer:
    """One task.

    Raises
    ------
    ExchangeError
        If its data do not say which sample and labels it is about, or its regions are no list.
    """
    data = task["data"]
    sample_id, field, asked = data.get(SAMPLE_KEY), data.get(FIELD_KEY), data.get(LABELS_KEY)
    named = isinstance(sample_id, str) and isinstance(field, str) and isinstance(asked, list)
    if not named or not all(isinstance(each, str) for each in asked):
        raise ExchangeError(
            f"Expected a task with {SAMPLE_KEY}, {FIELD_KEY} and {LABELS_KEY} in its data, found "
            "one without: it was not exported by this plugin."
        )
    chosen = max(_submitted(task), key=_order, default=None)
    regions = None if chosen is None else chosen.get("result")
    if chosen is not None and not (
        isinstance(regions, list) and all(isinstance(each, Mapping) for each in regions)
    ):
        raise ExchangeError("Expected a list of regions as an annotation's result, found none.")
    return Answer(
        sample_id=sample_id,
        field=field,
        asked=tuple(asked),
        regions=None if regions is None else tuple(regions),
        shown=chosen is not None and chosen.get("parent_prediction") is not None,
    )


def _without_annotations(task: Any) -> bool:
    if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
        return True
    return not isinstance(task.get("annotations"), list)


def _submitted(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in task["annotations"]:
        if isinstance(each, Mapping) and not each.get("was_cancelled"):
            yield each


def _order(annotation: Mapping[str, Any]) -> tuple[bool, str, int]:
    number = annotation.get("id")
    return (
        annotation.get("ground_truth") is True,
        str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        number if isinstance(number, int) else 0,
    )
