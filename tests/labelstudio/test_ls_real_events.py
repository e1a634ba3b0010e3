"""What Label Studio tells a backend beside clicks, and a backend that is killed meanwhile."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_api as api
import requests
from PIL import Image
from real_programs import RealPrograms
from real_projects import RealProject, core_answer, make_project, upload

from labelstudio_backend.learning import Intake
from labelstudio_backend.start import Backend
from labelstudio_backend.start.sample_projects import attach
from sam_plugins import Interaction

pytestmark = pytest.mark.slow

RGB = api.coins()


@pytest.fixture(scope="module")
def mortal(real_programs: RealPrograms) -> Iterator[Backend]:
    """A backend of two processes that may be killed."""
    folder = real_programs.folder / "mortal"
    settings = replace(real_programs.backend.settings, port=0, workers=2, state_folder=folder)
    backend = Backend(settings)
    backend.start()
    yield backend
    backend.stop()


@pytest.fixture
def project(backend: Any, real_programs: RealPrograms, mortal: Backend) -> RealProject:
    pictures = {"a.png": api.encoded(RGB), "b.png": api.encoded(RGB[:, ::-1])}
    return make_project(real_programs, "events", api.config(), pictures, url=mortal.url)


def masked(programs: RealPrograms, project: RealProject, points: Any) -> list[api.Region]:
    context = [api.point((x, y), RGB.shape, positive=bool(on)) for x, y, on in points]
    return api.answered(programs, project, project.tasks[0], context)


def exported(backend: Backend, project: RealProject, folder: Path) -> dict[str, int]:
    words = ("labelstudio", "export", "--out", str(folder), "--project", str(project.number))
    return dict(json.loads(api.run(backend.settings, *words, "--json"))["pictures"])


def numbers(backend: Backend, project: RealProject) -> list[int]:
    intake = Intake(backend.settings.state_folder)
    try:
        return list(intake.numbers(project.number))
    finally:
        intake.close()


def test_changed_and_deleted_annotations(
    real_programs: RealPrograms, project: RealProject, mortal: Backend, tmp_path: Path
) -> None:
    client, task = real_programs.client, project.tasks[0]
    x, y = api.middle(api.coin())
    first, second = ((x, y, 1),), ((230.0, 110.0, 1),)
    made = client.post(
        f"/api/tasks/{task}/annotations/", {"result": masked(real_programs, project, first)}
    )
    api.until(lambda: made["id"] in numbers(mortal, project), "the webhook")
    client.patch(
        f"/api/annotations/{made['id']}/", {"result": masked(real_programs, project, second)}
    )
    expected = core_answer(RGB, Interaction(points=second))

    def changed() -> bool:
        assert exported(mortal, project, tmp_path) in ({"written": 1}, {"unchanged": 1})
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{project.number}-{task}.png")) > 0
        return api.iou(mask, expected) >= 0.99

    api.until(changed, "the change")
    client.post(
        f"/api/dm/actions?id=delete_tasks_annotations&project={project.number}",
        {"selectedItems": {"all": False, "included": [task]}, "project": str(project.number)},
    )
    api.until(lambda: numbers(mortal, project) == [], "the deletion")
    exported(mortal, project, tmp_path)
    assert list((tmp_path / "images").glob("*.png")) == []


def test_a_backend_killed_between_clicks(
    real_programs: RealPrograms, project: RealProject, mortal: Backend
) -> None:
    """What was submitted is still there; Label Studio's page gets an error, then masks again."""
    point = ((*api.middle(api.coin()), 1),)
    client, task = real_programs.client, project.tasks[0]
    before = masked(real_programs, project, point)
    made = client.post(f"/api/tasks/{task}/annotations/", {"result": before})
    api.until(lambda: made["id"] in numbers(mortal, project), "the webhook")
    mortal.kill()
    context = [api.point(point[0][:2], RGB.shape)]
    assert api.ask(real_programs, project, task, context)["errors"]
    # Nobody listens now: the annotation is Label Studio's all the same.
    missed = client.post(f"/api/tasks/{project.tasks[1]}/annotations/", {"result": before})
    mortal.start()
    assert np.array_equal(api.one_mask(masked(real_programs, project, point)), api.one_mask(before))
    assert numbers(mortal, project) == [made["id"]]
    words = ("labelstudio", "export", "--out", str(mortal.settings.state_folder / "out"))
    api.run(mortal.settings, *words, "--project", str(project.number), "--fetch")
    assert numbers(mortal, project) == [made["id"], missed["id"]]


