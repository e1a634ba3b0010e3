"""`sam-plugins labelstudio ...` from the shell's side: words, exit codes, documents."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webhook_doubles as ls
from export_doubles import Pictures
from prelabel_doubles import VERSION, FakeLabelStudio, serving
from region_doubles import brush, rectangle, square
from typer.testing import CliRunner, Result

from labelstudio_backend import answering, fetching, server
from labelstudio_backend.answering import kept_models
from labelstudio_backend.learning import Intake
from labelstudio_backend.settings import Settings
from labelstudio_backend.values import Ask, Found
from sam_plugins import Interaction
from sam_plugins.cli.app import app
from sam_plugins.evaluation import load_labelled, read_folder

COMMANDS = ("serve", "doctor", "prelabel", "export", "models", "rollback")
CONFIG = """<View><Image name="image" value="$image"/>
<BrushLabels name="brush" toName="image"><Label value="Cell"/></BrushLabels></View>"""
SIZE = (60, 80)

QUIET_HELP = """
import sys
from sam_plugins.cli import main
sys.argv = ["sam-plugins", "labelstudio", *sys.argv[1:], "--help"]
try:
    main()
finally:
    heavy = ("torch", "numpy", "scipy", "skimage", "requests", "starlette", "uvicorn", "sqlite3")
    heavy = [name for name in heavy if name in sys.modules]
    if heavy:
        sys.exit(f"help imported {heavy}")
"""


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_says_what_there_is_and_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", QUIET_HELP, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in words or COMMANDS:
        assert name in result.stdout


@pytest.fixture
def studio() -> Iterator[FakeLabelStudio]:
    host = FakeLabelStudio(12)
    host.config = CONFIG
    with serving(host):
        yield host


@pytest.fixture
def run(studio: FakeLabelStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command of ours: ``run("doctor", "--json")``."""
    for name in list(os.environ):
        if name.startswith(("LABEL_STUDIO", "BASIC_AUTH", "SAM_PLUGINS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, ["labelstudio", *map(str, words)])


class Model:
    """An annotator that needs no model; what it does with a task is `answer`."""

    answer: Callable[[int], int] = staticmethod(lambda task: 1)
    error: str | None = None
    closed = 0

    def __init__(self, settings: Settings, pictures: Any, **_: Any) -> None:
        self.settings = settings

    @property
    def model_version(self) -> str:
        return "" if self.error else VERSION

    def status(self) -> dict[str, Any]:
        return {"error": self.error}

    def annotate(self, config: Any, task: Mapping[str, Any], **_: Any) -> list[tuple[Ask, Found]]:
        ask = Ask("Cell", Interaction(points=((2.0, 2.0, 1),)), "image")
        found = Found(np.ones((4, 4), bool), (0, 0, 4, 4), SIZE, 0.5)
        return [(ask, found)] * self.answer(task["id"])

    def close(self, seconds: float) -> None:
        type(self).closed += 1


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> type[Model]:
    made = type("ThisModel", (Model,), {})
    monkeypatch.setattr(answering, "Annotator", made)
    return made


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_prelabel_says_what_became_of_the_tasks(
    run: Any, studio: FakeLabelStudio, model: type[Model]
) -> None:
    model.answer = staticmethod(lambda task: 0 if task == 3 else 1)
    result = run("prelabel", "--project", 1)
    assert result.exit_code == 0, result.output
    assert "prediction sent" in result.output
    assert "nothing found: nothing sent" in result.output
    assert {n for n, found in studio.versions().items() if found == [VERSION]} == {
        n for n in range(1, 13) if n != 3
    }
    assert model.closed == 1
    result = run("prelabel", "--project", 1, "--json")
    assert document(result)["tasks"] == {"skipped": 11, "empty before": 1}
    assert document(result)["model_version"] == VERSION


def test_prelabel_names_the_first_failures_and_counts_the_others(
    run: Any, studio: FakeLabelStudio, model: type[Model]
) -> None:
    def answer(task: int) -> int:
        if task > 1:
            raise OSError(f"[red]reason {task % 2}")
        return 1

    model.answer = staticmethod(answer)
    result = run("prelabel", "--project", 1)
    assert result.exit_code == 1
    # Shown as it is, brackets and all.
    assert result.output.count("[red]reason") == 10 + 2
    assert "and 1 more" in result.output
    assert "6 x unexpected OSError: [red]reason 0" in result.output
    assert run("prelabel", "--project", 1).exit_code == 1
    model.answer = staticmethod(lambda task: 1)
    assert run("prelabel", "--project", 1, "--retry-failed").exit_code == 0
    assert set(map(len, studio.versions().values())) == {1}


def test_prelabel_tells_what_was_done_before_label_studio_went_away(
    run: Any, studio: FakeLabelStudio, model: type[Model]
) -> None:
    studio.behave = lambda task, n: "401" if studio.sent.total() > 5 else "store"
    result = run("prelabel", "--project", 1, "--parallel", 1)
    assert result.exit_code == 1
    assert "prediction sent" in result.output
    assert "401" in result.output
    assert "Traceback" not in result.output
    assert model.closed == 1


def test_prelabel_ends_after_ctrl_c_with_130(
    run: Any, studio: FakeLabelStudio, model: type[Model]
) -> None:
    def annotate(self: Model, config: Any, task: Mapping[str, Any], **options: Any) -> Any:
        if task["id"] == 5:
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + 60
            while not options["stop"]() and time.monotonic() < deadline:
                pass
        return Model.annotate(self, config, task)

    model.annotate = annotate
    result = run("prelabel", "--project", 1, "--parallel", 1)
    assert result.exit_code == 130
    assert studio.sent.total() == 4
    model.annotate = Model.annotate
    assert run("prelabel", "--project", 1).exit_code == 0
    assert set(map(len, studio.versions().values())) == {1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--project", 1, "--label", "Dog"), "'Dog'"),
        (("--project", 1, "--mode", "some"), "some"),
        (("--project", 0), "--project"),
        ((), "--project"),
    ],
)
def test_prelabel_refuses_what_cannot_work(
    run: Any, studio: FakeLabelStudio, model: type[Model], words: tuple[Any, ...], said: str
) -> None:
    result = run("prelabel", *words)
    assert result.exit_code in (1, 2)
    assert said in result.output
    assert studio.sent.total() == 0


def test_prelabel_says_why_the_model_cannot_be_opened(run: Any, model: type[Model]) -> None:
    model.error = "There is no file gone.safetensors."
    result = run("prelabel", "--project", 1)
    assert result.exit_code == 1
    assert "gone.safetensors" in result.output


def test_prelabel_needs_to_know_where_label_studio_is(
    run: Any, model: type[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    result = run("prelabel", "--project", 1)
    assert result.exit_code == 1
    assert "LABEL_STUDIO_API_KEY" in result.output


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Pictures:
    made = Pictures(SIZE)
    made.close = lambda: None
    monkeypatch.setattr(fetching, "PictureReader", lambda settings: made)
    return made


def test_export_writes_a_folder_and_counts(run: Any, pictures: Pictures, tmp_path: Path) -> None:
    intake = Intake(tmp_path / "state")
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9)), rectangle(SIZE)], image="/a"))
    intake.accept(ls.submitted(2, 4, [brush(square(SIZE, 9, 9, 9), "Dirt")], image="/b"))
    intake.accept(ls.submitted(3, 5, [brush(square(SIZE, 9, 9, 9))], image="/c"))
    pictures.missing.add("/c")
    result = run("export", "--out", "train", "--json")
    assert result.exit_code == 1
    said = document(result)
    assert said["pictures"] == {"written": 2, "failed": 1}
    assert said["left_out"] == {"boxes and ellipses": 1}
    assert said["failed"] == {"1-5": "/c is not there."}
    pictures.missing.clear()
    result = run("export", "--out", "train", "--label", "Cell", "--project", 1)
    assert result.exit_code == 0, result.output
    assert "sam-plugins train train" in result.output
    assert [item.id for item in read_folder(tmp_path / "train")] == ["1-3", "1-5"]


