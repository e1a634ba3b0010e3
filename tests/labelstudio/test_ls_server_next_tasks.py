"""What comes next is made ready, and Label Studio is never made to ask about it."""

import json
from typing import Any

import pytest
from annotator_doubles import CONFIG
from server_doubles import wait_until

from labelstudio_backend.controls import read_config
from labelstudio_backend.errors import LabelStudioError
from labelstudio_backend.server.next_tasks import AHEAD, NextTasks
from labelstudio_backend.settings import Settings

CONFIG_READ = read_config(CONFIG)


class Api:
    def __init__(self, **settings: Any) -> None:
        self.settings = {"sampling": "Sequential sampling", **settings}
        self.tasks: Any = [{"id": n, "data": {"image": f"{n}.png"}} for n in (5, 6, 8)]
        self.error: Exception | None = None
        self.asked: list[tuple[str, Any]] = []
        self.closed = False

    def project(self, number: int) -> dict[str, Any]:
        self.asked.append(("project", number))
        return self.settings

    def get(self, path: str, query: Any = None) -> Any:
        self.asked.append((path, query))
        if self.error is not None:
            raise self.error
        return {"tasks": self.tasks}

    def close(self) -> None:
        self.closed = True


class Opened:
    """A project in which tasks are opened, and what is made ready of it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.pictures: list[str] = []
        self.now = 1000.0
        self.looked = 0
        self.next = NextTasks(api, self._take, clock=self._look_at_the_clock)

    def _look_at_the_clock(self) -> float:
        now = self.now
        self.looked += 1
        return now

    def _take(self, pictures: Any) -> None:
        self.pictures += [picture.address for picture in pictures]

    def open(self, task: Any) -> None:
        self.next(17, {"id": task}, CONFIG_READ)
        wait_until(lambda: self.next._opened is None)


@pytest.fixture
def opened() -> Opened:
    return Opened(Api())


def test_the_tasks_after_the_opened_one_are_made_ready(opened: Opened) -> None:
    opened.open(4)
    wait_until(lambda: opened.pictures == ["5.png", "6.png", "8.png"])
    path, query = opened.api.asked[-1]
    (later,) = json.loads(query["query"])["filters"]["items"]
    assert (path, query["project"], query["page_size"]) == ("/api/tasks", 17, AHEAD)
    assert (later["filter"], later["operator"], later["value"]) == ("filter:tasks:id", "greater", 4)


@pytest.mark.parametrize(
    "settings", [{"evaluate_predictions_automatically": True}, {"sampling": "Uniform sampling"}]
)
def test_nothing_is_listed_where_that_would_cost_more_than_it_gives(settings: Any) -> None:
    opened = Opened(Api(**settings))
    for task in (4, 5):
        opened.open(task)
    wait_until(lambda: bool(opened.api.asked))
    opened.next.close()
    opened.next._thread.join(20)
    assert opened.api.asked == [("project", 17)]
    assert opened.pictures == []


def test_label_studio_is_left_alone_after_it_failed(opened: Opened) -> None:
    opened.api.error = LabelStudioError("It did not answer.")
    opened.open(4)
    wait_until(lambda: opened.next._rest_until > opened.now)
    before = len(opened.api.asked)
    opened.api.error = None
    looked = opened.looked
    opened.open(5)
    wait_until(lambda: opened.looked > looked)
    opened.now += 61.0
    opened.open(6)
    wait_until(lambda: bool(opened.pictures))
    lists = [query for path, query in opened.api.asked[before:] if path == "/api/tasks"]
    assert len(lists) == 1


@pytest.mark.parametrize("tasks", [None, {}, [None], [{"id": 1}], [{"id": 1, "data": {"x": 1}}]])
def test_an_odd_answer_is_no_reason_to_fail(tasks: Any, opened: Opened) -> None:
    opened.api.tasks = tasks
    opened.open(4)
    opened.api.tasks = [{"id": 9, "data": {"image": "9.png"}}]
    wait_until(lambda: len(opened.api.asked) == 2)
    opened.open(5)
    wait_until(lambda: opened.pictures == ["9.png"])


def test_after_closing_nothing_is_asked(opened: Opened) -> None:
    opened.next.close()
    opened.next(17, {"id": 4}, CONFIG_READ)
    assert opened.api.closed
    assert opened.api.asked == []


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(api_key="a" * 40), Settings(label_studio_url="http://h")]
)
def test_without_label_studio_nobody_knows(settings: Settings) -> None:
    assert NextTasks.open(settings, lambda pictures: None) is None
