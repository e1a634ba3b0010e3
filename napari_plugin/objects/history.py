"""`History`: steps that can be undone and redone, bounded in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_plugin.objects.edit import Edit
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.regions import Slices

__all__ = ["History", "Step", "Undone"]


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a user.

    Parameters
    ----------
    description
        What it was, for the status bar: "accept 3 objects".
    edit
        The pixels it wrote.
    before, after
        The records it changed, by id; None for an object that is not there.
    draft
        The prompts (JSON) before it and after it; None if it left them alone.
    """

    description: str
    edit: Edit = field(default_factory=Edit)
    before: Mapping[int, ObjectRecord | None] = field(default_factory=dict)
    after: Mapping[int, ObjectRecord | None] = field(default_factory=dict)
    draft: tuple[Any, Any] | None = None

    @property
    def nbytes(self) -> int:
        """What it costs to remember, about."""
        records = (*self.before.values(), *self.after.values())
        owned = sum(len(r.packed) + 200 for record in records if record for r in record.owned)
        said = sum(len(record.prompts) * 500 + 500 for record in records if record)
        return self.edit.nbytes + owned + said + (len(repr(self.draft)) if self.draft else 0)


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo or a redo changed.

    Parameters
    ----------
    description
        Of the action.
    draft
        The prompts to show now, as they were handed in; None if they stay.
    regions
        The boxes of the data that may look different.
    pixels
        How many pixels changed.
    """

    description: str
    draft: Any | None
    regions: tuple[Slices, ...] = ()
    pixels: int = 0


class History:
    """Two stacks of steps.

    Parameters
    ----------
    max_bytes
        What both may cost; the oldest steps are forgotten first, never the newest.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._done: list[tuple[Step, int]] = []
        self._undone: list[tuple[Step, int]] = []

    @property
    def nbytes(self) -> int:
        """What all steps cost to remember."""
        return sum(size for _, size in (*self._done, *self._undone))

    def add(self, step: Step) -> None:
        """A new action; what was undone before it cannot be redone any more."""
        self._undone.clear()
        self._done.append((step, step.nbytes))
        total = self.nbytes
        while total > self._max_bytes and len(self._done) > 1:
            total -= self._done.pop(0)[1]

    def next_undo(self) -> Step | None:
        """The step to take back, which moves to those that can be redone."""
        return self._move(self._done, self._undone)

    def next_redo(self) -> Step | None:
        """The step to do again, which moves to those that can be undone."""
        return self._move(self._undone, self._done)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._undone)

    @staticmethod
    def _move(source: list[tuple[Step, int]], target: list[tuple[Step, int]]) -> Step | None:
        if not source:
            return None
        target.append(source.pop())
        return target[-1][0]
