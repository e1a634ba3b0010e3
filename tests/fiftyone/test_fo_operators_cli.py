"""`sam-plugins fiftyone ...` as a program of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fiftyone_plugin.cli import app
from fiftyone_plugin.runs import list_runs, run_counts
from fiftyone_plugin.start import PLUGIN
from fiftyone_plugin.values import Status
from sam_plugins.cli.app import app as cli

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Invoke = Callable[..., Any]


@pytest.fixture
def invoke(fiftyone_here: Any) -> Invoke:
    """``invoke(*words)``: the command in this process, against the tests' database."""

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli, ["fiftyone", *words])

    return run


@pytest.fixture
def command(fiftyone_environment: dict[str, str], tmp_path: Path) -> Command:
    """``command(*words)``: the command as a process of its own."""

    def run(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", "from sam_plugins.cli import main; main()", "fiftyone", *words],
            env={**fiftyone_environment, "COLUMNS": "200", "TERM": "dumb", **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_segment_runs_and_delete_run(invoke: Invoke, make_dataset: Callable[..., Any]) -> None:
    dataset = make_dataset(3, 2)
    dataset.save_view("two", dataset.limit(2))
    words = ("segment", dataset.name, "--boxes", "boxes", "--out", "sam")
    dry = invoke(*words, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.stderr
    assert json.loads(dry.stdout)["objects"] == 6
    assert not dataset.has_field("sam")
    some = invoke(*words, "--view", "two", "--json")
    assert json.loads(some.stdout)["done"] == 2
    rest = invoke(*words)
    assert rest.exit_code == 0, rest.stderr
    assert "samples with masks" in rest.stdout
    dataset.reload()
    (run,) = list_runs(dataset)
    assert run_counts(dataset, run.run_id)[Status.DONE] == 3
    listed = invoke("runs", dataset.name)
    assert listed.stdout.split(maxsplit=1) == [
        run.run_id,
        "sam: prompts by nano, 3 done\n",
    ]
    kept = invoke("delete-run", dataset.name, run.run_id)
    assert kept.exit_code == 1
    assert list_runs(dataset)
    gone = invoke("delete-run", dataset.name, run.run_id, "--yes")
    assert gone.exit_code == 0, gone.stderr
    dataset.reload()
    assert not list_runs(dataset)
    assert invoke("runs", dataset.name).stdout == f"There are no runs on {dataset.name!r}.\n"


def test_a_failed_sample_is_exit_code_1_and_is_tried_again(
    invoke: Invoke, make_dataset: Callable[..., Any]
) -> None:
    dataset = make_dataset(2, 1)
    path = Path(dataset.first().filepath)
    picture = path.read_bytes()
    path.write_bytes(b"no picture")
    words = ("segment", dataset.name, "--boxes", "boxes", "--json")
    first = invoke(*words)
    assert (first.exit_code, json.loads(first.stdout)["failed"]) == (1, 1)
    path.write_bytes(picture)
    again = invoke(*words, "--retry-failed")
    assert (again.exit_code, json.loads(again.stdout)["done"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("segment", "HERE"), "Expected something to segment, found nothing"),
        (("segment", "HERE", "--points", "boxes", "--everything"), "found both"),
        (("segment", "HERE", "--boxes", "nothing"), "Expected a field 'nothing'"),
        (("segment", "HERE", "--boxes", "boxes", "--out", "boxes"), "found 'boxes'"),
        (("segment", "HERE", "--boxes", "boxes", "--box-mode", "big"), "for box_mode, found 'big'"),
        (("segment", "HERE", "--boxes", "boxes", "--view", "no"), "Expected a saved view"),
        (("segment", "nowhere", "--boxes", "boxes"), "found no 'nowhere'; there are:"),
        (("runs", "nowhere"), "found no 'nowhere'"),
        (("delete-run", "HERE", "sam_0", "--yes"), "sam_0"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    invoke: Invoke, make_dataset: Callable[..., Any], words: tuple[str, ...], told: str
) -> None:
    dataset = make_dataset(1, 1)
    ran = invoke(*(dataset.name if word == "HERE" else word for word in words))
    assert ran.exit_code == 1, ran.output
    assert ran.stderr.startswith("Error: ")
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_database_it_says_where_it_looked(command: Command) -> None:
    uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300"
    ran = command("runs", "any", FIFTYONE_DATABASE_URI=uri)
    assert ran.returncode == 1
    assert "Error: FiftyOne's database mongodb://127.0.0.1:1/" in ran.stderr
    assert "FIFTYONE_DATABASE_URI" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_install_and_uninstall(
    command: Command, fiftyone_environment: dict[str, str], tmp_path: Path
) -> None:
    folders = {
        "FIFTYONE_PLUGINS_DIR": str(tmp_path / "plugins"),
        "FIFTYONE_MODEL_ZOO_DIR": str(tmp_path / "models"),
    }
    installed = command("install", "--zoo", "--copy", **folders)
    assert installed.returncode == 0, installed.stderr
    assert (tmp_path / "plugins" / PLUGIN / "fiftyone.yml").is_file()
    code = "import fiftyone.zoo as foz; print('sam-plugins/nano' in foz.list_zoo_models())"
    environment = {**fiftyone_environment, **folders}
    listed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert listed.stdout.split() == [b"True"], listed.stderr
    weights = tmp_path / "models" / "sam-plugins" / "weights.pth"
    weights.write_bytes(b"large")
    removed = command("uninstall", **folders)
    assert removed.returncode == 0, removed.stderr
    assert not (tmp_path / "plugins" / PLUGIN).exists()
    assert weights.read_bytes() == b"large"
    listed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert listed.stdout.split() == [b"False"], listed.stderr


def test_help_needs_neither_fiftyone_nor_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['fiftyone'] = sys.modules['torch'] = None\n"
        "from sam_plugins.cli import main\n"
        "main()"
    )
    for words in ([], ["segment"], ["install"], ["runs"]):
        ran = subprocess.run(
            [sys.executable, "-c", code, "fiftyone", *words, "--help"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
    assert app.registered_commands


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    fiftyone_environment: dict[str, str], make_dataset: Callable[..., Any]
) -> None:
    dataset = make_dataset(40, 8)
    words = ["fiftyone", "segment", dataset.name, "--boxes", "boxes", "--box-mode", "expand"]
    call = [sys.executable, "-c", "from sam_plugins.cli import main; main()", *words, "--json"]
    going = subprocess.Popen(
        call, env=fiftyone_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def begun() -> bool:
        dataset.reload()
        return any(run_counts(dataset, run.run_id)[Status.DONE] for run in list_runs(dataset))

    until = time.monotonic() + 240
    while not begun():
        assert going.poll() is None, going.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    going.send_signal(signal.SIGINT)
    said, noted = going.communicate(timeout=240)
    first = json.loads(said)
    if first["stopped"]:  # else it was quicker than the signal
        assert going.returncode == 130
        assert "The same command goes on." in noted
    assert "Traceback" not in noted
    second = subprocess.run(call, env=fiftyone_environment, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    report = json.loads(second.stdout)
    assert first["done"] + report["done"] == 40
    assert report["skipped"] == first["done"]
    assert first["run_id"] == report["run_id"]
    dataset.reload()
    assert dataset.count("masks.detections") == 320
