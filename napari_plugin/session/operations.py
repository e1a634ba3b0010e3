"""`OperationLog`: what was done, in the words of a provenance document, undone steps left out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.export import (
    Operation,
    Provenance,
    accept_operation,
    replay,
    rest_operation,
)
from napari_plugin.objects import Acceptance, ObjectRecord
from napari_plugin.values import Plane, PlaneMask, PromptSet, plane_slices

__all__ = ["OperationLog"]


class OperationLog:
    """Operations on one Labels layer, step by step as its book has them.

    Parameters
    ----------
    shape
        Of the labels.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape = tuple(shape)
        self._steps: list[tuple[Operation, ...]] = []
        self._undone: list[tuple[Operation, ...]] = []
        self._masks: dict[tuple[Plane, str], PlaneMask] = {}

    def add(self, *operations: Operation) -> None:
        """A step of the book: of one operation, of several, or of none that matters here."""
        self._undone.clear()
        self._steps.append(operations)

    def undo(self) -> None:
        """The last step was undone."""
        if self._steps:
            self._undone.append(self._steps.pop())

    def redo(self) -> None:
        """The step that was undone last was done again."""
        if self._undone:
            self._steps.append(self._undone.pop())

    def accepted(self, identity: int, item: Acceptance, policy: str) -> Operation:
        """The operation for an object that was kept; what prompts cannot make again as pixels."""
        parts: list[tuple[Plane, PromptSet] | PlaneMask] = []
        for mask in item.masks:
            said = item.prompts.get(mask.plane)
            if said:
                parts.append((mask.plane, said))
                self._masks[mask.plane, _key(said)] = mask
            else:
                parts.append(mask)
        return accept_operation(identity, parts, self._shape, policy=policy, origin=item.origin)

    def begin_with(self, labels: Any, records: Mapping[int, ObjectRecord]) -> None:
        """Take the objects of a session that is taken up again for the beginning, as pixels.

        What the model said to their prompts is not known any more: others and the brush may have
        changed it since.
        """
        for identity, record in sorted(records.items()):
            masks = []
            for plane in record.prompts:
                found = np.asarray(labels[plane_slices(plane)]) == identity
                if plane.rows > plane.columns:
                    found = found.T
                if found.any():
                    height, width = found.shape
                    masks.append(PlaneMask(plane, (0, 0, width, height), found))
            if masks:
                item = Acceptance(tuple(masks), origin=record.origin)
                self._steps.append((self.accepted(identity, item, "keep"),))

    def operations(self, document: Provenance, labels: NDArray[Any]) -> tuple[Operation, ...]:
        """All operations, and one more that paints what they do not explain.

        Parameters
        ----------
        document
            Everything but the operations.
        labels
            What the layer holds now: brush strokes and other programs' objects are in there.
        """
        done = tuple(operation for step in self._steps for operation in step)
        made: Any = None
        for event in replay(replace(document, operations=done), self._remembered):
            if isinstance(event, np.ndarray):
                made = event
        if made is None:
            made = np.zeros(self._shape, labels.dtype)
        rest = rest_operation(made, labels, document.axes)
        return done if rest is None else (*done, rest)

    def _remembered(self, plane: Plane, said: PromptSet) -> PlaneMask:
        return self._masks[plane, _key(said)]


def _key(said: PromptSet) -> str:
    return repr(said.to_json())
