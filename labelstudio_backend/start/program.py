"""`Program`: a server in a process group of its own, that is waited for and ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from labelstudio_backend.errors import LabelStudioError

__all__ = ["Program", "Server", "free_port"]

_TETHERED = Path(__file__).with_name("tethered.py")
_TAIL = 2000
"""Characters of its log that are shown when it does not start."""


class Program:
    """A server that runs beside this process, and not longer.

    Parameters
    ----------
    name
        For messages.
    python
        The interpreter.
    entry
        ``module:function`` that serves until it is told to end.
    arguments
        Of its command line.
    environment
        All of its variables.
    log
        Where its words go; the file of the run before is replaced.
    """

    def __init__(
        self,
        name: str,
        python: Path,
        entry: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as words:
            self.process = subprocess.Popen(
                [str(python), str(_TETHERED), entry, *arguments],
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=log.parent,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return when it is ready.

        Parameters
        ----------
        ready
            Asked again and again.
        seconds
            How long.

        Raises
        ------
        LabelStudioError
            If it ended, or was not ready in time, with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self.process.poll()
            if code is not None:
                raise LabelStudioError(
                    f"{self.name} ended with {code} before it answered. The end of {self.log}:\n"
                    f"{self._said()}"
                )
            if time.monotonic() > deadline:
                raise LabelStudioError(
                    f"{self.name} did not answer within {seconds:.0f} seconds. The end of "
                    f"{self.log}:\n{self._said()}"
                )
            time.sleep(0.1)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def stop(self, seconds: float = 40.0) -> None:
        """End it and what it started: asked first, killed when the seconds are over."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._let_go()

    def kill(self) -> None:
        """End it and what it started, at once."""
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self.process.wait()
        self._let_go()

    def _let_go(self) -> None:
        tether: IO[bytes] | None = self.process.stdin
        if tether is not None:
            with contextlib.suppress(OSError):
                tether.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self.process.terminate()
            elif self.process.poll() is None:
                os.killpg(self.process.pid, number)

    def _said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-_TAIL:].strip()


class Server:
    """What is started as a program, waited for, and ended."""

    def __init__(self) -> None:
        self._program: Program | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._program is not None and self._program.runs

    def stop(self) -> None:
        """Let it finish what runs, and end it; what it stored stays."""
        if self._program is not None:
            self._program.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._program is not None:
            self._program.kill()

    def _started(self, program: Program, ready: Callable[[], bool], seconds: float) -> None:
        self._program = program
        try:
            program.wait_until(ready, seconds)
        except BaseException:
            program.kill()
            raise


def free_port(wanted: int | None = None) -> int:
    """A port of this machine that nothing listens on: the wanted one, or else any."""
    for port in (wanted, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LabelStudioError("No port of this machine is free: end programs that listen.")
