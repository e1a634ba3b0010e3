"""The same answers through Label Studio's own SDK, in an environment of its own.

`scripts/setup-label-studio-ml` makes it; SAM_PLUGINS_LABEL_STUDIO_ML may name another Python.
"""

import base64
import contextlib
import io
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from annotator_doubles import CONFIG, body, region
from PIL import Image
from server_doubles import wait_until
from webhook_doubles import submitted

from labelstudio_backend.learning import Intake
from labelstudio_backend.server import Handlers, open_handlers
from labelstudio_backend.settings import Settings

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("SAM_PLUGINS_LABEL_STUDIO_ML") or str(
    ROOT / ".venv-label-studio-ml" / "bin" / "python"
)
AUTH = ("label-studio", "a-long-password")


def picture() -> str:
    """A bright ellipse on dark ground, as a data URI."""
    y, x = np.mgrid[:120, :160]
    inside = ((x - 80) / 40) ** 2 + ((y - 60) / 25) ** 2 < 1
    pixels = np.where(inside[..., None], (220, 200, 180), (30, 40, 50)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def click(**more: Any) -> dict[str, Any]:
    prompt = {**region(), "original_width": 160, "original_height": 120}
    return body(prompt, tasks=[{"id": 1, "data": {"image": picture()}}], **more)


def without_ids(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in found.items() if name != "id"} for found in result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sdk")


@pytest.fixture(scope="module")
def sdk(folder: Path) -> Iterator[str]:
    """The address of `label-studio-ml start labelstudio_backend`."""
    if not Path(PYTHON).is_file():
        yield ""
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scripts = Path(PYTHON).absolute().parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "MODEL_DIR": str(folder / "state"),
        "SAM_PLUGINS_CACHE": str(folder / "cache"),
        "BASIC_AUTH_USER": AUTH[0],
        "BASIC_AUTH_PASS": AUTH[1],
    }
    command = [str(scripts / "label-studio-ml"), "start", "labelstudio_backend", "-p", str(port)]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        address = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError((folder / "log.txt").read_text())
            with contextlib.suppress(requests.ConnectionError):
                said = requests.post(f"{address}/setup", json={"schema": CONFIG}, auth=AUTH)
                return bool(said.json().get("model_version"))
            return False

        try:
            wait_until(ready, 120)
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)  # the SDK starts Python through a shell
            process.wait(30)


@pytest.fixture(scope="module")
def handlers(folder: Path) -> Iterator[Handlers]:
    handlers = open_handlers(Settings(state_folder=folder / "mine"))
    wait_until(lambda: bool(handlers.health()["model_version"]), 120)
    yield handlers
    handlers.close(10.0)


@pytest.fixture(autouse=True)
def _needs_the_sdk(require) -> None:
    require("label_studio_ml", Path(PYTHON).is_file())


def ask(address: str, path: str, content: Any, auth: Any = AUTH) -> requests.Response:
    return requests.post(address + path, json=content, auth=auth, timeout=120)


def test_health_needs_no_password(sdk: str) -> None:
    assert requests.get(f"{sdk}/health").json()["status"] == "UP"


def test_setup_says_the_version_that_predictions_have(sdk: str, handlers: Handlers) -> None:
    said = ask(sdk, "/setup", {"project": "1.1", "schema": CONFIG}).json()
    assert said == handlers.setup({"schema": CONFIG})


def test_a_click_is_answered_as_the_handlers_answer_it(sdk: str, handlers: Handlers) -> None:
    found = ask(sdk, "/predict", click()).json()
    expected = handlers.predict(click())
    assert found["model_version"] == expected["model_version"]
    (one,), (other,) = found["results"], expected["results"]
    assert one["score"] == pytest.approx(other["score"])
    assert one["model_version"] == other["model_version"]
    assert other["result"]
    assert without_ids(one["result"]) == without_ids(other["result"])


def test_each_request_is_read_with_its_own_config(sdk: str) -> None:
    polygon = CONFIG.replace("BrushLabels", "PolygonLabels")
    kinds = []
    for config in (polygon, CONFIG, polygon):
        (found,) = ask(sdk, "/predict", click(label_config=config)).json()["results"]
        kinds += [made["type"] for made in found["result"]]
    assert kinds == ["polygonlabels", "brushlabels", "polygonlabels"]


def test_tasks_without_prompts_stay_unpredicted(sdk: str) -> None:
    tasks = [{"id": n, "data": {"image": picture()}} for n in (1, 2)]
    assert ask(sdk, "/predict", body(tasks=tasks)).json()["results"] == [[], []]


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("/predict", {"tasks": 7, "label_config": CONFIG}, "tasks"),
        ("/predict", {"tasks": [], "label_config": "<View>"}, ""),
        ("/setup", {"schema": "<View></View>"}, ""),
    ],
)
def test_an_error_is_its_sentence_and_no_traceback(
    sdk: str, path: str, content: Any, says: str
) -> None:
    found = ask(sdk, path, content)
    assert found.status_code >= 400
    assert list(found.json()) == ["error"]
    assert says in found.json()["error"]
    assert "Traceback" not in found.text


@pytest.mark.parametrize("auth", [None, ("label-studio", "wrong")])
def test_the_door_is_closed_to_others(sdk: str, auth: Any) -> None:
    for path in ("/predict", "/setup", "/webhook", "/versions"):
        assert ask(sdk, path, {}, auth).status_code == 401


def test_an_event_reaches_the_learning_queue(sdk: str, folder: Path) -> None:
    assert ask(sdk, "/webhook", submitted(1, 1, action="ANNOTATION_CREATED")).status_code == 201
    with contextlib.closing(Intake(folder / "state")) as intake:
        assert intake.counts()["ANNOTATION_CREATED"] == 1
    found = ask(sdk, "/webhook", {"action": "ANNOTATION_CREATED", "annotation": {}})
    assert (found.status_code, list(found.json())) == (400, ["error"])


def test_the_versions_are_told(sdk: str, handlers: Handlers) -> None:
    found = ask(sdk, "/versions", {"project": "1.1"}).json()["versions"]
    assert found == handlers.versions()["versions"]
