"""Local programs: found, started, tied to who started them; passwords; sample projects."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from real_programs import RealPrograms

from labelstudio_backend.controls import read_config
from labelstudio_backend.errors import ConfigError, LabelStudioError
from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.start import Access, find_label_studio
from labelstudio_backend.start.label_studio import LabelStudio
from labelstudio_backend.start.program import Program, free_port
from labelstudio_backend.start.sample_projects import BRUSH, POLYGON, SAMPLES, attach, write_samples

DEADLINE = 60.0


def wait_for(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def alive(number: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A program of two processes that notes their numbers and runs until it is ended."""
    (tmp_path / "slow_server.py").write_text(
        "import os, subprocess, sys, threading\n"
        "def main():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "    with open('numbers.part', 'w') as out: out.write(f'{os.getpid()} {child.pid}')\n"
        "    os.rename('numbers.part', 'numbers')\n"
        "    threading.Event().wait(600)\n"
        "def fail():\n"
        "    sys.exit('the table is missing')\n"
    )
    return tmp_path


def launch(folder: Path, entry: str) -> Program:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return Program("It", Path(sys.executable), entry, (), environment, folder / "log")


def numbers(folder: Path) -> list[int]:
    wait_for((folder / "numbers").exists)
    return [int(word) for word in (folder / "numbers").read_text().split()]


def test_program_ends_with_all_it_started(module: Path) -> None:
    program = launch(module, "slow_server:main")
    own, child = numbers(module)
    assert program.runs
    program.stop()
    assert not program.runs
    wait_for(lambda: not alive(own) and not alive(child))


def test_program_does_not_outlive_its_starter(module: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from test_ls_start import launch\n"
        "program = launch(Path(sys.argv[2]), 'slow_server:main'); time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parent), module])
    own, child = numbers(module)
    assert alive(own)
    assert alive(child)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    wait_for(lambda: not alive(own) and not alive(child))


def test_program_that_fails_shows_the_end_of_its_log(module: Path) -> None:
    program = launch(module, "slow_server:fail")
    with pytest.raises(LabelStudioError, match="the table is missing"):
        program.wait_until(lambda: False, DEADLINE)


def test_taken_port_is_not_given() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert free_port(number) != number
    assert free_port(number) == number


def test_access_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "access.json"
    made = Access.kept(file)
    assert Access.kept(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Access.kept(tmp_path / "other.json").password != made.password
    file.write_text('{"email": 1}')
    with pytest.raises(ConfigError, match="delete its folder"):
        Access.kept(file)


def test_label_studio_is_looked_for_where_it_is_named(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    named = {"LABEL_STUDIO_PYTHON": str(python)}
    with pytest.raises(ConfigError, match="LABEL_STUDIO_PYTHON must be"):
        find_label_studio(named)
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "label_studio"
    package.mkdir(parents=True)
    (package / "server.py").touch()
    assert find_label_studio(named) == python


def test_guards_stay_on_and_nothing_is_told_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_ML_BLOCK_LOCAL_IP", "false")
    monkeypatch.setenv("LABEL_STUDIO_SENTRY_DSN", "https://somewhere.example.org")
    access = Access.kept(tmp_path / "access.json")
    studio = LabelStudio(tmp_path, Path("python"), access)
    variables = studio._environment
    assert variables["LABEL_STUDIO_ML_BLOCK_LOCAL_IP"] == "true"
    assert variables["LABEL_STUDIO_SSRF_PROTECTION_ENABLED"] == "true"
    assert variables["LABEL_STUDIO_SENTRY_DSN"] == ""
    assert variables["LABEL_STUDIO_COLLECT_ANALYTICS"] == "false"
    assert "10.0.0.0/8" in variables["LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS"]


@pytest.mark.parametrize(("sample", "kind"), [(BRUSH, "brush"), (POLYGON, "polygon")])
def test_sample_configs_answer_every_label_of_their_smart_tools(sample: Any, kind: str) -> None:
    config = read_config(sample.label_config)
    smart = [tag for tag in config.controls if tag.smart]
    assert [tag.kind for tag in smart] == ["keypoint", "rectangle"]
    for tag in smart:
        for label in tag.written_labels():
            assert config.output(label, "image").kind == kind
    assert not config.notes


def test_samples_are_written_once(tmp_path: Path) -> None:
    write_samples(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(SAMPLES)
    files[0].write_bytes(b"mine")
    write_samples(tmp_path)
    assert files[0].read_bytes() == b"mine"
    assert sorted(tmp_path.iterdir()) == files


def test_model_and_webhook_follow_a_backend_that_moved(
    label_studio: LabelStudio, backend: Any, real_programs: RealPrograms
) -> None:
    client, access = real_programs.client, real_programs.access
    project = int(client.create_project("moved", BRUSH.label_config)["id"])
    login = (access.backend_user, access.backend_password)
    first = attach(client, project, backend.url, *login)
    other = f"http://localhost:{backend.settings.port}"
    attach(client, project, other, *login)
    (model,) = client.ml_backends(project)
    assert (model["id"], model["url"], model["state"]) == (first["id"], other, "CO")
    (hook,) = client.get("/api/webhooks/", {"project": project})
    assert hook["url"] == f"{other}/webhook"
    assert hook["headers"]["Authorization"].startswith("Basic ")


@pytest.mark.slow
def test_command_starts_both_and_goes_on_where_it_was(
    label_studio: LabelStudio, backend: Any, tmp_path: Path
) -> None:
    """What `make labelstudio` runs, twice: on other ports, with the annotation of the first run."""
    for run in range(2):
        process, client = begin(tmp_path, run)
        try:
            projects = client.get("/api/projects/")["results"]
            assert {project["title"] for project in projects} == {BRUSH.title, POLYGON.title}
            assert {project["task_number"] for project in projects} == {len(SAMPLES)}
            number = min(project["id"] for project in projects)
            (model,) = client.ml_backends(number)
            assert model["state"] == "CO"
            task = next(iter(client.tasks(number)))
            assert len(task["annotations"]) == run
            client.post(f"/api/tasks/{task['id']}/annotations/", {"result": []})
            picture(client, tmp_path, task)
        finally:
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=DEADLINE)[0]
        assert process.returncode == 0, said


def begin(folder: Path, run: int) -> tuple[subprocess.Popen[str], LabelStudioClient]:
    words = folder / f"words-{run}"
    with words.open("w") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "labelstudio_backend.start",
                "--folder",
                str(folder / "kept"),
                "--port",
                str(free_port()),
                "--backend-port",
                str(free_port()),
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ready() -> bool:
        assert process.poll() is None, words.read_text()
        return "password  " in words.read_text()

    wait_for(ready, 300)
    url = words.read_text().split("ready:")[1].split()[0]
    access = json.loads((folder / "kept" / "access.json").read_text())
    return process, LabelStudioClient(url, access["token"])


def picture(client: LabelStudioClient, folder: Path, task: dict[str, Any]) -> None:
    """A browser can still load the task's picture."""
    access = json.loads((folder / "kept" / "access.json").read_text())
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            client._home.origin + task["data"]["image"],
            headers={"Authorization": f"Token {access['token']}"},
            timeout=30,
        )
    assert answer.headers["Content-Type"] == "image/png"
