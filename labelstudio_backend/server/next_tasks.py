"""The pictures that an annotator will see next, made ready while this one is looked at."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from labelstudio_backend.controls import LabelConfig
from labelstudio_backend.settings import Settings
from labelstudio_backend.values import Picture
from sam_plugins.errors import SamPluginsError

__all__ = ["NextTasks"]

AHEAD = 3
"""Tasks."""

PROJECT_SECONDS = 60.0
"""How long it is believed in which order a project shows its tasks."""

REST_SECONDS = 60.0
"""How long Label Studio is left alone after it did not answer."""

_log = logging.getLogger(__name__)


class ApiPort(Protocol):
    """What of `fetching.LabelStudioClient` is used here."""

    def project(self, number: int) -> dict[str, Any]:
        """A project."""

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """What is at a path of the API."""

    def close(self) -> None:
        """End its use."""


class NextTasks:
    """Asks Label Studio which tasks come next, in a thread of its own.

    Only the newest opened task is looked at. Nothing is asked where the list of tasks would make
    Label Studio ask this backend for their predictions, or where chance decides which task is next.

    Parameters
    ----------
    api
        Label Studio.
    prefetch
        Takes the pictures.
    clock
        Seconds.
    """

    def __init__(
        self,
        api: ApiPort,
        prefetch: Callable[[Sequence[Picture]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._prefetch = prefetch
        self._clock = clock
        self._changed = threading.Condition()
        self._opened: tuple[int, int, LabelConfig] | None = None
        self._projects: dict[int, tuple[float, bool]] = {}
        self._rest_until = 0.0
        self._thread: threading.Thread | None = None
        self._closed = False

    @classmethod
    def open(
        cls, settings: Settings, prefetch: Callable[[Sequence[Picture]], None]
    ) -> "NextTasks | None":
        """With the settings' Label Studio; None where it or its token is not given."""
        if not settings.label_studio_url or not settings.api_key:
            return None
        from labelstudio_backend.fetching import LabelStudioClient

        return cls(LabelStudioClient(settings.label_studio_url, settings.api_key), prefetch)

    def __call__(self, project: int, task: Mapping[str, Any], config: LabelConfig) -> None:
        """A task was opened; returns at once."""
        number = task.get("id")
        if not isinstance(number, int):
            return
        with self._changed:
            if self._closed:
                return
            self._opened = (project, number, config)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="sam-plugins next tasks", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Ask nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._api.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._opened or self._closed)
                opened, self._opened = self._opened, None
                if self._closed or opened is None:
                    return
            try:
                self._look(*opened)
            except SamPluginsError as error:
                self._rest_until = self._clock() + REST_SECONDS
                _log.info("the next tasks are not made ready: %s", error)
            except Exception:
                self._rest_until = self._clock() + REST_SECONDS
                _log.exception("the next tasks are not made ready")

    def _look(self, project: int, task: int, config: LabelConfig) -> None:
        if self._clock() < self._rest_until or not self._in_order(project):
            return
        later = {
            "filter": "filter:tasks:id",
            "operator": "greater",
            "type": "Number",
            "value": task,
        }
        query = {
            "project": project,
            "page": 1,
            "page_size": AHEAD,
            "query": json.dumps(
                {"filters": {"conjunction": "and", "items": [later]}, "ordering": ["tasks:id"]}
            ),
        }
        answer = self._api.get("/api/tasks", query)
        tasks = answer.get("tasks") if isinstance(answer, dict) else None
        pictures: list[Picture] = []
        for found in tasks if isinstance(tasks, list) else ():
            pictures += _pictures(config, found)
        if pictures:
            self._prefetch(pictures)

    def _in_order(self, project: int) -> bool:
        until, ordered = self._projects.get(project, (0.0, False))
        if self._clock() >= until:
            settings = self._api.project(project)
            ordered = not settings.get("evaluate_predictions_automatically") and "equential" in str(
                settings.get("sampling") or "Sequential"
            )
            self._projects = {project: (self._clock() + PROJECT_SECONDS, ordered)}
        return ordered


def _pictures(config: LabelConfig, task: Any) -> list[Picture]:
    """Of one task; none where its data lack what the config names."""
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        return []
    try:
        return [picture for _, _, picture in config.pictures(data)]
    except SamPluginsError:
        return []
