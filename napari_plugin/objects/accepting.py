"""Accepting masks: what a new object may take, and what it leaves to the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_plugin.objects.edit import Patch, write
from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.regions import (
    Region,
    Slices,
    owned_in,
    plane_box,
    read,
    tight,
    without,
)
from napari_plugin.values import Plane, PlaneMask, PromptSet

__all__ = ["Acceptance", "Accepted", "check_mask", "write_object"]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An object to accept.

    Parameters
    ----------
    masks
        At most one for each plane.
    prompts
        What was said about it, by plane.
    object_id
        The object that was opened again; None for a new one.
    origin, score, model_id
        As in `ObjectRecord`.
    """

    masks: tuple[PlaneMask, ...]
    prompts: Mapping[Plane, PromptSet] = field(default_factory=dict)
    object_id: int | None = None
    origin: str = "prompt"
    score: float | None = None
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an `Acceptance`.

    Parameters
    ----------
    id
        The value in the labels; 0 if no pixel was left for the object: nothing was changed then.
    written
        Pixels that changed: those it got and those it gave up.
    lost
        Pixels of its masks that other objects keep.
    """

    id: int
    written: int
    lost: int


def check_mask(mask: PlaneMask, shape: tuple[int, ...]) -> None:
    """LabelsError unless a mask lies within labels of a shape."""
    plane, (x0, y0, x1, y1) = mask.plane, mask.box
    fits = len(plane.index) == len(shape) and all(
        axis in (plane.rows, plane.columns) or 0 <= position < size
        for axis, (position, size) in enumerate(zip(plane.index, shape, strict=False))
    )
    if not fits:
        raise LabelsError(
            f"The mask lies at {plane.index} and the Labels layer has the shape {shape}. Choose "
            "the Labels layer that was made for this image."
        )
    inside = 0 <= x0 <= x1 <= shape[plane.columns] and 0 <= y0 <= y1 <= shape[plane.rows]
    if not inside or mask.crop.shape != (y1 - y0, x1 - x0):
        raise LabelsError(
            f"A mask of shape {mask.crop.shape} at {mask.box} does not fit a plane of "
            f"{shape[plane.rows]} x {shape[plane.columns]} pixels. Choose the Labels layer that "
            "was made for this image."
        )


def _plane(plane: Plane, shape: tuple[int, ...]) -> Slices:
    where = [slice(position, position + 1) for position in plane.index]
    for axis in (plane.rows, plane.columns):
        where[axis] = slice(0, shape[axis])
    return tuple(where)


def write_object(
    array: Any, item: Acceptance, object_id: int, before: ObjectRecord | None, takes_others: bool
) -> tuple[list[Patch], ObjectRecord | None, Accepted]:
    """Write one object.

    Where it was accepted before, on the planes of its new masks, the pixels that we wrote for it
    and that the new mask leaves out become background. Pixels of the same value that we did not
    write are brush work and stay.

    Returns
    -------
    patches
        What was written; empty if nothing was left for the object.
    record
        What is known of it now; None if nothing was left for it.
    accepted
        The counts.
    """
    patches: list[Patch] = []
    owned = () if before is None else before.owned
    written = lost = held = 0
    for mask in item.masks:
        if mask.crop.any():
            where, wanted = plane_box(mask.plane, mask.box, np.asarray(mask.crop, bool))
            now = read(array, where)
            ours = owned_in(owned, where) & (now == object_id)
            free = wanted if takes_others else wanted & ((now == 0) | (now == object_id))
            lost += int(np.count_nonzero(wanted & ~free))
            held += int(np.count_nonzero(free))
            mine = free & (ours | (now != object_id))
        else:
            where, free, mine = (), None, None
        for region in _left_out(owned, _plane(mask.plane, tuple(array.shape)), where, free):
            gone = region.mask() & (read(array, region.slices) == object_id)
            patch, count = write(array, region.slices, gone, 0)
            patches += [patch] if patch else []
            written += count
        owned = without(owned, _plane(mask.plane, tuple(array.shape)))
        if free is not None and mine is not None and mine.any():
            patch, count = write(array, where, free, object_id)
            patches += [patch] if patch else []
            written += count
            owned = (*owned, Region.of(*tight(where, mine)))
    if held == 0:
        for patch in reversed(patches):
            patch.swap(array, back=True)
        return [], None, Accepted(0, 0, lost)
    prompts = dict(before.prompts if before else {})
    for mask in item.masks:
        prompts.pop(mask.plane, None)
    prompts.update({plane: said for plane, said in item.prompts.items() if said})
    record = ObjectRecord(
        object_id,
        prompts,
        item.origin,
        score=item.score,
        model_id=item.model_id,
        owned=owned,
    )
    return patches, record, Accepted(object_id, written, lost)


def _left_out(owned: tuple[Region, ...], plane: Slices, where: Slices, free: Any) -> list[Region]:
    """What we wrote on a plane and the new mask does not cover."""
    found = []
    for region in owned:
        cut = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(region.slices, plane, strict=True)
        )
        if any(part.start >= part.stop for part in cut):
            continue
        mask = owned_in((region,), cut)
        if free is not None and free.any():
            mask &= ~owned_in((Region.of(where, free),), cut)
        if mask.any():
            found.append(Region.of(*tight(cut, mask)))
    return found
