"""Runs that are killed and go on: one prediction per task, none lost, none twice."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prelabel_doubles import VERSION, FakeLabelStudio, serving

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.prelabel.lock import project_held

TASKS = 30
PROCESS = Path(__file__).with_name("prelabel_process.py")
STAGES = ("read", "arrives", "stored", "answered")
EXPECTED = {n: [] if n % 5 == 0 else [VERSION] for n in range(1, TASKS + 1)}


def start(studio: FakeLabelStudio, folder: Path, deadly: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROCESS), studio.url, str(folder), str(deadly)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, errors = process.communicate(timeout=120)
    if process.returncode not in (0, -signal.SIGKILL):
        pytest.fail(errors)
    return process.returncode, out


def goes_on(studio: FakeLabelStudio, folder: Path) -> None:
    """The next run finishes what there is, and one more finds nothing to do."""
    studio.seen = lambda stage: None
    code, _ = finish(start(studio, folder))
    assert code == 0
    assert studio.versions() == EXPECTED
    sent = studio.sent.total()
    finish(start(studio, folder))
    assert studio.sent.total() == sent


@pytest.mark.parametrize("seed", range(10))
def test_killed_while_label_studio_is_at_it(tmp_path: Path, seed: int) -> None:
    """At a seeded stage of a seeded request: before it is stored, before its answer, after it."""
    rng = random.Random(seed)
    stage = STAGES[seed % len(STAGES)]
    at = 1 if stage == "read" else rng.randrange(1, 24)
    with serving(FakeLabelStudio(TASKS)) as studio:
        lock, met = threading.Lock(), 0
        started = threading.Event()

        def seen(now: str) -> None:
            nonlocal met
            with lock:
                met += now == stage
                deadly = now == stage and met == at
            if deadly:
                started.wait(60)
                process.send_signal(signal.SIGKILL)
                process.wait(60)

        studio.seen = seen
        process = start(studio, tmp_path)
        started.set()
        code, _ = finish(process)
        assert code == -signal.SIGKILL
        goes_on(studio, tmp_path)


@pytest.mark.slow
def test_killed_inside_the_journals_writes(tmp_path: Path) -> None:
    with serving(FakeLabelStudio(TASKS)) as studio:
        code, out = finish(start(studio, tmp_path / "whole"))
        assert code == 0
        steps = int(out.split()[0])
    for instant in random.Random(4).sample(range(1, steps * 9 // 10), 10):
        folder = tmp_path / str(instant)
        with serving(FakeLabelStudio(TASKS)) as studio:
            code, _ = finish(start(studio, folder, instant))
            assert code == -signal.SIGKILL
            goes_on(studio, folder)


def test_killed_again_and_again(tmp_path: Path) -> None:
    rng = random.Random(11)
    with serving(FakeLabelStudio(TASKS)) as studio:
        for _ in range(6):
            finish(start(studio, tmp_path, rng.randrange(400, 1500)))
        goes_on(studio, tmp_path)


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    with (
        project_held(tmp_path, "http://studio", 1),
        pytest.raises(ConfigError, match="Another run annotates project 1"),
        project_held(tmp_path, "http://studio", 1),
    ):
        pass
    with project_held(tmp_path, "http://studio", 1), project_held(tmp_path, "http://studio", 2):
        pass


def test_a_killed_run_holds_no_project(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from labelstudio_backend.prelabel.lock import project_held\n"
        "with project_held(Path(sys.argv[1]), 'http://studio', 1): os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with project_held(tmp_path, "http://studio", 1):
        assert os.listdir(tmp_path)
