"""A project, task by task: computed, sent and noted, several at a time.

Each worker takes one task through all its steps, so that pictures are read and predictions sent by
some while the model computes for another; memory holds as many tasks as there are workers, and one
page of Label Studio's list.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Literal

from labelstudio_backend.errors import AddressError, BusyError, LabelStudioError
from labelstudio_backend.prelabel.journal import Journal
from labelstudio_backend.prelabel.sending import ClientPort, Sender, StoppedError
from sam_plugins.errors import SamPluginsError

__all__ = ["Annotate", "Outcome", "Plan", "Prelabelling", "Summary"]

Annotate = Callable[[Mapping[str, Any]], tuple[list[dict[str, Any]], float | None]]
"""A task to its regions and their score; no regions if nothing was found."""

_PAGE = 25
"""Tasks per request: each may bring megabytes of annotations."""

_REFUSED = (401, 403)
_OUTAGE = 5
"""Tasks that fail in a row because of Label Studio, before it is given up."""

_BUSY_TRIES = 20

State = Literal["done", "empty", "failed", "skipped", "empty before", "failed before", "left"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Parameters
    ----------
    project
        Label Studio's number.
    model_version
        What the predictions carry; tasks that have one with it are skipped.
    parallel
        Tasks at the same time.
    limit
        Compute no more tasks than this; None for all.
    retry_failed
        Try tasks again that failed in a former run.
    again
        Compute tasks again in which nothing was found.
    dry_run
        Only tell which tasks would be computed: they are "left".
    """

    project: int
    model_version: str
    parallel: int = 4
    limit: int | None = None
    retry_failed: bool = False
    again: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    task
        Label Studio's number.
    state
        "done": a prediction was sent. "empty": nothing was found, and nothing was sent. "skipped":
        it has a prediction already. "left": not done in this run. "... before": in a former one.
    reason
        Why it failed.
    """

    task: int
    state: State
    reason: str = ""


@dataclass(slots=True)
class Summary:
    """How a run went.

    Parameters
    ----------
    counts
        Tasks by state.
    failures
        The first ten that failed.
    reasons
        How often each reason was met.
    stopped
        Whether it was stopped before its end.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    stopped: bool = False

    def add(self, outcome: Outcome) -> None:
        """Count a task."""
        self.counts[outcome.state] += 1
        if outcome.state in ("failed", "failed before"):
            self.reasons[outcome.reason] += 1
            if len(self.failures) < 10:
                self.failures.append(outcome)