def test_the_buttons_of_the_models_page(
    real_programs: RealPrograms, project: RealProject, mortal: Backend
) -> None:
    """Start training is taken, and says nothing wrong; versions are listed; the state is known."""
    client = real_programs.client
    client.post(f"/api/ml/{project.model}/train", {})
    versions = client.get(f"/api/ml/{project.model}/versions")["versions"]
    (model,) = client.get("/api/ml", {"project": project.number})
    assert model["state"] == "CO"
    assert model["model_version"] in versions
    assert model["model_version"].startswith("nano-")


def counted(backend: Backend) -> dict[str, float]:
    """Samples of `/metrics` by name and labels."""
    with requests.Session() as session:
        session.trust_env = False
        login = (str(backend.settings.user), str(backend.settings.password))
        text = session.get(f"{backend.url}/metrics", auth=login, timeout=10).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_an_opened_task_and_those_after_it_are_made_ready(
    backend: Backend, real_programs: RealPrograms
) -> None:
    """Clicks on them find their embeddings there."""
    encoded = 'sam_plugins_step_seconds_count{step="encode"}'
    hits = 'sam_plugins_events_total{event="embedding_hit"}'
    misses = 'sam_plugins_events_total{event="embedding_miss"}'
    pictures = []
    for _ in range(3):  # that no run before this one has seen
        fresh = RGB.copy()
        fresh[:8, :8] = np.frombuffer(os.urandom(192), np.uint8).reshape(8, 8, 3)
        pictures.append(fresh)
    files = {f"{number}.png": api.encoded(rgb) for number, rgb in enumerate(pictures)}
    project = make_project(real_programs, "ahead", api.config(), files)
    before = counted(backend)
    # As the page does when it shows a task; there is nothing to answer yet.
    answer = real_programs.client.post(
        f"/api/ml/{project.model}/interactive-annotating", {"task": project.tasks[0]}
    )
    assert answer == {"data": []}
    api.until(lambda: counted(backend).get(encoded, 0) >= before.get(encoded, 0) + 3, "embeddings")
    made = counted(backend)
    for rgb, task in zip(pictures, project.tasks, strict=True):
        context = [api.point(api.middle(api.coin()), rgb.shape)]
        found = api.answered(real_programs, project, task, context)
        expected = core_answer(rgb, Interaction(points=((*api.middle(api.coin()), 1),)))
        api.same(api.one_mask(found), expected)
    after = counted(backend)
    assert after[hits] == made.get(hits, 0) + 3
    assert after.get(misses, 0) == made.get(misses, 0)


def test_logs_hold_no_secrets_and_no_faults(
    backend: Backend, real_programs: RealPrograms, mortal: Backend
) -> None:
    for one in (backend, mortal):
        log = one.log
        assert "predict" in log
        assert "Traceback" not in log
        for secret in (one.settings.api_key, one.settings.password):
            assert str(secret) not in log


def test_pictures_uploaded_before_the_project_had_a_config(
    backend: Backend, real_programs: RealPrograms, tmp_path: Path
) -> None:
    """Label Studio's own way for beginners: such tasks do not know the key of their picture yet."""
    client = real_programs.client
    number = int(client.create_project("uploaded first", "<View></View>")["id"])
    upload(real_programs, number, "a.png", api.encoded(RGB))
    client.patch(f"/api/projects/{number}/", {"label_config": api.config(value="$photo")})
    access = real_programs.access
    model = attach(client, number, backend.url, access.backend_user, access.backend_password)
    tasks = [int(task["id"]) for task in client.tasks(number)]
    project = RealProject(number, int(model["id"]), tasks)
    point = ((*api.middle(api.coin()), 1),)
    found = masked(real_programs, project, point)
    expected = core_answer(RGB, Interaction(points=point))
    api.same(api.one_mask(found), expected)
    made = client.post(f"/api/tasks/{tasks[0]}/annotations/", {"result": found})
    api.until(lambda: made["id"] in numbers(backend, project), "the webhook")
    assert exported(backend, project, tmp_path / "heard") == {"written": 1}
    words = ("labelstudio", "export", "--out", str(tmp_path / "fetched"), "--fetch", "--json")
    state = replace(backend.settings, state_folder=tmp_path / "state")
    told = json.loads(api.run(state, *words, "--project", str(number)))
    assert told["pictures"] == {"written": 1}
