"""Which mask found which known object of one picture, for people who look at single objects.

Here a pair is the best by IoU, and not, as in AP, what the surest mask left over: whoever looks at
an object wants its best mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sam_plugins.evaluation import (
    ObjectPair,
    ScoredMask,
    crop_boundary_iou,
    match_objects,
    shared_pixels,
)
from sam_plugins.types import Size

__all__ = ["Pairing", "boundary_iou_of", "pair_objects"]


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs of one picture.

    Parameters
    ----------
    pairs
        Places of known objects and of masks, with their IoU.
    in_crowd
        Places of masks without a pair that lie in a crowd: neither right nor wrong.
    """

    pairs: tuple[ObjectPair, ...]
    in_crowd: frozenset[int]


def pair_objects(
    truths: Sequence[ScoredMask],
    predictions: Sequence[ScoredMask],
    *,
    by_class: bool,
    min_iou: float,
) -> Pairing:
    """Pair known objects and masks, the highest IoU first; by class, or whatever their classes."""
    pairs: list[ObjectPair] = []
    for known, found in _parts(truths, predictions, by_class):
        pairs += [
            ObjectPair(truth=known[pair.truth], prediction=found[pair.prediction], iou=pair.iou)
            for pair in match_objects(
                [truths[place] for place in known],
                [predictions[place] for place in found],
                min_iou=min_iou,
            )
        ]
    paired = {pair.prediction for pair in pairs}
    crowds = [mask for mask in truths if mask.is_crowd]
    if not crowds:
        return Pairing(tuple(pairs), frozenset())
    shared = shared_pixels(
        [(mask.crop, mask.box) for mask in predictions], [(mask.crop, mask.box) for mask in crowds]
    )
    inside = {
        place
        for place, crowd, pixels in zip(
            shared.first.tolist(), shared.second.tolist(), shared.pixels.tolist(), strict=True
        )
        if pixels >= min_iou * shared.first_areas[place]
        and not (by_class and crowds[crowd].label != predictions[place].label)
    }
    return Pairing(tuple(pairs), frozenset(inside - paired))


def boundary_iou_of(
    truth: ScoredMask, prediction: ScoredMask, size: Size, dilation: float
) -> float:
    """Boundary IoU of a pair in a picture of that size."""
    return crop_boundary_iou(
        prediction.crop, prediction.box, truth.crop, truth.box, size, dilation=dilation
    )


def _parts(
    truths: Sequence[ScoredMask], predictions: Sequence[ScoredMask], by_class: bool
) -> list[tuple[list[int], list[int]]]:
    """Places of known objects and of masks that may be pairs."""
    if not by_class:
        return [(list(range(len(truths))), list(range(len(predictions))))]
    labels = dict.fromkeys(mask.label for mask in truths)
    return [
        (
            [place for place, mask in enumerate(truths) if mask.label == label],
            [place for place, mask in enumerate(predictions) if mask.label == label],
        )
        for label in labels
    ]
