"""`fiftyone delegated launch` as real processes, to be watched and to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DONE = {"completed", "failed"}


class Launcher:
    """One process that takes up delegated operations, in a process group of its own."""

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        self._log = log.open("ab")
        program = Path(sys.executable).with_name("fiftyone")
        self.process = subprocess.Popen(
            [str(program), "delegated", "launch"],
            env={**variables, "PYTHONUNBUFFERED": "1"},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def family(self) -> list[int]:
        """Process ids of the launcher and of all that it started."""
        import psutil

        if not psutil.pid_exists(self.process.pid):
            return []
        mother = psutil.Process(self.process.pid)
        return [mother.pid, *(child.pid for child in mother.children(recursive=True))]

    def kill(self) -> None:
        """SIGKILL to all of them: nothing of theirs is finished or cleaned up."""
        for pid in self.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(60)
        self._log.close()


@contextmanager
def launchers(count: int, variables: Mapping[str, str], folder: Path) -> Iterator[list[Launcher]]:
    """So many of them until the end of the block."""
    started = [Launcher(variables, folder / f"launcher-{number}.log") for number in range(count)]
    try:
        yield started
    finally:
        for launcher in started:
            if launcher.process.poll() is None:
                launcher.kill()


def states(operations: Sequence[str]) -> list[str]:
    """Where each delegated operation is: "queued", "running", "completed", "failed"."""
    from bson import ObjectId
    from fiftyone.operators.delegated import DelegatedOperationService

    service = DelegatedOperationService()
    return [str(service.get(ObjectId(each)).run_state) for each in operations]


def wait_until(
    there: Callable[[], Any], what: str, seconds: float = 420, every: float = 0.5
) -> None:
    """Ask so many seconds apart until it is there."""
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until, f"{what}: not within {seconds:.0f} s"
        time.sleep(every)
