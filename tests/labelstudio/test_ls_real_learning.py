"""From a submitted annotation to a model that learnt from it, and back, with the real programs."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_api as api
import requests
from PIL import Image
from real_programs import RealPrograms
from real_projects import RealProject, core_answer, make_project

import sam_plugins
from labelstudio_backend.learning import Intake
from labelstudio_backend.start import Backend
from sam_plugins import Interaction, Refiner, TiledImage, open_segmenter
from sam_plugins.masks import mask_to_box

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learner(real_programs: RealPrograms) -> Iterator[Backend]:
    """A backend whose model is a file, which may be replaced."""
    folder = real_programs.folder / "learner"
    folder.mkdir()
    nano = Path(sam_plugins.__file__).parent / "assets" / "nano.safetensors"
    model = Path(shutil.copy(nano, folder / "current.safetensors"))
    settings = replace(
        real_programs.backend.settings, port=0, model=str(model), state_folder=folder / "state"
    )
    backend = Backend(settings)
    backend.start()
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def project(real_programs: RealPrograms, learner: Backend) -> RealProject:
    pictures = {f"{turn}.png": api.encoded(api.coins(turn)) for turn in range(3)}
    return make_project(real_programs, "learning", api.config(), pictures, url=learner.url)


def version(backend: Backend) -> str:
    with requests.Session() as session:
        session.trust_env = False
        return str(session.get(f"{backend.url}/health", timeout=10).json()["model_version"])


def submit(programs: RealPrograms, project: RealProject, turn: int) -> int:
    """An annotator draws a box, accepts its mask and presses Submit; the annotation's number."""
    task = project.tasks[turn]
    context = [api.box(api.coin(turn), api.coins(turn).shape)]
    accepted = api.answered(programs, project, task, context)
    made = programs.client.post(f"/api/tasks/{task}/annotations/", {"result": accepted})
    return int(made["id"])


def numbers(backend: Backend, project: RealProject) -> set[int]:
    intake = Intake(backend.settings.state_folder)
    try:
        return set(intake.numbers(project.number))
    finally:
        intake.close()


def findings(backend: Backend, project: RealProject) -> dict[str, str]:
    """What the doctor says: check -> grade. It exits with 0 unless something fails."""
    words = ("labelstudio", "doctor", "--project", str(project.number), "--json")
    found = json.loads(api.run(backend.settings, *words))
    return {each["check"]: each["grade"] for each in found}


def webhook(programs: RealPrograms, project: RealProject, headers: dict[str, str]) -> None:
    client = programs.client
    (hook,) = client.get("/api/webhooks/", {"project": project.number})
    client.patch(f"/api/webhooks/{hook['id']}/", {"url": hook["url"], "headers": headers})


def test_doctor_finds_nothing(
    backend: Any, real_programs: RealPrograms, project: RealProject, learner: Backend
) -> None:
    found = findings(learner, project)
    assert set(found.values()) == {"ok"}, found


def test_webhook_without_a_password_is_told_and_made_up_for(
    backend: Any,
    real_programs: RealPrograms,
    project: RealProject,
    learner: Backend,
    tmp_path: Path,
) -> None:
    (hook,) = real_programs.client.get("/api/webhooks/", {"project": project.number})
    webhook(real_programs, project, {})
    assert findings(learner, project)["webhook"] == "warn"
    lost = submit(real_programs, project, 0)
    webhook(real_programs, project, hook["headers"])
    assert findings(learner, project)["webhook"] == "ok"
    sent = submit(real_programs, project, 1)
    # Label Studio sends one after the other: when the second is here the first will not come.
    api.until(lambda: sent in numbers(learner, project), "the webhook")
    assert lost not in numbers(learner, project)
    project_words = ("--project", str(project.number), "--fetch")
    api.run(learner.settings, "labelstudio", "export", "--out", str(tmp_path), *project_words)
    assert {lost, sent} <= numbers(learner, project)


@cache
def opened(file: Path) -> Any:
    return open_segmenter(str(file))


def answer_of(weights: Path, rgb: Any, interaction: Interaction) -> Any:
    """What the core says with these weights."""
    found = Refiner(TiledImage(opened(weights), rgb)).answer(interaction)
    mask = np.zeros(rgb.shape[:2], bool)
    x0, y0, x1, y1 = found.box
    mask[y0:y1, x0:x1] = found.crop
    return mask


def test_submitted_masks_are_learnt_and_the_old_model_comes_back(
    backend: Any,
    real_programs: RealPrograms,
    project: RealProject,
    learner: Backend,
    tmp_path: Path,
) -> None:
    submitted = {submit(real_programs, project, turn) for turn in range(3)}
    api.until(lambda: submitted <= numbers(learner, project), "the webhooks")
    data, run = tmp_path / "training", tmp_path / "run"
    words = ("labelstudio", "export", "--out", str(data), "--project", str(project.number))
    told = json.loads(api.run(learner.settings, *words, "--json"))
    assert (told["pictures"], told["objects"]) == ({"written": 3}, 3)
    for turn, task in enumerate(project.tasks):
        stem = f"{project.number}-{task}.png"
        assert (np.asarray(Image.open(data / "images" / stem)) == api.coins(turn)).all()
        expected = core_answer(api.coins(turn), Interaction(box=api.coin(turn)))
        api.same(np.asarray(Image.open(data / "masks" / stem)) > 0, expected)

    api.run(
        learner.settings,
        *("train", str(data), "--out", str(run), "--steps", "2", "--workers", "0"),
        *("--learning-rate", "0.01"),
    )
    weights = run / "weights.safetensors"
    former = version(learner)
    place = Path(str(learner.settings.model))
    os.replace(shutil.copy(weights, place.with_name("next.safetensors")), place)
    api.until(lambda: version(learner) not in ("", former), "the new model")
    learnt = version(learner)

    def click() -> tuple[str, Any]:
        context = [api.point(api.middle(api.coin()), api.coins().shape)]
        data = api.ask(real_programs, project, project.tasks[0], context)["data"]
        return data["model_version"], api.whole(data["result"], api.coins().shape)

    interaction = Interaction(points=((*api.middle(api.coin()), 1),))
    said, mask = click()
    assert said == learnt
    expected = answer_of(weights, api.coins(), interaction)
    assert 200 < expected.sum() < expected.size / 2
    assert mask_to_box(mask) == pytest.approx(mask_to_box(expected), abs=1)
    assert (mask != expected).mean() < 1e-3

    listed = json.loads(api.run(learner.settings, "labelstudio", "models", "--json"))
    assert [each["version"] for each in listed] == [former, learnt]
    api.run(learner.settings, "labelstudio", "rollback", former)
    api.until(lambda: version(learner) == former, "the former model")
    said, mask = click()
    assert said == former
    api.same(mask, core_answer(api.coins(), interaction))
