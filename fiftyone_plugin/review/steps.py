"""What was there before each mask of a sample that people asked for, step by step.

A step is written before the label is, and each has a record of its own in FiftyOne's store: two
curators of one sample do not lose each other's.
"""

import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from fiftyone_plugin.fields import REPROMPT_STORE

__all__ = ["MOST_KEPT", "Step", "Steps"]

MOST_KEPT = 20
"""Former labels of one sample that can be gone back to."""


@dataclass(frozen=True, slots=True)
class Step:
    """A label as it was before it got a mask.

    Parameters
    ----------
    field, label_id
        Which label.
    former
        As JSON of FiftyOne; None where the label was added.
    written
        A hash of the box and mask that it got; "" where an old record does not know.
    key
        Names the step; the keys of later steps sort after those of earlier ones. "" in a record of
        the time when all steps of a sample had one.
    """

    field: str
    label_id: str
    former: str | None
    written: str
    key: str = ""


class Steps:
    """The steps of one sample, kept with its dataset.

    Parameters
    ----------
    dataset
        A `fiftyone.Dataset`.
    sample_id
        Of one of its samples.
    """

    def __init__(self, dataset: Any, sample_id: str) -> None:
        from fiftyone.operators.store import ExecutionStore

        self._sample_id = sample_id
        self._store = ExecutionStore.create(f"{REPROMPT_STORE}/{sample_id}", dataset._doc.id)
        self._old = ExecutionStore.create(REPROMPT_STORE, dataset._doc.id)

    def begin(self, field: str, label_id: str, former: str | None, written: str) -> Step:
        """Write down a step that is about to be done; the oldest is forgotten for it."""
        key = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}"
        step = Step(field, label_id, former, written, key)
        kept = asdict(step)
        del kept["key"]
        self._store.set(key, {"kept": [kept]})
        for _ in range(self.count - MOST_KEPT):
            self._strike_oldest()
        return step

    def last(self) -> Step | None:
        """The latest step."""
        for key in reversed(self._keys()):
            if (record := self._store.get(key)) is not None:
                return _read(record["kept"][0], key)
        old = self._old_ones()
        return _read(old[-1], "") if old else None

    def strike(self, step: Step) -> None:
        """Forget a step."""
        if step.key:
            self._store.delete(step.key)
        else:
            left = [one for one in self._old_ones() if _read(one, "") != step]
            self._old.set(self._sample_id, {"kept": left})

    @property
    def count(self) -> int:
        """How many steps can be taken back."""
        return len(self._old_ones()) + len(self._keys())

    def _strike_oldest(self) -> None:
        if old := self._old_ones():
            self.strike(_read(old[0], ""))
        elif keys := self._keys():
            self._store.delete(keys[0])

    def _keys(self) -> list[str]:
        return sorted(self._store.list_keys())

    def _old_ones(self) -> list[dict[str, Any]]:
        value = self._old.get(self._sample_id) or {}
        return list(value.get("kept", []))


def _read(kept: dict[str, Any], key: str) -> Step:
    return Step(kept["field"], kept["label_id"], kept["former"], kept.get("written", ""), key)
