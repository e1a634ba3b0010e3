"""Processes: start, several workers, the end after a signal."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from server_doubles import wait_until

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.server.serving import serve
from labelstudio_backend.settings import Settings

PROGRAM = Path(__file__).with_name("server_program.py")
AUTH = ("somebody", "a password")


class Program:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict] = []
        self.address = ""
        self._queue: queue.Queue[str] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(json.loads(line))

    def started(self) -> None:
        wait_until(lambda: self._find_address() or self.process.poll() is not None)
        wait_until(self._answers)

    def _find_address(self) -> bool:
        for line in list(self.lines):
            _, said, address = line["message"].partition("the address for Label Studio: ")
            self.address = address if said else self.address
        return bool(self.address)

    def _answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.address}/health", timeout=5).ok
        return False

    def ended(self) -> int:
        code = self.process.wait(30)
        self._reading.join(30)
        return code

    def predict(self, folder: Path, name: str) -> tuple[threading.Thread, list[int]]:
        """Ask in a thread; returns when the request is worked on."""
        statuses: list[int] = []
        body = {"started": str(folder / f"started-{name}"), "wait": str(folder / "go")}

        def ask() -> None:
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.post(f"{self.address}/predict", json=body, auth=AUTH)
                statuses.append(answer.status_code)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        wait_until(lambda: Path(body["started"]).exists())
        return thread, statuses


@contextlib.contextmanager
def program(folder: Path, **variables: str) -> Iterator[Program]:
    settings = {
        "PORT": "0",
        "MODEL_DIR": str(folder),
        "BASIC_AUTH_USER": AUTH[0],
        "BASIC_AUTH_PASS": AUTH[1],
    }
    environment = {**os.environ, **settings, **variables}
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)], env=environment, stderr=subprocess.PIPE, text=True
    )
    running = Program(process)
    try:
        running.started()
        yield running
    finally:
        process.kill()
        process.wait(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_runs_is_finished_after_the_signal(tmp_path: Path, number: int) -> None:
    with program(tmp_path) as running:
        asking, statuses = running.predict(tmp_path, "a")
        running.process.send_signal(number)
        wait_until(lambda: any(line["message"] == "Shutting down" for line in running.lines))
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{running.address}/health")
        (tmp_path / "go").touch()
        asking.join(20)
        assert statuses == [200]
        assert running.ended() == 0
        assert (tmp_path / f"closed-{running.process.pid}").exists()


def test_a_request_that_never_ends_does_not_keep_the_server(tmp_path: Path) -> None:
    with program(tmp_path, TEST_FINISH_SECONDS="1") as running:
        running.predict(tmp_path, "a")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
        assert any("given up" in line["message"] for line in running.lines)


def test_workers_share_what_they_count_and_end_together(tmp_path: Path) -> None:
    with program(tmp_path, WORKERS="2") as running:
        processes = set()

        def both_answer() -> bool:
            health = requests.get(f"{running.address}/health", timeout=5).json()
            processes.add(health["process"])
            return len(processes) == 2

        wait_until(both_answer)
        (tmp_path / "go").touch()
        for number in range(6):
            running.predict(tmp_path, str(number))[0].join(20)
        text = requests.get(f"{running.address}/metrics", auth=AUTH).text
        assert 'sam_plugins_events_total{event="embedding_hit"} 6.0' in text
        assert 'sam_plugins_request_seconds_count{route="/predict",status="200"} 6.0' in text
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
        for process in processes:
            assert (tmp_path / f"closed-{process}").exists()
        assert not list(tmp_path.glob("metrics-*"))


def test_a_worker_that_is_killed_is_replaced_and_its_queue_forgotten(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with program(tmp_path, WORKERS="2") as running:
        running.predict(tmp_path, "a")[0].join(20)
        body = {"started": str(tmp_path / "b"), "wait": str(tmp_path / "go")}
        killed = requests.post(f"{running.address}/predict", json=body, auth=AUTH).json()["process"]
        os.kill(killed, signal.SIGKILL)
        seen: set[int] = set()

        def replaced() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                seen.add(requests.get(f"{running.address}/health", timeout=5).json()["process"])
            return len(seen - {killed}) == 2

        wait_until(replaced)
        text = requests.get(f"{running.address}/metrics", auth=AUTH).text
        assert 'sam_plugins_events_total{event="embedding_hit"} 2.0' in text
        levels = [line for line in text.splitlines() if line.startswith("sam_plugins_level{")]
        assert sum(float(line.rpartition(" ")[2]) for line in levels) <= 1.0


def test_workers_end_when_the_server_is_killed(tmp_path: Path) -> None:
    with program(tmp_path, WORKERS="2") as running:
        running.started()
        running.process.kill()
        running.process.wait(30)

        def port_is_free() -> bool:
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{running.address}/health", timeout=5)
                return False
            return True

        wait_until(port_is_free)
    with program(tmp_path):  # which removes what the killed one counted
        pass
    with program(tmp_path, WORKERS="2") as again:
        again.process.send_signal(signal.SIGTERM)
        again.ended()
    assert not list(tmp_path.glob("metrics-*"))


def test_the_log_is_lines_of_json_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with program(tmp_path) as running:
        running.predict(tmp_path, "a")[0].join(20)
        running.process.send_signal(signal.SIGTERM)
        running.ended()
        request = next(line for line in running.lines if line["message"] == "request")
        assert (request["route"], request["status"], request["level"]) == ("/predict", 200, "INFO")
        assert AUTH[1] not in json.dumps(running.lines)


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            serve(Settings(port=port, state_folder=tmp_path))


def test_other_machines_are_not_let_in_without_a_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BASIC_AUTH_USER"):
        serve(Settings(host="0.0.0.0", port=0, state_folder=tmp_path))
