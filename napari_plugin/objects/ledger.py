"""`Ledger`: labels, records and prompts, and their changes as steps that can be undone."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.history import History, Step, Undone
from napari_plugin.objects.numbering import Numbering
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.regions import Slices

__all__ = ["Ledger", "Log"]


class Log(Protocol):
    """What the book writes its changes to: the journal."""

    def bind(self, book: "Ledger") -> None:
        """Learn where the labels and the records are."""

    def write(
        self,
        kind: str,
        regions: Sequence[Slices],
        records: Mapping[int, ObjectRecord | None],
        draft: Any | None = None,
    ) -> bool:
        """Store how these boxes and records are now."""

    def flush(self) -> bool:
        """Put on the disk what is not there yet."""

    def note_about(self, **changes: Any) -> None:
        """Store what is different now: the layer's name, the model, the settings."""

    def note_type(self) -> None:
        """Store everything anew if the labels hold another type now."""


class Ledger:
    """The state of one labels array and the steps that led there.

    Parameters
    ----------
    array
        Integer labels, N-D, 0 for background; anything that NumPy's slices read and write.
    journal
        Where every change is stored before the call returns; None for nowhere.
    max_undo_bytes
        What the history may cost; the oldest steps are forgotten first.
    records, draft
        Of a session that is taken up again.

    Attributes
    ----------
    on_change
        Called with the boxes of the data that changed, after each change.

    Raises
    ------
    LabelsError
        If the array does not hold integers, or is read-only.
    """

    def __init__(
        self,
        array: Any,
        *,
        journal: Log | None = None,
        max_undo_bytes: int = 1 << 28,
        records: Mapping[int, ObjectRecord] = MappingProxyType({}),
        draft: Any | None = None,
    ) -> None:
        self._check_type(array)
        self.array = array
        self.on_change: list[Callable[[tuple[Slices, ...]], None]] = []
        self._records = dict(records)
        self._history = History(max_undo_bytes)
        self._numbers = Numbering(array, self._records)
        self._draft = draft
        self._journal = journal
        if journal is not None:
            journal.bind(self)

    @staticmethod
    def _check_type(array: Any) -> None:
        dtype = getattr(array, "dtype", None)
        if dtype is None:
            raise LabelsError(
                f"Labels must be one array, found a {type(array).__name__} (several resolutions?). "
                "Make a new Labels layer for the image."
            )
        if not np.issubdtype(dtype, np.integer):
            raise LabelsError(f"Labels must be whole numbers, found {dtype}.")
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise LabelsError(
                "The data of this Labels layer are read-only. Duplicate the layer (right-click it) "
                "and work on the copy."
            )

    @property
    def records(self) -> Mapping[int, ObjectRecord]:
        """What is known of each object, by id."""
        return MappingProxyType(self._records)

    @property
    def draft(self) -> Any | None:
        """The prompts that are not accepted yet, as they were last noted (JSON)."""
        return self._draft

    @property
    def journal(self) -> Log | None:
        """Where changes are stored."""
        return self._journal

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history.can_redo

    def rebind(self, array: Any) -> None:
        """Go on with another array of the same shape: the layer's data were replaced."""
        self._check_type(array)
        if tuple(array.shape) != tuple(self.array.shape):
            raise LabelsError(
                f"The labels have the shape {tuple(array.shape)} now and had "
                f"{tuple(self.array.shape)}. Start a new layer for them."
            )
        self.array = array
        self._numbers.rebind(array)
        if self._journal is not None:
            self._journal.note_type()

    def saw(self, value: int) -> None:
        """Learn of a value that somebody else wrote, so that it is not given out."""
        self._numbers.saw(value)

    def note_draft(self, before: Any, after: Any, description: str = "prompt") -> None:
        """A change of the prompts (JSON) as a step that can be undone."""
        self._commit("draft", Step(description, draft=(before, after)))

    def undo(self) -> Undone | None:
        """Take the last step back; None if there is nothing.

        Pixels that no longer hold what the step wrote (a brush, another program) are left alone.
        """
        step = self._history.next_undo()
        if step is None:
            return None
        pixels = step.edit.revert(self.array)
        draft = None if step.draft is None else step.draft[0]
        return self._moved("undo", step, step.before, draft, pixels)

    def redo(self) -> Undone | None:
        """Do the step again that was taken back last; None if there is nothing."""
        step = self._history.next_redo()
        if step is None:
            return None
        pixels = step.edit.reapply(self.array)
        draft = None if step.draft is None else step.draft[1]
        return self._moved("redo", step, step.after, draft, pixels)

    def _moved(
        self,
        kind: str,
        step: Step,
        records: Mapping[int, ObjectRecord | None],
        draft: Any | None,
        pixels: int,
    ) -> Undone:
        self._set(records)
        self._store(kind, step.edit.regions, records, draft)
        return Undone(step.description, draft, step.edit.regions, pixels)

    def _commit(self, kind: str, step: Step) -> None:
        self._history.add(step)
        self._set(step.after)
        draft = None if step.draft is None else step.draft[1]
        self._store(kind, step.edit.regions, step.after, draft)

    def _set(self, records: Mapping[int, ObjectRecord | None]) -> None:
        for number, record in records.items():
            if record is None:
                self._records.pop(number, None)
            else:
                self._records[number] = record

    def _store(
        self,
        kind: str,
        regions: tuple[Slices, ...],
        records: Mapping[int, ObjectRecord | None],
        draft: Any | None,
    ) -> None:
        if draft is not None:
            self._draft = draft
        if self._journal is not None:
            self._journal.write(kind, regions, records, draft)
        if regions:
            for changed in tuple(self.on_change):
                changed(regions)
