"""Whole projects of a real Label Studio annotated by the command, in a process of its own."""

import base64
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_api as api
from real_programs import RealPrograms
from real_projects import RealProject, core_answer, make_project

from sam_plugins import Interaction

pytestmark = pytest.mark.slow


def predictions(programs: RealPrograms, project: RealProject) -> dict[int, list[dict[str, Any]]]:
    return {task: programs.client.predictions(task) for task in project.tasks}


def test_boxes_of_annotators_and_of_a_detector_become_masks(
    backend: Any, real_programs: RealPrograms, tmp_path: Path
) -> None:
    """A task without any is left alone, and the next run sends nothing."""
    pictures = [api.coins(turn) for turn in range(3)]
    data: list[dict[str, Any]] = []
    for rgb in pictures:
        text = base64.b64encode(api.encoded(rgb)).decode()
        data.append({"data": {"image": f"data:image/png;base64,{text}"}})
    size = pictures[0].shape
    data[0]["annotations"] = [{"result": [api.box(api.coin(0), size)]}]
    detected = {"result": [api.box(api.coin(1), size)], "model_version": "detector", "score": 0.5}
    data[1]["predictions"] = [detected]
    project = make_project(real_programs, "detected", api.config(), data=data)
    settings = replace(backend.settings, state_folder=tmp_path / "state")
    words = ("labelstudio", "prelabel", "--project", str(project.number), "--json")
    told = json.loads(api.run(settings, *words))
    assert told["tasks"] == {"done": 2, "empty": 1}
    found = predictions(real_programs, project)
    for turn, task in enumerate(project.tasks[:2]):
        (made,) = [each for each in found[task] if each["model_version"] == told["model_version"]]
        expected = core_answer(pictures[turn], Interaction(box=api.coin(turn)))
        api.same(api.one_mask(made["result"]), expected)
        assert made["result"][0]["value"]["brushlabels"] == ["Coin"]
    assert found[project.tasks[2]] == []

    json.loads(api.run(settings, *words))
    assert predictions(real_programs, project) == found


@pytest.mark.timeout(1200)
def test_prelabelling_killed_in_the_middle(
    backend: Any, real_programs: RealPrograms, tmp_path: Path
) -> None:
    """Killed while the fourth picture is on its way; each task gets one prediction."""
    small = [np.ascontiguousarray(api.coins()[8 * n : 8 * n + 96, 200:328]) for n in range(6)]
    gate = threading.Event()
    content = {f"/{number}.png": api.encoded(rgb) for number, rgb in enumerate(small)}
    with api.serving(api.Files(content, {"/3.png": gate})) as files:
        settings = replace(
            backend.settings, allowed_hosts=(files.netloc,), state_folder=tmp_path / "state"
        )
        project = make_project(
            real_programs,
            "prelabelled",
            api.config(),
            data=[{"image": files.url(path)} for path in content],
        )
        words = ("labelstudio", "prelabel", "--project", str(project.number), "--json")
        words += ("--mode", "everything", "--label", "Coin", "--parallel", "1")
        killed = api.command(settings, *words)
        try:
            api.until(
                lambda: any(path == "/3.png" for path, _ in files.asked) or killed.poll(),
                "the fourth picture",
                300,
            )
            assert killed.poll() is None
        finally:
            killed.kill()
            killed.communicate(timeout=60)
            gate.set()
        held = predictions(real_programs, project)
        assert [len(each) for each in held.values()] == [1, 1, 1, 0, 0, 0]

        told = json.loads(api.run(settings, *words))
        assert told["tasks"] == {"skipped": 3, "done": 3}
    now = predictions(real_programs, project)
    assert [len(each) for each in now.values()] == [1] * 6
    for task, (prediction,) in now.items():
        assert prediction["model_version"] == told["model_version"]
        assert prediction["result"], f"nothing was found on the picture of task {task}"
        labels = [region["value"]["brushlabels"] for region in prediction["result"]]
        assert labels == [["Coin"]] * len(labels)
    assert [now[task] for task in project.tasks[:3]] == [held[task] for task in project.tasks[:3]]
