"""`condensed`: operations that make a Labels layer as it is, from what is known of its objects."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_plugin.export.operations import Operation, accept_operation, paint_operation
from napari_plugin.export.replay import Answer, Replayer
from napari_plugin.values import Plane, PlaneMask, PromptSet, plane_slices
from sam_plugins import Progress
from sam_plugins.errors import SamPluginsError
from sam_plugins.formats import rle_to_crop
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Rle

__all__ = ["KnownObject", "condensed"]


class KnownObject(Protocol):
    """What is known of an object: `napari_plugin.objects.ObjectRecord`."""

    @property
    def id(self) -> int:
        """Its label."""
        ...

    @property
    def origin(self) -> str:
        """Where it comes from, in a word."""
        ...

    @property
    def prompts(self) -> Mapping[Plane, PromptSet]:
        """What was said, plane by plane."""
        ...

    @property
    def written(self) -> Mapping[Plane, Rle]:
        """The pixels that it got when it was accepted, plane by plane."""
        ...


def condensed(
    labels: Any, axes: str, records: Iterable[KnownObject], answer: Answer | None = None
) -> Iterator[Progress | tuple[Operation, ...]]:
    """The operations of a provenance document, from the layer as it is now.

    Each object is accepted once, in the order of the records, with its last prompts. What that
    does not make, since it was painted, cut, merged, or lay under another object, follows as
    pixels: so that a replay ends with these labels, whatever happened on the way.

    Parameters
    ----------
    labels
        The data of the Labels layer, not to be painted on meanwhile.
    axes
        A letter for each axis of it.
    records
        Of the objects, the one accepted first first.
    answer
        Asks the model what the prompts make, so that what differs is known. Without it the pixels
        that were accepted stand for the answer, and where objects overlap a replay may differ.

    Yields
    ------
    Progress over the objects, and at last the operations.
    """
    shape = tuple(int(side) for side in labels.shape)
    planes = _planes(shape, axes)
    present: set[int] = set()
    for plane in planes:
        present |= set(np.unique(_read(labels, plane)).tolist())
    known = [record for record in records if record.id in present]
    operations: list[Operation] = []
    replayer = Replayer(shape, answer)
    for done, record in enumerate(known):
        yield Progress(done, len(known), f"Looking at object {record.id}")
        operation, alone = _accepted(record, shape)
        replayer.answer = _stored(record) if answer is None else answer
        try:
            replayer.do(operation)
        except SamPluginsError:
            # Prompts that this model cannot answer: the pixels stand for themselves.
            operation = alone
            replayer.do(operation)
        if operation["planes"]:
            operations.append(operation)
    rest = [
        change
        for plane in planes
        for change in _differences(plane, _read(replayer.labels, plane), _read(labels, plane))
    ]
    if rest:
        operations.append(paint_operation(rest, shape, origin="rest"))
    yield Progress(len(known), len(known), "All objects are looked at")
    yield tuple(operations)


def _accepted(record: KnownObject, shape: tuple[int, ...]) -> tuple[Operation, Operation]:
    """An object's operation with its prompts, and the same with nothing but pixels."""
    pixels = [_mask(plane, rle) for plane, rle in record.written.items()]
    said = [(plane, prompts) for plane, prompts in record.prompts.items() if prompts]
    asked = {plane for plane, _ in said}
    both: list[tuple[Plane, PromptSet] | PlaneMask] = [*said]
    both += [mask for mask in pixels if mask.plane not in asked]
    return (
        accept_operation(record.id, both, shape, origin=record.origin),
        accept_operation(record.id, pixels, shape, origin=record.origin),
    )


def _stored(record: KnownObject) -> Answer:
    """An answer that gives what was written at the time."""

    def answer(plane: Plane, said: PromptSet) -> PlaneMask:
        if plane in record.written:
            return _mask(plane, record.written[plane])
        return PlaneMask(plane, (0, 0, 0, 0), np.zeros((0, 0), bool))

    return answer


def _mask(plane: Plane, rle: Rle) -> PlaneMask:
    crop, box = rle_to_crop(rle)
    return PlaneMask(plane, box, crop)


def _planes(shape: tuple[int, ...], axes: str) -> list[Plane]:
    rows, columns = axes.index("Y"), axes.index("X")
    sides = [1 if axis in (rows, columns) else side for axis, side in enumerate(shape)]
    return [Plane(rows, columns, tuple(map(int, index))) for index in np.ndindex(*sides)]


def _read(labels: Any, plane: Plane) -> NDArray[Any]:
    part = np.asarray(labels[plane_slices(plane)])
    return part if plane.rows < plane.columns else part.T


def _differences(
    plane: Plane, made: NDArray[Any], wanted: NDArray[Any]
) -> Iterator[tuple[int, PlaneMask]]:
    """What has to be painted on a plane, value by value."""
    other = made != wanted
    if not other.any():
        return
    for value in np.unique(wanted[other]).tolist():
        pixels = other & (wanted == value)
        x0, y0, x1, y1 = box = mask_to_box(pixels)
        yield int(value), PlaneMask(plane, box, pixels[y0:y1, x0:x1])
