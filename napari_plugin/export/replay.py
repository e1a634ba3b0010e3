"""`replay`: do again what a provenance document says, and compare."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_plugin.export.operations import Operation
from napari_plugin.export.provenance import Provenance
from napari_plugin.values import POLICIES, Plane, PlaneMask, PromptSet, plane_slices
from sam_plugins import Progress
from sam_plugins.errors import DatasetError, ImageError, PromptError, SamPluginsError
from sam_plugins.formats import LabelStack, rle_to_crop

__all__ = ["Answer", "ObjectAgreement", "compare_labels", "replay"]

Answer: TypeAlias = Callable[[Plane, PromptSet], PlaneMask]
"""The mask that prompts on a plane mean."""

Labels: TypeAlias = NDArray[np.uint32]


def replay(document: Provenance, answer: Answer | None) -> Iterator[Progress | Labels]:
    """Make the labels of a document again.

    Parameters
    ----------
    document
        What was done.
    answer
        Asks the model; None for a document that asks nothing (`Provenance.asks`).

    Yields
    ------
    Progress before each operation, and at last the labels, uint32 of ``labels_shape``.

    Raises
    ------
    DatasetError
        If `answer` raises an error about the prompts of an operation.
    """
    replayer = _Replayer(document.labels_shape, answer)
    total = len(document.operations)
    for done, operation in enumerate(document.operations):
        yield Progress(done, total, f"Operation {done + 1} of {total}: {operation['kind']}")
        try:
            replayer.do(operation)
        except SamPluginsError as error:
            raise DatasetError(
                f"Operation {done} ({operation['kind']}) cannot be done again: {error}"
            ) from error
    yield Progress(total, total, "All operations are done")
    yield replayer.labels


class _Replayer:
    """Labels, and which of their pixels were painted by hand.

    Parameters
    ----------
    shape
        Of the labels.
    answer
        Asks the model; None where no operation has prompts.

    Attributes
    ----------
    labels
        uint32: what the operations made so far.
    """

    def __init__(self, shape: Sequence[int], answer: Answer | None) -> None:
        self.labels: Labels = np.zeros(shape, np.uint32)
        self._by_hand: NDArray[np.bool_] | None = None
        self.answer = answer

    def do(self, operation: Operation) -> None:
        """Do one operation that was checked."""
        kind = operation["kind"]
        if kind == "accept":
            self._accept(operation)
        elif kind in ("paint", "split"):
            for change in operation["changes"]:
                plane = Plane.from_json(change["plane"])
                crop, box = rle_to_crop(change["mask"])
                self._view(self.labels, plane, box)[crop] = change["id"]
                if operation.get("origin") == "hand":
                    if self._by_hand is None:
                        self._by_hand = np.zeros(self.labels.shape, bool)
                    self._mark(plane, box, crop, True)
        else:
            self._rename(operation)

    def _accept(self, operation: Operation) -> None:
        masks = []
        for entry in operation["planes"]:
            plane = Plane.from_json(entry["plane"])
            if "mask" in entry:
                crop, box = rle_to_crop(entry["mask"])
                masks.append(PlaneMask(plane, box, crop))
            elif self.answer is None:
                raise PromptError("There are prompts, and no model to ask.")
            else:
                masks.append(self.answer(plane, PromptSet.from_json(entry["prompts"])))
        identity, overwrite = operation["id"], POLICIES[operation["policy"]].takes
        for mask in masks:
            whole = self._view(self.labels, mask.plane, None)
            former = whole == identity
            if former.any():
                if self._by_hand is not None:
                    former &= ~self._view(self._by_hand, mask.plane, None)
                whole[former] = 0
        for mask in masks:
            part = self._view(self.labels, mask.plane, mask.box)
            written = mask.crop if overwrite else mask.crop & ((part == 0) | (part == identity))
            part[written] = identity
            self._mark(mask.plane, mask.box, written, False)

    def _rename(self, operation: Operation) -> None:
        kind = operation["kind"]
        ids = [operation["id"]] if kind == "relabel" else operation["ids"]
        to = {"delete": 0, "merge": operation.get("into"), "relabel": operation.get("to")}[kind]
        # One slab at a time: a mask of a whole stack would double its memory.
        for slab in self.labels:
            slab[np.isin(slab, ids)] = to

    def _mark(self, plane: Plane, box: Any, crop: NDArray[np.bool_], by_hand: bool) -> None:
        if self._by_hand is not None:
            self._view(self._by_hand, plane, box)[crop] = by_hand

    @staticmethod
    def _view(array: NDArray[Any], plane: Plane, box: Any) -> NDArray[Any]:
        """The part of a plane, rows first, written through."""
        part: NDArray[Any] = array[plane_slices(plane, box)]
        return part if plane.rows < plane.columns else part.T


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAgreement:
    """How well one object was made again.

    Parameters
    ----------
    label
        The object.
    iou
        Of its pixels in both; 1 where they are the same.
    pixels, expected_pixels
        How many it has, and should have.
    """

    label: int
    iou: float
    pixels: int
    expected_pixels: int


def compare_labels(found: LabelStack, expected: LabelStack) -> list[ObjectAgreement]:
    """Compare two label stacks object by object; axes of length 1 do not matter.

    Raises
    ------
    ImageError
        If they have different shapes.
    """
    if _sides(found) != _sides(expected):
        raise ImageError(
            f"The labels to compare with must have the shape {_sides(found)}, found "
            f"{_sides(expected)}: these are labels of another picture."
        )
    shared: dict[int, int] = {}
    counts: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for (_, ours), (_, theirs) in zip(found.planes(), expected.planes(), strict=True):
        same = np.where(ours == theirs, ours, 0)
        for plane, sums in ((same, shared), (ours, counts[0]), (theirs, counts[1])):
            for label, count in zip(*np.unique(plane, return_counts=True), strict=True):
                sums[int(label)] = sums.get(int(label), 0) + int(count)
    agreements = []
    for label in sorted((counts[0].keys() | counts[1].keys()) - {0}):
        pixels, wanted = counts[0].get(label, 0), counts[1].get(label, 0)
        both = shared.get(label, 0)
        agreements.append(
            ObjectAgreement(
                label=label,
                iou=both / (pixels + wanted - both),
                pixels=pixels,
                expected_pixels=wanted,
            )
        )
    return agreements


def _sides(stack: LabelStack) -> dict[str, int]:
    return {axis: stack.length(axis) for axis in "TCZYX"}
