"""A Label Studio for the doctor: it answers as 1.23.2 was seen to answer, each case by a switch."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from labelstudio_backend.errors import LabelStudioError

CONFIG = """<View><Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image"><Label value="Cell"/></BrushLabels>
  <KeyPointLabels name="kp" toName="image" smart="true"><Label value="Cell"/></KeyPointLabels>
</View>"""


def refusal(status: int | None, detail: str) -> LabelStudioError:
    return LabelStudioError(f'Label Studio answered {status} to GET ("{detail}").', status)


@dataclass
class Studio:
    """What `LabelStudioClient` offers and the doctor asks."""

    release: str | LabelStudioError = "1.23.2"
    user: dict[str, Any] | LabelStudioError = field(default_factory=lambda: {"email": "a@b.c"})
    projects: dict[int, dict[str, Any]] = field(
        default_factory=lambda: {
            1: {"id": 1, "title": "cells", "label_config": CONFIG, "task_number": 1}
        }
    )
    held: list[dict[str, Any]] = field(
        default_factory=lambda: [{"id": 7, "data": {"image": "/data/a.png"}}]
    )
    backends: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    storages: list[dict[str, Any]] = field(default_factory=list)
    banned: dict[str, str] = field(default_factory=dict)
    """What it refuses, model or webhook, and the network that it names."""
    unknown_host: bool = False
    posted: list[str] = field(default_factory=list)

    def version(self) -> str:
        return self._given(self.release)

    def whoami(self) -> dict[str, Any]:
        return self._given(self.user)

    def project(self, number: int) -> dict[str, Any]:
        if number not in self.projects:
            raise refusal(404, "No Project matches the given query.")
        return self.projects[number]

    def tasks(self, project: int, *, page_size: int = 100) -> Iterator[dict[str, Any]]:
        yield from self.held

    def ml_backends(self, project: int) -> list[dict[str, Any]]:
        return self.backends

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return {"/api/webhooks/": self.webhooks, "/api/storages": self.storages}[path]

    def post(self, path: str, content: dict[str, Any]) -> Any:
        what = {"/api/ml/": "model", "/api/webhooks/": "webhook"}[path]
        self.posted.append(what)
        if self.unknown_host:
            raise refusal(500, "Can't resolve hostname backend")
        if what in self.banned:
            block = self.banned[what]
            raise refusal(403, f"URL resolves to a reserved network address (block: {block})")
        # Neither may ever be stored: a model without its project, a webhook for no known action.
        if what == "model" and "project" not in content:
            raise refusal(400, "project: This field is required.")
        if what == "webhook" and content["actions"] == ["NONE"]:
            raise refusal(400, '"NONE" is not a valid choice.')
        raise AssertionError("the doctor changed Label Studio")

    def _given(self, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value