class Prelabelling:
    """One run over one project.

    Parameters
    ----------
    plan
        What to do.
    client
        Of Label Studio.
    journal
        What former runs did.
    annotate
        Computes a task; called by several threads. What it raises fails the task only.
    sender
        Sends predictions; None for one with the usual patience.
    """

    def __init__(
        self,
        plan: Plan,
        client: ClientPort,
        journal: Journal,
        annotate: Annotate,
        *,
        sender: Sender | None = None,
    ) -> None:
        self._plan, self._client, self._journal = plan, client, journal
        self._annotate = annotate
        self._stop = threading.Event()
        self._sender = sender or Sender(client, plan.model_version, wait=self._stop.wait)
        self._lock = threading.Lock()
        self._in_a_row = 0
        self.summary = Summary()
        """How it went so far; filled by `run`, also where that raises."""

    def stop(self) -> None:
        """End the run after the tasks that are being sent."""
        self._stop.set()

    def stopping(self) -> bool:
        """Whether the run is to end."""
        return self._stop.is_set()

    def run(self, tell: Callable[[Outcome], None] = lambda outcome: None) -> Summary:
        """Go through the project; Ctrl-C ends it after the tasks that are being sent.

        Parameters
        ----------
        tell
            Told about each task, in this thread.

        Raises
        ------
        LabelStudioError
            If Label Studio cannot be reached or refuses everything. What was done is noted, and the
            next run goes on.
        ConfigError
            If the journal cannot be written.
        """
        summary = self.summary

        def note(futures: set[Future[Outcome]]) -> None:
            for future in futures:
                outcome = future.result()
                summary.add(outcome)
                tell(outcome)

        running: set[Future[Outcome]] = set()
        with ThreadPoolExecutor(self._plan.parallel, "prelabel") as pool:
            try:
                begun = 0
                for task in self._client.tasks(self._plan.project, page_size=_PAGE):
                    if self.stopping():
                        break
                    outcome = self._known(task)
                    if outcome is None and begun == self._plan.limit:
                        break
                    begun += outcome is None
                    if outcome is None and self._plan.dry_run:
                        outcome = Outcome(task["id"], "left")
                    if outcome is not None:
                        summary.add(outcome)
                        tell(outcome)
                        continue
                    running.add(pool.submit(self._one, task))
                    if len(running) >= self._plan.parallel:
                        ended, running = wait(running, return_when=FIRST_COMPLETED)
                        note(ended)
                while running:
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    note(ended)
            except KeyboardInterrupt:
                self.stop()
                note(wait(running).done)
            finally:
                self._stop_if_unfinished(running)
        summary.stopped = self.stopping()
        return summary

    def _stop_if_unfinished(self, running: set[Future[Outcome]]) -> None:
        """After an error: let the others end early, and none begin."""
        if any(not future.done() for future in running):
            self.stop()

    def _known(self, task: Mapping[str, Any]) -> Outcome | None:
        """What is to be said of a task without computing it; None if it is to be computed."""
        number, version = int(task["id"]), self._plan.model_version
        noted = self._journal.read(number)
        if any(each.get("model_version") == version for each in task.get("predictions") or ()):
            if noted.state not in ("done", "todo") and not self._plan.dry_run:
                self._journal.write(number, "done")
            return Outcome(number, "skipped")
        same = noted.reason == _fingerprint(task)
        if noted.state == "empty" and same and not self._plan.again:
            return Outcome(number, "empty before")
        if noted.state == "failed" and not self._plan.retry_failed:
            return Outcome(number, "failed before", noted.reason)
        return None

    def _one(self, task: Mapping[str, Any]) -> Outcome:
        number = int(task["id"])
        try:
            if self._sent_before(number):
                self._journal.write(number, "done")
                return Outcome(number, "skipped")
            regions, score = self._computed(task)
            # What an interrupted computation found is not what the task holds.
            if self.stopping():
                return Outcome(number, "left")
            if not regions:
                self._journal.write(number, "empty", _fingerprint(task))
                return Outcome(number, "empty")
        except StoppedError:
            return Outcome(number, "left")
        except LabelStudioError as error:
            return self._unsent(number, error)
        except AddressError as error:
            return self._without_picture(number, error)
        except Exception as error:
            if self.stopping():
                return Outcome(number, "left")
            return self._failed(number, _reason(error))
        self._journal.write(number, "sending")
        try:
            self._sender.send(number, regions, score)
        except StoppedError:
            return Outcome(number, "left")
        except LabelStudioError as error:
            return self._unsent(number, error)
        self._journal.write(number, "done")
        with self._lock:
            self._in_a_row = 0
        return Outcome(number, "done")

    def _sent_before(self, number: int) -> bool:
        """Whether a run that was killed while it sent a prediction had sent it after all."""
        noted = self._journal.read(number)
        if noted.state != "sending":
            return False
        if noted.age > self._sender.patience:
            return self._sender.is_there(number)
        return self._sender.arrived(number)

    def _computed(self, task: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float | None]:
        for _ in range(_BUSY_TRIES):
            if self.stopping():
                raise StoppedError
            try:
                return self._annotate(task)
            except BusyError as error:
                busy = error
                self._stop.wait(error.retry_after)
        raise busy

    def _unsent(self, number: int, error: LabelStudioError) -> Outcome:
        """Note a task that Label Studio would not take; give up if that is not the task's fault."""
        with self._lock:
            self._in_a_row += 1
            outage = self._in_a_row >= _OUTAGE
        if error.status in _REFUSED:
            self._journal.write(number, "todo")
            raise error
        if outage:
            raise error
        if error.status is None:
            return Outcome(number, "left", str(error))
        return self._failed(number, str(error))

    def _without_picture(self, number: int, error: AddressError) -> Outcome:
        """Fail a task without its picture, unless Label Studio itself is not there."""
        try:
            self._sender.is_there(number)
        except LabelStudioError as unreachable:
            return self._unsent(number, unreachable)
        return self._failed(number, str(error))

    def _failed(self, number: int, reason: str) -> Outcome:
        self._journal.write(number, "failed", reason)
        return Outcome(number, "failed", reason)


def _fingerprint(task: Mapping[str, Any]) -> str:
    """What a task holds: one in which nothing was found may have got prompts since."""
    parts = [task.get(name) for name in ("data", "annotations", "predictions")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, SamPluginsError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"