def test_export_asks_label_studio_for_what_it_was_not_told(
    run: Any, studio: FakeLabelStudio, pictures: Pictures, tmp_path: Path
) -> None:
    studio.tasks[4]["annotations"] = [ls.annotation(9, 4, [brush(square(SIZE, 5, 5, 9))])]
    result = run("export", "--out", "train", "--fetch")
    assert result.exit_code == 1
    assert "--project" in result.output
    assert run("export", "--out", "train").exit_code == 0
    assert run("export", "--out", "train", "--fetch", "--project", 1).exit_code == 0
    (item,) = read_folder(tmp_path / "train")
    assert np.array_equal(load_labelled(item).labels == 1, square(SIZE, 5, 5, 9))


def test_doctor_ends_with_1_and_its_document_says_why(run: Any) -> None:
    result = run("doctor", "--project", 1, "--json")
    assert result.exit_code == 1
    said = {line["check"]: line for line in document(result)}
    assert said["settings"]["grade"] == "ok"
    assert said["Label Studio"]["grade"] == "fail"
    assert said["Label Studio"]["change"]
    table = run("doctor")
    assert table.exit_code == 1
    assert "to change." in table.output


def test_doctor_looks_at_nothing_with_settings_it_cannot_read(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "many")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (line,) = document(result)
    assert line["check"] == "settings"
    assert "many" in line["found"]


def test_serve_listens_as_it_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    monkeypatch.setattr(server, "serve", served.append, raising=False)
    monkeypatch.setenv("PORT", "9191")
    monkeypatch.setenv("WORKERS", "3")
    assert run("serve", "--host", "127.0.0.2", "--workers", 2, "--model", "vit_t").exit_code == 0
    (settings,) = served
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.2", 9191, 2)
    assert settings.model == "vit_t"


def test_former_models_are_listed_and_gone_back_to(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No model is kept" in run("models").output
    place = tmp_path / "model.safetensors"
    kept = kept_models.KeptModels(tmp_path / "state" / "models")
    for number in (1, 2):
        place.write_bytes(bytes([number]))
        kept.note(f"cells-{number}", kept.copy(place))
    assert [each["version"] for each in document(run("models", "--json"))] == ["cells-1", "cells-2"]
    result = run("rollback", "cells-1")
    assert result.exit_code == 1
    assert "SAM_PLUGINS_MODEL" in result.output
    monkeypatch.setenv("SAM_PLUGINS_MODEL", str(place))
    assert "cells-7" in run("rollback", "cells-7").output
    assert place.read_bytes() == b"\2"
    assert run("rollback", "cells-1").exit_code == 0
    assert place.read_bytes() == b"\1"
