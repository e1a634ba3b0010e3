"""Small SQLite files that several threads and processes write, and that survive a kill.

The write-ahead log lets readers go on while one writes. With ``synchronous=FULL`` a transaction
is on the disk before it counts as committed: what is noted here is noted nowhere else (Label Studio
sends a webhook once, and a prediction that was sent must not be sent again), so that even a power
cut may lose nothing that was acknowledged. It costs one flush per transaction, some milliseconds.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from labelstudio_backend.errors import ConfigError

__all__ = ["Database"]

_PATIENCE = 20.0
"""Seconds to wait for another writer."""


class Database:
    """One SQLite file; a transaction is all or nothing.

    Parameters
    ----------
    path
        The file. Its folder is made; it is opened at the first use.
    schema
        The statements that make an empty file one of this kind.
    version
        Of the schema. A file of another version is refused.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self.path = path
        self._schema, self._version = schema, version
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end of the block, undone by an error in it.

        Raises
        ------
        ConfigError
            If the file cannot be opened, written, or is none of this kind.
        """
        with self._lock, self._named():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that change nothing.

        Raises
        ------
        ConfigError
            As `writing`.
        """
        with self._lock, self._named():
            yield self._connection()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of SQLite as sentences about this file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self.path} cannot be used: {error}. See that the disk has room, that the folder "
                "may be written and is not on a network drive; a damaged file can be moved away."
            ) from error

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = self._opened()
        return self._open

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Two processes that turn the log on at the same time would find the file locked.
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_PATIENCE):
                return self._prepared()
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be opened: {error.strerror or error}. Give another folder by "
                "MODEL_DIR, or the right to write to this one."
            ) from error
        except Timeout as error:
            raise ConfigError(
                f"{self.path} is held by another process for more than {_PATIENCE:g} s."
            ) from error

    def _prepared(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found not in (0, self._version):
                raise ConfigError(
                    f"{self.path} was written by another version of sam-plugins (layout {found}, "
                    f"expected {self._version}): move the file away, or use that version."
                )
            if found == 0:
                connection.executescript(
                    f"BEGIN; {self._schema}; PRAGMA user_version={self._version}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
        return connection
