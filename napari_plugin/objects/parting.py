"""Splitting: new numbers for parts of an object."""

from collections.abc import Callable, Sequence
from typing import Any

from napari_plugin.objects.edit import Edit, Patch, write
from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.regions import Region, owned_in, read, without

__all__ = ["part"]


def part(
    array: Any,
    object_id: int,
    groups: Sequence[Sequence[Region]],
    known: ObjectRecord | None,
    take: Callable[[], int],
) -> tuple[Edit, dict[int, ObjectRecord | None]]:
    """Give each group of pixels of an object a number of its own.

    Parameters
    ----------
    array
        Labels, N-D.
    object_id
        The object; it keeps what is in no group, and pixels of others are left alone.
    groups
        The pixels of each new object; an earlier group takes what two of them hold.
    known
        The record of the object.
    take
        Gives the next number.

    Returns
    -------
    edit, records
        What was written, and the records of the new objects and the old one.

    Raises
    ------
    LabelsError
        If nothing was split, or no number is left: then nothing was written.
    """
    patches: list[Patch] = []
    records: dict[int, ObjectRecord | None] = {}
    try:
        for group in groups:
            new, number = [], 0
            for region in group:
                mask = region.mask() & (read(array, region.slices) == object_id)
                if mask.any():
                    number = number or take()
                    patch, _ = write(array, region.slices, mask, number)
                    new += [patch] if patch else []
            if new:
                owned = tuple(patch.region for patch in new)
                records[number] = ObjectRecord(number, origin="split", owned=owned)
                patches += new
    except LabelsError:
        Edit.of(patches).revert(array)
        raise
    if not records:
        raise LabelsError(f"Object {object_id} is in one piece: draw a line across it to cut it.")
    owned = known.owned if known else ()
    for patch in patches:
        where = patch.region.slices
        ours = owned_in(owned, where) & ~patch.region.mask()
        owned = without(owned, where)
        owned = (*owned, Region.of(where, ours)) if ours.any() else owned
    records[object_id] = ObjectRecord(object_id, origin="split", owned=owned)
    return Edit.of(patches), records
