"""One process at a time, among all that use a database, where FiftyOne's own writes need it.

FiftyOne writes a dataset's list of fields as a whole: of two processes that declare fields at once,
one loses the other's, and documents that hold a field which is not declared cannot be read.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fiftyone_plugin.errors import RunError

__all__ = ["fields_locked"]

_COLLECTION = "sam_plugins.locks"
_HELD = 10_000
"""Milliseconds after which a holder is taken to have been killed."""

_PATIENCE = 120.0
_BETWEEN = 0.05


@contextmanager
def fields_locked(dataset: Any) -> Iterator[None]:
    """Have a dataset's list of fields to oneself, as it is in the database now.

    Raises
    ------
    RunError
        If others hold it for two minutes.
    """
    locks = dataset._sample_collection.database[_COLLECTION]
    identity, holder = dataset._doc.id, uuid.uuid4().hex
    until = time.monotonic() + _PATIENCE
    while not _taken(locks, identity, holder):
        if time.monotonic() > until:
            raise RunError(
                f"Expected to add fields to the dataset {dataset.name!r}, found that other "
                "processes do so all the time: try again when they are done."
            )
        time.sleep(_BETWEEN)
    try:
        dataset.reload()
        yield
    finally:
        locks.delete_one({"_id": identity, "holder": holder})


def _taken(locks: Any, identity: Any, holder: str) -> bool:
    """Take a lock that nobody holds, or whose holder is gone; by the database's clock."""
    from pymongo.errors import DuplicateKeyError

    take = [{"$set": {"holder": holder, "until": {"$add": ["$$NOW", _HELD]}}}]
    try:
        # Where there is a lock nothing matches, and inserting it again fails.
        locks.update_one({"_id": identity, "holder": {"$exists": False}}, take, upsert=True)
        return True
    except DuplicateKeyError:
        over = {"_id": identity, "$expr": {"$lt": ["$until", "$$NOW"]}}
        return bool(locks.update_one(over, take).modified_count)
