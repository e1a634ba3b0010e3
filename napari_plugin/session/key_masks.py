"""The slices from which objects are followed: masks of the draft, or of kept objects."""

import numpy as np

from napari_plugin.session.annotator import Annotator
from napari_plugin.values import Plane, PlaneMask, plane_slices
from sam_plugins.formats import crop_to_rle
from sam_plugins.types import Rle

__all__ = ["key_masks"]


def key_masks(
    annotator: Annotator, plane: Plane, axis: int, *, kept: bool
) -> tuple[dict[int, dict[int, Rle]], dict[int, int]]:
    """What is known of objects on planes parallel to the one in view.

    Parameters
    ----------
    annotator
        Whose draft and objects.
    plane, axis
        The plane in view, and the axis to follow along.
    kept
        Take the kept objects of the plane in view; otherwise the draft's.

    Returns
    -------
    keys, numbers
        {frame: {number: run lengths}}, and which kept object each number that is no number of the
        draft stands for.
    """
    if kept:
        # Numbers of their own: the draft's small ones may be about other objects.
        first = annotator.found.next_number
        objects = list(enumerate(_kept(annotator, plane), start=first))
        masks = [(number, mask) for number, (_, mask) in objects]
        numbers = {number: identity for number, (identity, _) in objects}
    else:
        masks, numbers = _prompted(annotator, plane, axis), {}
    target = annotator.target
    keys: dict[int, dict[int, Rle]] = {}
    if target is not None:
        for number, mask in masks:
            rle = crop_to_rle(mask.crop, mask.box, target.image.size(plane))
            keys.setdefault(mask.plane.index[axis], {})[number] = rle
    return keys, numbers


def _prompted(annotator: Annotator, plane: Plane, axis: int) -> list[tuple[int, PlaneMask]]:
    found = []
    for number, where, _ in annotator.draft.prompts():
        answer = annotator.answers.get(number, where) if annotator.answers is not None else None
        parallel = where.at(axis, plane.index[axis]) == plane
        if parallel and answer is not None and answer.mask is not None and answer.mask.crop.any():
            found.append((number, answer.mask))
    return found


def _kept(annotator: Annotator, plane: Plane) -> list[tuple[int, PlaneMask]]:
    target = annotator.target
    if target is None:
        return []
    shown = np.asarray(target.labels.data[plane_slices(plane)])
    found = []
    for identity in np.unique(shown[shown > 0]).tolist():
        mask = target.book.mask_of(identity, plane)
        if mask is not None:
            found.append((identity, mask))
    return found
