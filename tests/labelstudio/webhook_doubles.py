"""Webhook payloads as Label Studio 1.23 sends them, with the fields that matter and some others."""

from datetime import UTC, datetime, timedelta
from typing import Any

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image"><Label value="Cell"/><Label value="Dirt"/></BrushLabels>
  <PolygonLabels name="poly" toName="image"><Label value="Cell"/></PolygonLabels>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Cell"/></RectangleLabels>
</View>"""

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def time(second: float) -> str:
    """As Django REST writes it."""
    return (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def annotation(
    number: int, task: int, result: list[dict[str, Any]], at: float = 0, **more: Any
) -> dict[str, Any]:
    fields = {
        "id": number,
        "task": task,
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": time(0),
        "updated_at": time(at),
        "completed_by": 1,
        "unique_id": "0b5a",
        "last_action": None,
    }
    return fields | more


def task(number: int, image: str = "/data/upload/1/a.png", project: int = 1) -> dict[str, Any]:
    return {"id": number, "data": {"image": image}, "project": project, "is_labeled": True}


def project(number: int = 1, config: str = CONFIG) -> dict[str, Any]:
    return {"id": number, "title": "cells", "label_config": config, "created_by": 1}


def submitted(
    number: int,
    task_number: int,
    result: list[dict[str, Any]] | None = None,
    *,
    at: float = 0,
    action: str = "ANNOTATION_UPDATED",
    config: str = CONFIG,
    of_project: int = 1,
    image: str = "/data/upload/1/a.png",
    **more: Any,
) -> dict[str, Any]:
    return {
        "action": action,
        "annotation": annotation(number, task_number, result or [], at, **more),
        "task": task(task_number, image, of_project),
        "project": project(of_project, config),
    }


def deleted(*numbers: int) -> dict[str, Any]:
    return {
        "action": "ANNOTATIONS_DELETED",
        "annotations": [{"id": number} for number in numbers],
        "project": project(),
    }
