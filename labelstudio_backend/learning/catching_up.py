"""Annotations that were submitted or deleted while no backend was there to be told."""

from collections.abc import Iterator
from typing import Any, Protocol

from labelstudio_backend.learning.intake import Intake

__all__ = ["TasksPort", "catch_up"]

_PAGE = 25
"""Tasks per request: each may bring megabytes of annotations."""


class TasksPort(Protocol):
    """What is asked of Label Studio."""

    def project(self, number: int) -> dict[str, Any]:
        """One project."""
        ...

    def tasks(self, project: int, *, page_size: int = 100) -> Iterator[dict[str, Any]]:
        """All tasks of a project with their annotations."""
        ...


def catch_up(client: TasksPort, intake: Intake, project: int) -> int:
    """Take in all annotations of a project; tell how many there are.

    Those that Label Studio has no more count as deleted. Labelling configs of former times are not
    known to Label Studio: what is new here gets the present one.

    Raises
    ------
    LabelStudioError
        If Label Studio does not answer; what came until then is kept.
    """
    # Asked first: what is submitted meanwhile comes by the webhook, and is not missing.
    gone = set(intake.numbers(project))
    fields = client.project(project)
    number = 0
    for task in client.tasks(project, page_size=_PAGE):
        annotations = [each | {"task": task["id"]} for each in task.get("annotations") or ()]
        if not annotations:
            continue
        intake.accept(
            {
                "action": "ANNOTATIONS_CREATED",
                "annotation": annotations,
                "task": [task],
                "project": fields,
            }
        )
        gone -= {each["id"] for each in annotations}
        number += len(annotations)
    if gone:
        removed = [{"id": each} for each in sorted(gone)]
        intake.accept({"action": "ANNOTATIONS_DELETED", "annotations": removed})
    return number
