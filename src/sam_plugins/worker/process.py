"""One run of the process that a model lives in, seen from the process that asks."""

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

from sam_plugins.errors import SamPluginsError, WorkerError
from sam_plugins.ports import SegmenterInfo
from sam_plugins.worker.references import SentEmbeddings
from sam_plugins.worker.status import WorkerStatus
from sam_plugins.worker.wire import Wire

__all__ = ["Answers", "ModelProcess"]

SECONDS_TO_END = 1.0
"""Between asking the process to end and ending it."""

LINES_KEPT = 40

Answers = queue.SimpleQueue[tuple[Any, ...]]
"""(verb, *values) for one request, in order; "ended" with an error where the process ended."""

_log = logging.getLogger(__name__)


class ModelProcess:
    """A child process, what waits for its answers, and how it ended.

    Parameters
    ----------
    target
        "module:function", called in the child to open the model.
    arguments
        Its keyword arguments.
    threads
        For computing.
    on_status
        Called from a thread of this class.

    Raises
    ------
    WorkerError
        If the process cannot be started.
    """

    def __init__(
        self,
        target: str,
        arguments: dict[str, Any],
        threads: int,
        on_status: Callable[[WorkerStatus], None],
    ) -> None:
        self.sent = SentEmbeddings()
        self._on_status = on_status
        self._changed = threading.Condition()
        self._waiting: dict[int, Answers] = {}
        self._numbers = count()
        self._info: SegmenterInfo | None = None
        self._error: SamPluginsError | None = None
        self._failed = False
        self._closing = False
        self._owner = os.getpid()
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._process = _started(threads)
        self._wire = Wire(
            cast("BinaryIO", self._process.stdout), cast("BinaryIO", self._process.stdin)
        )
        self._readers = [
            threading.Thread(target=work, name="sam-plugins worker", daemon=True)
            for work in (self._receive, self._read_lines)
        ]
        for reader in self._readers:
            reader.start()
        with contextlib.suppress(OSError):  # how it ended is told by `_receive`
            self._wire.send(("open", target, [path for path in sys.path if path], arguments))

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it ended and may be started again."""
        return self._error is not None and not self._failed

    def wait_ready(self, timeout: float | None) -> SegmenterInfo:
        """Wait until the model answers; raises what went wrong, or TimeoutError."""
        with self._changed:
            self._changed.wait_for(lambda: self._info is not None or self._error, timeout)
            if self._error is not None:
                raise self._error
            if self._info is None:
                raise TimeoutError(f"The model was not ready within {timeout} seconds.")
            return self._info

    def ask(self, verb: str, *message: Any) -> tuple[int, Answers]:
        """Send a request; its number, and where its answers arrive."""
        answers: Answers = queue.SimpleQueue()
        with self._changed:
            if self._error is not None:
                raise self._error
            number = next(self._numbers)
            self._waiting[number] = answers
        self.tell(verb, number, *message)
        return number, answers

    def tell(self, verb: str, number: int, *message: Any) -> None:
        """Send something about a request; where the process ended its answers say so."""
        with contextlib.suppress(OSError):
            self._wire.send((verb, number, *message))

    def forget(self, number: int) -> None:
        """Take no more answers to a request."""
        with self._changed:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """End it, also in the middle of work, and wait until it is gone."""
        if os.getpid() != self._owner:  # a fork that exits must not end the model of the other
            return
        self._closing = True
        with contextlib.suppress(OSError):
            self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
        with contextlib.suppress(OSError):
            self._wire.close_outgoing()
        for reader in self._readers:
            if reader is not threading.current_thread():
                reader.join(SECONDS_TO_END)

    def _receive(self) -> None:
        try:
            while True:
                verb, *rest = self._wire.receive()
                if verb == "status":
                    self._take_status(rest[0])
                elif verb == "failed":
                    self._end(rest[0].error(), failed=True)
                else:
                    self._pass_on(rest[0], (verb, *rest[1:]))
        except (EOFError, OSError):
            pass
        except Exception:
            _log.exception("What the model's process sent was not understood")
            self._process.kill()
        code = self._process.wait()
        self._wire.close_incoming()
        with contextlib.suppress(OSError):
            self._wire.close_outgoing()
        self._end(self._how_it_ended(code), failed=False)

    def _take_status(self, status: WorkerStatus) -> None:
        with self._changed:
            if status.info is not None:
                self._info = status.info
                self._changed.notify_all()
        self._report(status)

    def _pass_on(self, number: int, answer: tuple[Any, ...]) -> None:
        with self._changed:
            final = answer[0] in ("result", "error", "end", "unknown")
            waiting = self._waiting.pop(number, None) if final else self._waiting.get(number)
        if waiting is not None:
            waiting.put(answer)

    def _end(self, error: SamPluginsError, failed: bool) -> None:
        """Let everybody who waits know."""
        with self._changed:
            if self._error is not None:
                return
            self._error, self._failed = error, failed
            waiting, self._waiting = list(self._waiting.values()), {}
            self._changed.notify_all()
        for answers in waiting:
            answers.put(("ended", error))
        self._report(WorkerStatus(phase="failed" if failed else "stopped", message=str(error)))

    def _how_it_ended(self, code: int) -> WorkerError:
        if self._closing:
            return WorkerError("The model was closed: open it again to ask it something.")
        self._readers[1].join(SECONDS_TO_END)
        said = "\n".join(self._lines)
        _log.error("The model's process ended with code %s; it said:\n%s", code, said)
        last = f" It said last: {self._lines[-1]!r}." if self._lines else ""
        return WorkerError(
            f"The model's process ended unexpectedly (exit code {code}), perhaps for lack of "
            f"memory.{last} It is started again at the next request."
        )

    def _report(self, status: WorkerStatus) -> None:
        try:
            self._on_status(status)
        except Exception:
            _log.exception("Whoever follows the model's status failed")

    def _read_lines(self) -> None:
        """What libraries print; read always, so that the child never waits for it."""
        stream = cast("BinaryIO", self._process.stderr)
        with stream:
            for line in iter(lambda: stream.readline(4096), b""):
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._lines.append(text)
                    _log.debug("The model's process says: %s", text)


def _started(threads: int) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    environment.setdefault("SAM_PLUGINS_THREADS", str(threads))
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["PYTHONUNBUFFERED"] = "1"
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NO_WINDOW
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "sam_plugins.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            creationflags=flags,
        )
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"Expected to start a process for the model with {sys.executable!r}, found: {error}. "
            "Check that this Python can be started, and that there is memory left."
        ) from error
