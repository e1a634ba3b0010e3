"""What became of each task, on the disk: what lets a killed run go on with nothing sent twice.

A task is "sending" from before its prediction leaves until Label Studio has answered. Whoever finds
a task in that state cannot know whether the prediction arrived, and asks Label Studio first.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from labelstudio_backend.database import Database

__all__ = ["Journal", "Noted", "RunKey", "TaskState"]

TaskState = Literal["todo", "sending", "done", "failed", "empty"]

_SCHEMA = """
CREATE TABLE runs (run TEXT PRIMARY KEY, what TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    run TEXT NOT NULL, task INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (run, task)) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class RunKey:
    """What makes two runs the same run.

    Parameters
    ----------
    url, project
        Of Label Studio.
    model_version
        What the predictions carry.
    mode, label
        As they were asked for; None where the labelling config decides.
    config
        The labelling config.
    """

    url: str
    project: int
    model_version: str
    mode: str | None
    label: str | None
    config: str

    @property
    def digest(self) -> str:
        """A short name of it."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Noted:
    """What the journal says of a task.

    Parameters
    ----------
    state
        "todo" if it says nothing.
    reason
        Why it failed.
    age
        Seconds since then.
    """

    state: TaskState
    reason: str = ""
    age: float = 0.0


class Journal:
    """The states of one run's tasks, for all its threads.

    Parameters
    ----------
    folder
        Where ``prelabel.sqlite`` lies, or will lie; shared by all runs.
    key
        Which run.
    """

    def __init__(self, folder: Path, key: RunKey) -> None:
        self._database = Database(folder / "prelabel.sqlite", _SCHEMA, 1)
        self._key, self._run = key, key.digest

    def read(self, task: int) -> Noted:
        """What is known of a task.

        Raises
        ------
        ConfigError
            If the file cannot be read.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT state, reason, at FROM tasks WHERE run = ? AND task = ?", (self._run, task)
            ).fetchone()
        if row is None:
            return Noted("todo")
        return Noted(row[0], row[1], max(0.0, time.time() - row[2]))

    def write(self, task: int, state: TaskState, reason: str = "") -> None:
        """Note a task's state; when this returns, it is on the disk.

        Raises
        ------
        ConfigError
            If the file cannot be written.
        """
        what = asdict(self._key) | {"config": hashlib.sha256(self._key.config.encode()).hexdigest()}
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?)", (self._run, json.dumps(what))
            )
            connection.execute(
                "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?)",
                (self._run, task, state, reason[:2000], time.time()),
            )

    def count(self) -> dict[str, int]:
        """How many tasks are in each state."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT state, count(*) FROM tasks WHERE run = ? GROUP BY state", (self._run,)
            )
            return dict(rows.fetchall())

    def close(self) -> None:
        """Close the file."""
        self._database.close()
