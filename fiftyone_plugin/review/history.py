"""What each reviewer decided, step by step, kept with the dataset in FiftyOne's store.

A step is written before its labels are, so that a program that dies in between leaves a step
without effect, and never a decision that cannot be taken back.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.quality import LabelRef

__all__ = ["History", "State", "Step"]

_STORE = "sam_plugins_review"
_LONGEST_NAME = 100
_LABELS_OF_A_PART = 20_000


class State(NamedTuple):
    """What is said of a label: "accepted", "rejected" or None, by whom, in which step."""

    review: str | None
    reviewer: str | None
    step: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One decision about some labels.

    Parameters
    ----------
    step_id
        Names it; the ids of later steps sort after those of earlier ones.
    verdict
        What was decided.
    before
        What was said of each label before.
    """

    step_id: str
    verdict: str
    before: Mapping[LabelRef, State]


class History:
    """The steps of one reviewer in one field of a dataset.

    Parameters
    ----------
    dataset
        Of FiftyOne.
    label_field
        The field.
    reviewer
        A name, at most 100 characters.

    Raises
    ------
    ReviewError
        If the name is empty or too long.
    """

    def __init__(self, dataset: Any, label_field: str, reviewer: str) -> None:
        from fiftyone.operators.store import ExecutionStore

        if not reviewer.strip() or len(reviewer) > _LONGEST_NAME:
            raise ReviewError(
                f"Expected the reviewer's name, of at most {_LONGEST_NAME} characters, found "
                f"{reviewer[:_LONGEST_NAME]!r}: say who reviews."
            )
        name = f"{_STORE}/{label_field}/{reviewer}"
        self._store = ExecutionStore.create(name, dataset._doc.id)

    def begin(self, verdict: str, before: Mapping[LabelRef, State]) -> Step:
        """Write down a step that is about to be done."""
        step = Step(f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}", verdict, before)
        self._write(step)
        return step

    def correct(self, step: Step, before: Mapping[LabelRef, State]) -> None:
        """Keep only some labels of a step; without any it is struck."""
        if len(before) == len(step.before):
            return
        self.strike(step)
        if before:
            self._write(Step(step.step_id, step.verdict, before))

    def last(self) -> Step | None:
        """The latest step."""
        keys = sorted(self._store.list_keys())
        if not keys:
            return None
        step_id = keys[-1].partition("/")[0]
        before: dict[LabelRef, State] = {}
        verdict = ""
        for key in keys:
            part = self._store.get(key) if key.startswith(step_id) else None
            if part is not None:
                verdict = part["verdict"]
                before.update({LabelRef(*ref): State(*state) for ref, state in part["before"]})
        return Step(step_id, verdict, before)

    def strike(self, step: Step) -> None:
        """Forget a step."""
        for key in self._store.list_keys():
            if key.startswith(step.step_id):
                self._store.delete(key)

    def count(self) -> int:
        """How many steps can be taken back."""
        return len({key.partition("/")[0] for key in self._store.list_keys()})

    def _write(self, step: Step) -> None:
        rows = [[list(ref), list(state)] for ref, state in step.before.items()]
        for start in range(0, len(rows), _LABELS_OF_A_PART):
            part = {"verdict": step.verdict, "before": rows[start : start + _LABELS_OF_A_PART]}
            self._store.set(f"{step.step_id}/{start:09d}", part)
