"""The real Label Studio killed at seeded instants, in the middle of prelabelling and submitting."""

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prelabel_doubles import REGION

from labelstudio_backend.errors import LabelStudioError
from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.learning import Intake
from labelstudio_backend.learning.catching_up import catch_up
from labelstudio_backend.prelabel import Journal, Plan, Prelabelling, RunKey
from labelstudio_backend.start import Access, LabelStudio, find_label_studio

KILLS = 20
TASKS = 140
VERSION = "killed-0123456789"
CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image"><Label value="Cell"/></BrushLabels>
</View>"""
SUBMITTED = {
    "from_name": "brush",
    "to_name": "image",
    "original_width": 8,
    "original_height": 8,
    "image_rotation": 0,
    **REGION,
}
DEADLINE = 480.0


@pytest.fixture
def own_label_studio(tmp_path: Path, require) -> Iterator[LabelStudio]:
    """One that nobody else uses, since it will be killed."""
    python = find_label_studio()
    require("label_studio", python is not None)
    server = LabelStudio(tmp_path / "ls", python, Access.kept(tmp_path / "access.json"))
    server.start()
    yield server
    server.stop()


class Annotators(threading.Thread):
    """Submit annotations one after the other; `accepted` are those that Label Studio confirmed."""

    def __init__(self, server: LabelStudio, tasks: list[int]) -> None:
        super().__init__(daemon=True)
        self._url, self._token, self._tasks = server.own_url, server.access.token, tasks
        self.accepted: list[int] = []
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            task = self._tasks[number % len(self._tasks)]
            number += 1
            try:
                answer = requests.post(
                    f"{self._url}/api/tasks/{task}/annotations/",
                    json={"result": [SUBMITTED]},
                    headers={"Authorization": f"Token {self._token}"},
                    timeout=10,
                )
                if answer.status_code == 201:
                    self.accepted.append(answer.json()["id"])
            except (requests.RequestException, ValueError):
                self.ended.wait(0.05)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_label_studio_killed_twenty_times_loses_and_doubles_nothing(
    own_label_studio: LabelStudio, tmp_path: Path
) -> None:
    server = own_label_studio
    client = LabelStudioClient(server.url, server.access.token)
    project = client.create_project("killed", CONFIG)["id"]
    pictures = [{"image": f"https://example.com/{number}.png"} for number in range(TASKS)]
    client.import_tasks(project, pictures)
    tasks = [task["id"] for task in client.tasks(project)]
    assert len(tasks) == TASKS
    other = client.create_project("submitted", CONFIG)["id"]
    client.import_tasks(other, [{"image": "https://example.com/x.png"} for _ in range(6)])
    annotators = Annotators(server, [task["id"] for task in client.tasks(other)])
    chance = random.Random(20)
    computed = threading.Semaphore(0)
    kills: list[float] = []

    def annotate(task: object) -> tuple[list[dict[str, object]], float]:
        computed.release()
        return [SUBMITTED], 0.5

    def killing() -> None:
        """Kill it after some more tasks, and some milliseconds into what it is writing then."""
        while len(kills) < KILLS:
            for _ in range(chance.randint(2, 5)):
                computed.acquire()
            time.sleep(chance.uniform(0, 0.15))
            server.kill()
            kills.append(time.monotonic())
            server.start()

    journal = Journal(tmp_path / "state", RunKey(server.url, project, VERSION, None, None, CONFIG))
    annotators.start()
    killer = threading.Thread(target=killing, daemon=True)
    killer.start()
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        plan = Plan(project, VERSION, parallel=3, retry_failed=True)
        try:
            summary = Prelabelling(plan, client, journal, annotate).run()
        except LabelStudioError:
            continue
        if not (summary.counts["failed"] or summary.counts["left"]):
            break
    # The tasks may be through before it was killed so often: then it is killed between submissions.
    while killer.is_alive() and time.monotonic() < end:
        computed.release()
        time.sleep(0.05)
    killer.join(60)
    annotators.ended.set()
    annotators.join(30)
    assert len(kills) == KILLS

    held = {task: [each["model_version"] for each in client.predictions(task)] for task in tasks}
    assert held == {task: [VERSION] for task in tasks}
    there = {annotation["id"] for task in client.tasks(other) for annotation in task["annotations"]}
    assert annotators.accepted
    assert set(annotators.accepted) <= there
    intake = Intake(tmp_path / "state")
    catch_up(client, intake, other)
    assert set(intake.numbers(other)) == there
    database = sqlite3.connect(server.folder / "label_studio.sqlite3")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    client.close()
