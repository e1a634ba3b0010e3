"""`Book`: the objects of a labels array, and every change of them as a step that can be undone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_plugin.objects import finding
from napari_plugin.objects.accepting import (
    Acceptance,
    Accepted,
    check_mask,
    write_object,
)
from napari_plugin.objects.edit import Edit, Patch, write
from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.history import Step
from napari_plugin.objects.ledger import Ledger
from napari_plugin.objects.parting import part
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.regions import (
    Region,
    holds_any,
    plane_box,
    without,
)
from napari_plugin.values import POLICIES, Plane, PlaneMask, PromptSet

__all__ = ["Book"]


class Book(Ledger):
    """The objects of one labels array; made as `Ledger` says."""

    def next_id(self) -> int:
        """A value that no pixel holds and that this session has not given out.

        Raises
        ------
        LabelsError
            If the type of the labels has no number left.
        """
        self._numbers.refresh()
        return self._numbers.next()

    def accept(
        self,
        item: Acceptance,
        *,
        policy: str = "keep",
        draft: tuple[Any, Any] | None = None,
    ) -> Accepted:
        """Write one object; see `accept_many`."""
        return self.accept_many([item], policy=policy, draft=draft)[0]

    def accept_many(
        self,
        items: Sequence[Acceptance],
        *,
        policy: str = "keep",
        draft: tuple[Any, Any] | None = None,
    ) -> list[Accepted]:
        """Write objects, as one step of the history.

        Parameters
        ----------
        items
            In this order: under "keep", the first holds what two of them cover.
        policy
            "keep": objects that are there keep their pixels. "overwrite": the new object takes
            them.
        draft
            The prompts (JSON) before and after: undo gives the first back, redo the second.

        Returns
        -------
        accepted
            One for each item. If no item was left a pixel, all have the id 0, the history has no
            new step, and the prompts stay as they were before.

        Raises
        ------
        LabelsError
            If a mask does not fit the labels, or no number is left: then nothing was written.
        """
        if policy not in POLICIES:
            raise LabelsError(f"The overlap policy must be {_either(POLICIES)}, found {policy!r}.")
        for item in items:
            for mask in item.masks:
                check_mask(mask, tuple(self.array.shape))
            if item.object_id is not None:
                self._numbers.check(item.object_id)
        self._numbers.refresh()
        patches: list[Patch] = []
        before: dict[int, ObjectRecord | None] = {}
        after: dict[int, ObjectRecord | None] = {}
        answers = []
        try:
            for item in items:
                number = self._numbers.take() if item.object_id is None else item.object_id
                known = after.get(number, self._records.get(number))
                new, record, accepted = write_object(
                    self.array, item, number, known, POLICIES[policy].takes
                )
                answers.append(accepted)
                patches += new
                if record is not None:
                    before.setdefault(number, self._records.get(number))
                    after[number] = record
                    self._numbers.use(number)
        except Exception:
            Edit.of(patches).revert(self.array)
            raise
        if after:
            what = f"accept object {next(iter(after), 0)}"
            if len(after) != 1:
                what = f"accept {len(after)} objects"
            self._commit("accept", Step(what, Edit.of(patches), before, after, draft))
        return answers

    def delete(self, object_id: int) -> int:
        """Make every pixel of an object background, painted ones included; how many there were.

        Raises
        ------
        LabelsError
            If no pixel holds the number.
        """
        edit, count = self._recolour(object_id, 0)
        before = {object_id: self._records.get(object_id)}
        self._commit("delete", Step(f"delete object {object_id}", edit, before, {object_id: None}))
        return count

    def merge(self, ids: Sequence[int], *, draft: tuple[Any, Any] | None = None) -> int:
        """Make one object of several.

        Parameters
        ----------
        ids
            At least two.
        draft
            As in `accept_many`.

        Returns
        -------
        kept
            The first of the numbers: the object is opened again with its mask as the prompt.
        """
        numbers = list(dict.fromkeys(ids))
        if len(numbers) < 2:
            raise LabelsError("Choose at least two objects to merge.")
        for number in numbers:
            self._numbers.check(number)
            if not holds_any(self.array, number):
                raise LabelsError(f"There is no object {number} in the Labels layer.")
        kept, *others = numbers
        known = {number: self._records.get(number) for number in numbers}
        edits = [self._recolour(number, kept)[0] for number in others]
        owned = tuple(region for record in known.values() if record for region in record.owned)
        record = ObjectRecord(kept, origin="merged", owned=owned)
        after: dict[int, ObjectRecord | None] = {**dict.fromkeys(others), kept: record}
        edit = Edit(tuple(patch for one in edits for patch in one.patches))
        self._commit("merge", Step(f"merge {len(numbers)} objects", edit, known, after, draft))
        return kept

    def split(
        self,
        object_id: int,
        parts: Sequence[Sequence[PlaneMask]] | None = None,
        *,
        line: tuple[Plane, Sequence[tuple[float, float]]] | None = None,
        draft: tuple[Any, Any] | None = None,
    ) -> list[int]:
        """Make several objects of one.

        Parameters
        ----------
        object_id
            What to split; the largest part, or what `parts` leaves, keeps the number.
        parts
            The pixels of each new object; by default those that are not connected.
        line
            Where to cut on one plane: (x, y) in pixels of the plane.
        draft
            As in `accept_many`.

        Returns
        -------
        ids
            Of all parts, `object_id` first.

        Raises
        ------
        LabelsError
            If there is no such object or there is nothing to split.
        """
        self._numbers.check(object_id)
        if parts is not None:
            for masks in parts:
                for mask in masks:
                    check_mask(mask, tuple(self.array.shape))
            groups = [
                [Region.of(*plane_box(m.plane, m.box, m.crop)) for m in masks] for masks in parts
            ]
        elif line is not None:
            groups = [[part] for part in finding.cut(self.array, object_id, *line)[1:]]
        else:
            groups = [[part] for part in finding.components(self.array, object_id)[1:]]
        known = self._records.get(object_id)
        self._numbers.refresh()
        edit, after = part(self.array, object_id, groups, known, self._numbers.take)
        before: dict[int, ObjectRecord | None] = {**dict.fromkeys(after), object_id: known}
        what = f"split object {object_id} into {len(after)}"
        self._commit("split", Step(what, edit, before, after, draft))
        return [object_id, *(number for number in after if number != object_id)]

    def relabel(self, old: int, new: int | None = None) -> int:
        """Give an object another number, the next free one by default; the new number."""
        if new is not None:
            self._numbers.check(new)
            if new in self._records or holds_any(self.array, new):
                raise LabelsError(f"Number {new} is taken. Merge the objects or choose another.")
        known = self._records.get(old)
        if not holds_any(self.array, old):
            raise LabelsError(f"There is no object {old} in the Labels layer.")
        self._numbers.refresh()
        number = self._numbers.take() if new is None else new
        edit, _ = self._recolour(old, number)
        self._numbers.use(number)
        moved = replace(known, id=number) if known else None
        step = Step(
            f"number object {old} as {number}",
            edit,
            {old: known, number: None},
            {old: None, number: moved},
        )
        self._commit("relabel", step)
        return number

    def _recolour(self, old: int, new: int) -> tuple[Edit, int]:
        self._numbers.check(old)
        # Found before anything is written: the blocks are read one by one.
        found = [Region.of(where, mask) for where, mask in finding.pixels_of(self.array, old)]
        if not found:
            raise LabelsError(f"There is no object {old} in the Labels layer.")
        written = [write(self.array, region.slices, region.mask(), new) for region in found]
        return Edit.of([patch for patch, _ in written]), sum(count for _, count in written)

    def at(self, position: Sequence[float]) -> int:
        """The object at a position (pixels, one number for each data axis); 0 for none."""
        where = tuple(int(np.floor(value + 0.5)) for value in position)
        shape = tuple(self.array.shape)
        if len(where) != len(shape):
            return 0
        if not all(0 <= value < size for value, size in zip(where, shape, strict=True)):
            return 0
        return int(np.asarray(self.array[where]))

    def mask_of(self, object_id: int, plane: Plane) -> PlaneMask | None:
        """The pixels of an object on a plane; None if it has none there."""
        return finding.mask_on(self.array, object_id, plane)

    def reopen(self, object_id: int, plane: Plane | None = None) -> ObjectRecord:
        """The record of an object, with prompts to go on from.

        Parameters
        ----------
        object_id
            The object; it need not be ours.
        plane
            Where the user is. If the object has pixels there and nothing was said about them,
            they become a mask prompt, and what is accepted next replaces them.

        Raises
        ------
        LabelsError
            If no pixel holds the number and nothing is known of it.
        """
        known = self._records.get(object_id)
        said: dict[Plane, PromptSet] = dict(known.prompts) if known else {}
        if plane is not None and plane not in said:
            mask = self.mask_of(object_id, plane)
            if mask is not None:
                said[plane] = PromptSet(mask=finding.plane_rle(mask, self.array.shape))
                region = Region.of(*plane_box(plane, mask.box, mask.crop))
                kept = known or ObjectRecord(object_id, origin="imported")
                owned = (*without(kept.owned, region.slices), region)
                known = replace(kept, owned=owned)
                self._set({object_id: known})
                self._store("reopen", (), {object_id: known}, None)
        if known is None:
            if object_id <= 0 or not holds_any(self.array, object_id):
                raise LabelsError(f"There is no object {object_id} in the Labels layer.")
            known = ObjectRecord(object_id, origin="imported")
        return replace(known, prompts=said)


def _either(names: Mapping[str, Any]) -> str:
    return " or ".join(f'"{name}"' for name in names)
