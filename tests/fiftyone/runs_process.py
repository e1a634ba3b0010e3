"""Runs in processes that can be killed: each job is a fork of one process that has imported all.

A job counts instants and may kill itself at one of them: before each command that changes the
database is sent and after it was answered, and in the middle of each file that is written.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHANGING = ("insert", "update", "delete", "findAndModify", "create", "createIndexes", "drop")


class Jobs:
    """The test's end: starts jobs, waits for them, kills them."""

    def __init__(self, server: "subprocess.Popen[str]", folder: Path) -> None:
        self._server, self._folder, self._number = server, folder, 0

    def start(self, **job: Any) -> tuple[int, Path]:
        """Begin a job; gives its process and the file that will hold what it says at its end."""
        self._number += 1
        said = self._folder / f"said-{self._number}.json"
        return int(self._ask({**job, "say": str(said)})), said

    def wait(self, process: int) -> int:
        """How a job ended: 0, or minus the signal that killed it."""
        return int(self._ask({"wait": process}))

    def run(self, **job: Any) -> tuple[int, dict[str, Any]]:
        """Begin a job and wait for its end; gives that and what it said."""
        process, said = self.start(**job)
        code = self.wait(process)
        return code, json.loads(said.read_text()) if said.exists() else {}

    def _ask(self, question: dict[str, Any]) -> str:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline()


@contextmanager
def serving(environment: dict[str, str], folder: Path) -> Iterator[Jobs]:
    """A process that begins jobs, until the end of the block."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__))]
    pipe = subprocess.PIPE
    with (folder / "errors.txt").open("w") as errors:
        server = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=environment
        )
        try:
            yield Jobs(server, folder)
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(120)


class Instants:
    """Counts instants, and ends the process at the deadly one."""

    def __init__(self, deadly: int) -> None:
        self.count, self._deadly = 0, deadly

    def tick(self) -> None:
        self.count += 1
        if self.count == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(instants: Instants) -> None:
    """Make every change of the database, and every step of writing a file, an instant."""
    from pymongo import monitoring

    from fiftyone_plugin.storage import files

    class Listener(monitoring.CommandListener):
        def started(self, event: Any) -> None:
            if event.command_name in CHANGING:
                instants.tick()

        def succeeded(self, event: Any) -> None:
            if event.command_name in CHANGING:
                instants.tick()

        def failed(self, event: Any) -> None:
            pass

    monitoring.register(Listener())
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def half(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        os.ftruncate(descriptor, size // 2)
        instants.tick()
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, written[-1])
        fsync(descriptor)

    written: list[bytes] = []
    png = files._png

    def noted(crop: Any) -> bytes:
        written.append(png(crop))
        return written[-1]

    def replaced(path: Path, target: Any) -> Any:
        instants.tick()
        done = replace(path, target)
        instants.tick()
        return done

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        instants.tick()

    files._png = noted
    files.os = type("os", (), {**vars(os), "fsync": staticmethod(half)})
    Path.replace, Path.unlink = replaced, unlinked  # type: ignore[method-assign, assignment]


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this process."""
    from dataclasses import asdict

    instants = Instants(job.get("deadly", 0))
    watch(instants)
    import fiftyone as fo

    from fiftyone_plugin.labels import Shown
    from fiftyone_plugin.runs import delete_run, following, open_run, work_on, writing
    from fiftyone_plugin.values import RunConfig
    from sam_plugins.testing import FakeSegmenter

    writing._SAMPLES = job.get("together", 4)
    following._FRAMES = job.get("frames", 50)
    dataset = fo.load_dataset(job["dataset"])
    segmenter = FakeSegmenter()
    config = RunConfig.from_json(job["config"])
    if job.get("delete"):
        deleted = delete_run(dataset, config.run_id(segmenter.info.model_id))
        return {"instants": instants.count, **asdict(deleted)}
    if "meet" in job:
        Path(job["meet"], str(os.getpid())).touch()
        while len(os.listdir(job["meet"])) < 2:
            time.sleep(0.005)
    shown = Shown.from_json(job.get("shown", {}))
    run = open_run(dataset, config, segmenter.info.model_id, shown=shown)
    ids = dataset.values("id")
    report = work_on(dataset, run, ids, segmenter, retry=job.get("retry", False))
    return {"instants": instants.count, **asdict(report)}


def serve() -> None:
    """Begin jobs as they are asked for."""
    import fiftyone

    import fiftyone_plugin.runs
    from sam_plugins.testing import FakeSegmenter

    assert all((fiftyone, fiftyone_plugin.runs, FakeSegmenter))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if not answer:
                said = work(job)
                part = Path(job["say"] + ".part")
                part.write_text(json.dumps(said))
                os.rename(part, job["say"])
                os._exit(0)
        answers.write(f"{answer}\n")
        answers.flush()


if __name__ == "__main__":
    serve()
