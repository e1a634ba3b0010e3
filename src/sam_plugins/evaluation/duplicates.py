"""Masks of one image that show the same object twice: by IoU, or one inside the other.

IoU alone overlooks a small mask inside a large one; the part of the smaller mask that lies in the
larger finds it. Two masks are compared only where their boxes overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.objects import Crop, shared_within

__all__ = ["DuplicateGroup", "DuplicatePair", "find_duplicates", "group_duplicates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatePair:
    """Two masks that overlap too much.

    Parameters
    ----------
    first, second
        Their places in the list, ``first < second``.
    iou
        Intersection over union.
    containment
        Intersection over the smaller area.
    inner
        The place of the smaller mask, the later of equals.
    """

    first: int
    second: int
    iou: float
    containment: float
    inner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """Masks of which one is enough.

    Parameters
    ----------
    keep
        The place of the best one.
    drop
        The others, best first; each overlaps `keep` too much.
    """

    keep: int
    drop: tuple[int, ...]


def find_duplicates(
    masks: Sequence[Crop],
    *,
    iou_threshold: float = 0.8,
    containment_threshold: float | None = 0.9,
) -> list[DuplicatePair]:
    """Pairs of masks of one image that overlap too much.

    Parameters
    ----------
    masks
        N crops with their boxes.
    iou_threshold
        A pair is named from this IoU on.
    containment_threshold
        Or from this part of the smaller mask on; None looks at IoU only, as is right where parts
        of objects are masks of their own.

    Returns
    -------
    In the order of the masks. An empty mask is nobody's duplicate.
    """
    shared = shared_within(masks)
    ious, containments = shared.ious, shared.containments
    found = ious >= iou_threshold
    if containment_threshold is not None:
        found |= containments >= containment_threshold
    pairs = []
    for index in np.flatnonzero(found):
        first, second = int(shared.first[index]), int(shared.second[index])
        first_is_smaller = shared.first_areas[first] < shared.first_areas[second]
        pairs.append(
            DuplicatePair(
                first=first,
                second=second,
                iou=float(ious[index]),
                containment=float(containments[index]),
                inner=first if first_is_smaller else second,
            )
        )
    return pairs


def group_duplicates(pairs: Sequence[DuplicatePair], scores: ArrayLike) -> list[DuplicateGroup]:
    """Which masks to keep: the best first, as in greedy suppression.

    The best mask stays and those that are its duplicates go, then the best of what is left, and so
    on. A mask that is the duplicate of one that goes, but of none that stays, stays: a chain of
    overlaps does not make its two ends one object.

    Parameters
    ----------
    pairs
        What `find_duplicates` found.
    scores
        (N,) of all masks, the higher the better; of equal ones the earlier mask is better.

    Returns
    -------
    The groups with something to drop, best first.

    Raises
    ------
    DatasetError
        If a pair names a mask without a score, or a score is not a number.
    """
    ranking = np.asarray(scores, np.float64).ravel()
    highest = max((pair.second for pair in pairs), default=-1)
    if highest >= len(ranking) or np.isnan(ranking).any():
        raise DatasetError(
            f"Every mask needs a number as its score: found {len(ranking)} scores, "
            f"{np.count_nonzero(np.isnan(ranking))} of them not a number, for masks up to "
            f"place {highest}."
        )
    near: dict[int, set[int]] = {}
    for pair in pairs:
        near.setdefault(pair.first, set()).add(pair.second)
        near.setdefault(pair.second, set()).add(pair.first)
    order = sorted(near, key=lambda place: (-ranking[place], place))
    gone: set[int] = set()
    groups = []
    for best in order:
        if best in gone:
            continue
        drop = sorted(near[best] - gone, key=lambda place: (-ranking[place], place))
        # What already stays is no duplicate of this one, or this one would be gone.
        gone.update(drop)
        if drop:
            groups.append(DuplicateGroup(keep=best, drop=tuple(drop)))
    return groups
