"""`make fiftyone`: the real App on the sample dataset, its operators through its own server."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests
from database import free_port, mongod_program

from fiftyone_plugin.start.own_folder import environment_of
from fiftyone_plugin.start.plugin_folder import PLUGIN
from fiftyone_plugin.start.sample_dataset import SAMPLE_DATASET, sample_dataset

pytestmark = pytest.mark.slow
SECONDS = 240


def processes_of(folder: Path) -> list[str]:
    """Names of the processes whose command line names the folder."""
    found = []
    for each in psutil.process_iter():
        try:
            line = " ".join(each.cmdline())
        except psutil.Error:
            continue
        if str(folder) in line and each.pid != os.getpid():
            found.append(line)
    return found


def wait_for(condition: Any, what: str) -> Any:
    until = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < until, what
        time.sleep(0.2)
    return value


class App:
    """`python -m fiftyone_plugin.start` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "kept"
        self.log = folder / "said.txt"
        self.port = free_port()
        command = [sys.executable, "-m", "fiftyone_plugin.start", "--no-browser"]
        command += ["--folder", str(self.folder), "--port", str(self.port)]
        # What a user may have set must not lead to the user's own database.
        environment = {**os.environ, "FIFTYONE_DATABASE_URI": "mongodb://127.0.0.1:1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(
                command, stdout=said, stderr=subprocess.STDOUT, env=environment
            )

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        return "FiftyOne is ready" in self.said()

    def post(self, path: str, **content: Any) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        content = {"dataset_name": SAMPLE_DATASET, **content}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(url, json=content, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer

    def execute(self, operator: str, **params: Any) -> list[dict[str, Any]]:
        """Messages of an operator that is executed as the App does it."""
        answer = self.post(
            "/operators/execute/generator",
            operator_uri=f"{PLUGIN}/{operator}",
            params=params,
            selected=[],
            selected_samples=[],
            view=[],
        )
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def app(started: App | None, require: Callable[..., Any]) -> App:
    require("mongod", started is not None)
    assert started is not None
    return started


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App | None]:
    if mongod_program() is None:
        yield None
        return
    app = App(tmp_path_factory.mktemp("start"))
    try:
        wait_for(app.ready, "the App did not start")
        yield app
    finally:
        if app.process.poll() is None:
            app.process.kill()
            app.process.wait()


def operators_of(messages: list[dict[str, Any]]) -> list[str]:
    return [each["body"]["operator_uri"] for each in messages]


def test_the_app_answers_and_offers_the_operators(app: App) -> None:
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"http://127.0.0.1:{app.port}/", timeout=SECONDS).status_code == 200
    listed = app.post("/operators").json()
    assert f"{PLUGIN}/segment_prompts" in {each["uri"] for each in listed["operators"]}
    placements = app.post("/operators/resolve-placements").json()["placements"]
    assert f"{PLUGIN}/segment_prompts" in {each["operator_uri"] for each in placements}


def test_executed_in_the_app_it_tells_its_progress_and_then_its_counts(app: App) -> None:
    messages = app.execute("segment_prompts", box_field="boxes", label_field="made")
    names = operators_of(messages)
    assert names[0] == "set_progress"
    assert names[-2:] == ["reload_dataset", "show_output"]
    shown = messages[-1]["body"]["params"]
    assert shown["results"]["failed"] == 0
    assert shown["results"]["objects"] > 50
    assert "objects" in shown["outputs"]["type"]["properties"]


def test_what_goes_wrong_is_a_sentence_in_the_app(app: App, tmp_path: Path) -> None:
    weights = tmp_path / "no-weights.pt"
    weights.write_bytes(b"nothing")
    messages = app.execute(
        "segment_prompts",
        box_field="boxes",
        label_field="other",
        model="file",
        model_path=str(weights),
    )
    assert operators_of(messages)[-2:] == ["notify", "show_output"]
    shown = messages[-1]["body"]["params"]
    problem = shown["results"]["problem"]
    assert problem == messages[-2]["body"]["params"]["message"]
    assert "no-weights.pt" in problem
    assert "Traceback" not in problem
    (said,) = shown["outputs"]["type"]["properties"].values()
    assert said["view"]["label"] == problem


def test_a_second_one_in_the_same_folder_says_so(app: App) -> None:
    command = [sys.executable, "-m", "fiftyone_plugin.start", "--folder", str(app.folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS)
    assert ran.returncode == 1
    assert re.fullmatch(r"FiftyOne runs in .* already: .*\n", ran.stderr)


def test_ctrl_c_ends_all_of_it_and_the_dataset_stays(app: App) -> None:
    app.process.send_signal(signal.SIGINT)
    assert app.process.wait(SECONDS) == 0, app.said()
    assert "Traceback" not in app.said()
    wait_for(lambda: not processes_of(app.folder), "something was left running")
    code = (
        "import fiftyone as fo\n"
        f"d = fo.load_dataset({SAMPLE_DATASET!r})\n"
        "print(len(d), d.persistent, d.count('made.detections'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment_of(app.folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    samples, persistent, objects = ran.stdout.split()[-3:]
    assert (int(samples) >= 10, persistent, int(objects) > 50) == (True, "True", True), ran.stderr
    wait_for(lambda: not processes_of(app.folder), "mongod was left running")


def test_the_sample_dataset_asks_and_knows_the_truth(fiftyone_here: Any, tmp_path: Path) -> None:
    dataset = sample_dataset(tmp_path)
    try:
        assert len(dataset.distinct("kind")) >= 3
        for sample in dataset:
            points = {each.index: each for each in sample.points.keypoints}
            for box in sample.boxes.detections:
                signed = points[box.index]
                assert len(signed.sam_labels) == len(signed.points)
                assert signed.sam_labels[0] == 1
                x, y, w, h = box.bounding_box
                assert 0 <= x < x + w <= 1
                assert 0 <= y < y + h <= 1
            for truth in sample.ground_truth.detections if sample.ground_truth else ():
                height, width = sample.metadata.height, sample.metadata.width
                _, _, w, h = truth.bounding_box
                assert truth.mask.shape == (round(h * height), round(w * width))
                assert truth.mask.dtype == np.bool_ or set(np.unique(truth.mask)) <= {0, 1}
        assert sample_dataset(tmp_path).name == dataset.name
        assert fiftyone_here.list_datasets().count(SAMPLE_DATASET) == 1
    finally:
        dataset.delete()
