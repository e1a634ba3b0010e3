"""A client of the fake Label Studio, as the pinned interface says."""

import json
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from labelstudio_backend.errors import LabelStudioError


class SmallClient:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        try:
            with urlopen(Request(self.url + path, data, headers), timeout=20) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise LabelStudioError(f"Label Studio answered {error.code}.", error.code) from error
        except (OSError, HTTPException) as error:
            raise LabelStudioError(f"Label Studio did not answer: {error!r}.") from error

    def project(self, number: int) -> dict[str, Any]:
        return self.ask(f"/api/projects/{number}")

    def tasks(self, project: int, *, page_size: int = 100) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            found = self.ask(f"/api/tasks?project={project}&page={page}&page_size={page_size}")
            yield from found["tasks"]
            if page * page_size >= found["total"]:
                return
            page += 1

    def predictions(self, task: int) -> list[dict[str, Any]]:
        return self.ask(f"/api/predictions?task={task}")

    def create_prediction(
        self, task: int, result: list[dict[str, Any]], *, score: float | None, model_version: str
    ) -> int:
        body = {"task": task, "result": result, "score": score, "model_version": model_version}
        return self.ask("/api/predictions/", body)["id"]
