"""An annotator that finds a square wherever it is asked, and remembers what it was asked."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labelstudio_backend.values import Ask, Found, Picture
from sam_plugins import Interaction

SIZE = (60, 80)

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image">
    <Label value="Cell"/><Label value="Dirt"/>
  </BrushLabels>
  <KeyPointLabels name="point" toName="image" smart="true">
    <Label value="Cell"/><Label value="Dirt"/>
  </KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true">
    <Label value="Cell"/><Label value="Dirt"/>
  </RectangleLabels>
</View>"""

EVERYTHING = CONFIG.replace('name="brush"', 'name="brush" sam_predict="everything"').replace(
    '<Label value="Dirt"/>', ""
)


def region(kind: str = "keypointlabels", label: str = "Cell", **value: Any) -> dict[str, Any]:
    """A prompt as Label Studio sends it, of a picture of SIZE."""
    names = {"keypointlabels": "point", "rectanglelabels": "box", "brushlabels": "brush"}
    where = {"x": 50.0, "y": 50.0, "width": 0.5}
    if kind == "rectanglelabels":
        where = {"x": 25.0, "y": 25.0, "width": 50.0, "height": 50.0, "rotation": 0}
    return {
        "id": "abc",
        "type": kind,
        "from_name": names.get(kind, "point"),
        "to_name": "image",
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "origin": "manual",
        "value": {**where, kind: [label], **value},
    }


def body(*regions: Any, tasks: Any = None, config: str = CONFIG, **more: Any) -> dict[str, Any]:
    """A request as Label Studio sends it: a click, or with no regions an opened task."""
    task = {"id": 1, "data": {"image": "/data/upload/1/a.png"}, "annotations": [], "drafts": []}
    return {
        "tasks": [task] if tasks is None else tasks,
        "project": "17.1790000000",
        "label_config": config,
        "params": {
            "login": None,
            "password": None,
            "context": {"result": list(regions)} if regions else None,
        },
        **more,
    }


def answer(label: str = "Cell", score: float = 0.75) -> tuple[Ask, Found]:
    """A square of ten pixels at (20, 10)."""
    ask = Ask(label, Interaction(points=((25.0, 15.0, 1),)), to_name="image")
    return ask, Found(np.ones((10, 10), dtype=bool), (20, 10, 30, 20), SIZE, score)


class AnnotatorDouble:
    """Answers at once with `answers`; raises `error` if there is one."""

    def __init__(self) -> None:
        self.model_version = "nano-0123456789"
        self.answers: list[tuple[Ask, Found]] = [answer()]
        self.found: list[Any] | None = None
        self.error: Exception | None = None
        self.questions: list[Any] = []
        self.batches: list[tuple[int, float]] = []
        self.prefetched: list[Picture] = []
        self.closed: list[float] = []
        self.lock = threading.Lock()

    def click(self, question: Any) -> list[tuple[Ask, Found]]:
        with self.lock:
            self.questions.append(question)
        asks = question.read(SIZE)  # prompts that cannot be understood raise here
        for ask in asks:
            ask.interaction.steps()
        return self._answer(self.answers if asks else [])

    def batch(self, config: Any, tasks: Sequence[Mapping[str, Any]], seconds: float) -> list[Any]:
        self.batches.append((len(tasks), seconds))
        return self._answer(self.found if self.found is not None else [None] * len(tasks))

    def _answer(self, value: Any) -> Any:
        if self.error is not None:
            raise self.error
        return value

    def prefetch(self, pictures: Sequence[Picture]) -> None:
        self.prefetched += pictures

    def versions(self) -> list[str]:
        return ["nano-0123456789", "nano-9876543210"]

    def status(self) -> dict[str, Any]:
        return {"ready": bool(self.model_version), "error": None, "queue": 0}

    def close(self, seconds: float) -> None:
        self.closed.append(seconds)


class IntakeDouble:
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.error: Exception | None = None

    def accept(self, event: Mapping[str, Any]) -> None:
        if self.error is not None:
            raise self.error
        self.events.append(event)
