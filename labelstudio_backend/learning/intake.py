"""What annotators submitted, kept as it arrives by the webhook.

Payloads may come twice, late or in another order: of an annotation the newest version counts, and
one that was deleted stays deleted, since Label Studio gives no number twice. Each annotation
remembers the labelling config it was made with.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelstudio_backend.database import Database
from labelstudio_backend.errors import RequestError
from labelstudio_backend.learning.events import Change, Removal, Saved, read_event, unpack

__all__ = ["Intake", "Submitted"]

_SCHEMA = """
CREATE TABLE configs (digest TEXT PRIMARY KEY, xml TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE annotations (
    annotation INTEGER PRIMARY KEY, task INTEGER NOT NULL, project INTEGER NOT NULL,
    updated INTEGER NOT NULL, usable INTEGER NOT NULL, ground_truth INTEGER NOT NULL,
    data BLOB NOT NULL, result BLOB NOT NULL, config TEXT NOT NULL REFERENCES configs (digest));
CREATE INDEX by_task ON annotations (task, ground_truth, updated);
CREATE TABLE removed_annotations (annotation INTEGER PRIMARY KEY);
CREATE TABLE removed_tasks (task INTEGER PRIMARY KEY);
CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID
"""

_UPSERT = """
INSERT INTO annotations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (annotation) DO UPDATE SET
    task=excluded.task, project=excluded.project, updated=excluded.updated,
    usable=excluded.usable, ground_truth=excluded.ground_truth,
    data=excluded.data, result=excluded.result, config=excluded.config
WHERE excluded.updated > annotations.updated
"""

_CHOSEN = """
SELECT annotation FROM (
    SELECT annotation, project, task, row_number() OVER (
        PARTITION BY task ORDER BY ground_truth DESC, updated DESC, annotation DESC) AS place
    FROM annotations WHERE usable AND (?1 IS NULL OR project = ?1))
WHERE place = 1 ORDER BY project, task
"""

_ROW = """
SELECT annotation, task, project, updated, ground_truth, data, result, xml
FROM annotations JOIN configs ON digest = config WHERE annotation = ?
"""


@dataclass(frozen=True, slots=True)
class Submitted:
    """One task as an annotator left it.

    Parameters
    ----------
    annotation, task, project
        Label Studio's numbers.
    updated
        When, microseconds since 1970.
    ground_truth
        Whether somebody marked it as the truth.
    data
        What the task holds.
    result
        The regions.
    config
        The labelling config that they were made with.
    """

    annotation: int
    task: int
    project: int
    updated: int
    ground_truth: bool
    data: dict[str, Any]
    result: list[dict[str, Any]]
    config: str


class Intake:
    """Submitted annotations in one file, for any number of threads and processes.

    Parameters
    ----------
    folder
        Where ``annotations.sqlite`` lies, or will lie.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / "annotations.sqlite", _SCHEMA, 1)

    def accept(self, event: Mapping[str, Any]) -> None:
        """Take in one webhook payload; when this returns, it is on the disk.

        Parameters
        ----------
        event
            ``{"action": ..., "project": ..., "task": ..., "annotation": ...}``. Actions that
            concern no annotation are counted, and so are events that came without a payload.

        Raises
        ------
        RequestError
            If it is not as Label Studio sends it, or too large; nothing of it is kept.
        ConfigError
            If the file cannot be written.
        """
        action = event.get("action")
        if not isinstance(action, str):
            raise RequestError("A webhook's payload names its 'action'; this one names none.")
        bare = set(event) <= {"action"}
        changes = [] if bare else list(read_event(event))
        with self._database.writing() as connection:
            for change in changes:
                _apply(connection, change)
            known = changes or action == "START_TRAINING"
            name = action if known else f"{action}, without a payload" if bare else "ignored"
            connection.execute(
                "INSERT INTO counts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1",
                (name[:80].encode("utf-8", "replace").decode(),),
            )

    def counts(self) -> dict[str, int]:
        """How many payloads came, by action; those that concern no annotation as "ignored"."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT name, n FROM counts").fetchall())

    def chosen(self, project: int | None = None) -> list[int]:
        """The annotation to learn from of each task, in the order of projects and tasks.

        It is the newest one that is marked as ground truth, or else the newest. Skipped and deleted
        ones are none.
        """
        with self._database.reading() as connection:
            return [number for (number,) in connection.execute(_CHOSEN, (project,))]

    def numbers(self, project: int) -> list[int]:
        """All annotations of a project that are known and not deleted."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT annotation FROM annotations WHERE project = ?", (project,)
            )
            return [number for (number,) in rows]

    def read(self, annotations: list[int]) -> Iterator[Submitted]:
        """The annotations themselves, one at a time; those deleted meanwhile are passed over."""
        for number in annotations:
            with self._database.reading() as connection:
                row = connection.execute(_ROW, (number,)).fetchone()
            if row is not None:
                annotation, task, of_project, updated, truth, data, result, config = row
                yield Submitted(
                    annotation=annotation,
                    task=task,
                    project=of_project,
                    updated=updated,
                    ground_truth=bool(truth),
                    data=unpack(data),
                    result=unpack(result),
                    config=config,
                )

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _apply(connection: sqlite3.Connection, change: Change) -> None:
    if isinstance(change, Removal):
        _remove(connection, change)
        return
    gone = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM removed_annotations WHERE annotation = ?)"
        " OR EXISTS (SELECT 1 FROM removed_tasks WHERE task = ?)",
        (change.annotation, change.task),
    ).fetchone()[0]
    if not gone:
        _save(connection, change)


def _save(connection: sqlite3.Connection, saved: Saved) -> None:
    digest = hashlib.sha256(saved.config.encode()).hexdigest()
    connection.execute("INSERT OR IGNORE INTO configs VALUES (?, ?)", (digest, saved.config))
    numbers = (saved.annotation, saved.task, saved.project, saved.updated)
    flags = (saved.usable, saved.ground_truth)
    connection.execute(_UPSERT, (*numbers, *flags, saved.data, saved.result, digest))


def _remove(connection: sqlite3.Connection, removal: Removal) -> None:
    for table, column, numbers in (
        ("removed_annotations", "annotation", removal.annotations),
        ("removed_tasks", "task", removal.tasks),
    ):
        rows = [(number,) for number in numbers]
        connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", rows)
        connection.executemany(f"DELETE FROM annotations WHERE {column} = ?", rows)
