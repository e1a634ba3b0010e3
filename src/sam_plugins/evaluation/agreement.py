"""Where known objects and a model disagree: candidates for mistakes in the labels.

A model that is sure of itself and contradicts a label points at one of two mistakes, and a person
decides which: what confident learning does for classes (Northcutt et al., JAIR 2021), here for
masks. What is said is a reason to look, never a correction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.objects import (
    ScoredMask,
    SharedPixels,
    crops_of,
    shared_pixels,
    shared_within,
)

__all__ = [
    "Mistake",
    "MistakeKind",
    "MistakeSettings",
    "ObjectPair",
    "find_mistakes",
    "match_objects",
]

MistakeKind: TypeAlias = Literal["does not fit", "missing", "spurious", "other label", "double"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MistakeSettings:
    """From when on something is named.

    Parameters
    ----------
    min_score
        A prediction below this score says nothing.
    fit_iou
        A pair with a lower IoU does not fit.
    label_iou
        A pair with at least this IoU is one object, whose two labels should be one.
    elsewhere_iou
        A mask whose IoU with every other is lower stands alone, if also less than half of it lies
        in one of them.
    double_iou, double_containment
        Two known masks are one object from this IoU on, or, with one label, from this part of the
        smaller one inside the larger.
    """

    min_score: float = 0.8
    fit_iou: float = 0.6
    label_iou: float = 0.7
    elsewhere_iou: float = 0.1
    double_iou: float = 0.7
    double_containment: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPair:
    """A known object and the prediction for it: their places in the lists, and their IoU."""

    truth: int
    prediction: int
    iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One candidate for a mistake in the labels.

    Parameters
    ----------
    kind
        "does not fit": the model is sure of another outline. "missing": it is sure of an object
        where none is known. "spurious": it finds nothing where one is known. "other label": same
        place, other class. "double": two known masks on one object.
    score
        Between 0 and 1, to sort by within a kind; the higher, the more there is to see.
    reason
        Why it is named, in plain words with the numbers.
    truth, other_truth, prediction
        Places in the lists; None where there is none. Of a double, `other_truth` is the smaller.
    iou
        Of the two masks it is about, or the highest with any.
    """

    kind: MistakeKind
    score: float
    reason: str
    truth: int | None = None
    other_truth: int | None = None
    prediction: int | None = None
    iou: float = 0.0


def match_objects(
    truths: Sequence[ScoredMask], predictions: Sequence[ScoredMask], *, min_iou: float = 0.1
) -> list[ObjectPair]:
    """One prediction at most for each known object, the highest IoU first.

    Labels play no part, except that of two equal pairs the one with equal labels comes first;
    crowds take no part.

    Returns
    -------
    The pairs with at least `min_iou`, by the place of the known object.
    """
    return _best_pairs(truths, predictions, _shared(truths, predictions), min_iou)


def find_mistakes(
    truths: Sequence[ScoredMask],
    predictions: Sequence[ScoredMask],
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
    settings: MistakeSettings | None = None,
) -> list[Mistake]:
    """Candidates for mistakes in the labels of one image.

    Parameters
    ----------
    truths
        Known objects; a crowd is never a mistake, and what lies in it is not missing.
    predictions
        With their predicted IoU or confidence as the score.
    pairs
        (place of a known object, place of its prediction): what was asked for, such as the answer
        to an object's own box. None pairs them by IoU, as `match_objects` does.
    settings
        None takes `MistakeSettings()`.

    Returns
    -------
    The highest score first.

    Raises
    ------
    DatasetError
        If a pair names a place that is in neither list.
    """
    settings = settings or MistakeSettings()
    shared = _shared(truths, predictions)
    if pairs is None:
        matched = _best_pairs(truths, predictions, shared, settings.elsewhere_iou)
    else:
        matched = _given_pairs(truths, predictions, shared, pairs)
    paired_truths = {pair.truth for pair in matched}
    paired_predictions = {pair.prediction for pair in matched}
    found = [
        *_of_pairs(truths, predictions, matched, shared, settings),
        *_missing(predictions, shared, paired_predictions, settings),
        *_spurious(truths, shared, paired_truths, settings),
        *_doubles(truths, settings),
    ]
    return sorted(found, key=lambda mistake: -mistake.score)


def _of_pairs(
    truths: Sequence[ScoredMask],
    predictions: Sequence[ScoredMask],
    matched: Sequence[ObjectPair],
    shared: SharedPixels,
    settings: MistakeSettings,
) -> Iterator[Mistake]:
    fits = [
        (i, predictions[j].label)
        for i, j, iou in zip(
            shared.first.tolist(), shared.second.tolist(), shared.ious, strict=True
        )
        if iou >= settings.label_iou
    ]
    agreed = {i for i, label in fits if label == truths[i].label}
    for pair in matched:
        known, answer = truths[pair.truth], predictions[pair.prediction]
        if known.is_crowd or answer.score < settings.min_score:
            continue
        if pair.iou < settings.fit_iou:
            yield Mistake(
                kind="does not fit",
                score=_unit(answer.score * (1 - pair.iou)),
                reason=_misfit(
                    answer.score,
                    pair.iou,
                    shared.second_areas[pair.prediction] / max(shared.first_areas[pair.truth], 1),
                ),
                truth=pair.truth,
                prediction=pair.prediction,
                iou=pair.iou,
            )
        elif (
            pair.iou >= settings.label_iou
            and known.label
            and answer.label
            and known.label != answer.label
            and pair.truth not in agreed
        ):
            yield Mistake(
                kind="other label",
                score=_unit(answer.score * pair.iou),
                reason=f"Known as {known.label!r}, predicted as {answer.label!r} (score "
                f"{answer.score:.2f}) in the same place (IoU {pair.iou:.2f}).",
                truth=pair.truth,
                prediction=pair.prediction,
                iou=pair.iou,
            )


def _missing(
    predictions: Sequence[ScoredMask],
    shared: SharedPixels,
    paired: set[int],
    settings: MistakeSettings,
) -> Iterator[Mistake]:
    ious, covered = _closest(shared.second, shared.second_areas, shared)
    for place, answer in enumerate(predictions):
        alone = ious[place] < settings.elsewhere_iou and covered[place] < 0.5
        is_empty = not shared.second_areas[place]
        if place in paired or is_empty or not alone or answer.score < settings.min_score:
            continue
        what = f"a {answer.label!r}" if answer.label else "an object"
        yield Mistake(
            kind="missing",
            score=_unit(answer.score * (1 - covered[place])),
            reason=f"The model is sure of {what} (score {answer.score:.2f}) where none is known: "
            f"{covered[place]:.0%} of it lies in a known mask.",
            prediction=place,
            iou=float(ious[place]),
        )


def _spurious(
    truths: Sequence[ScoredMask],
    shared: SharedPixels,
    paired: set[int],
    settings: MistakeSettings,
) -> Iterator[Mistake]:
    ious, covered = _closest(shared.first, shared.first_areas, shared)
    for place, known in enumerate(truths):
        alone = ious[place] < settings.elsewhere_iou and covered[place] < 0.5
        if place in paired or known.is_crowd or not alone:
            continue
        what = f"The known {known.label!r}" if known.label else "The known mask"
        reason = f"{what} is found by no prediction: {covered[place]:.0%} of it lies in one."
        if not shared.first_areas[place]:
            reason = f"{what} has no pixel."
        yield Mistake(
            kind="spurious",
            score=_unit(1 - covered[place]),
            reason=reason,
            truth=place,
            iou=float(ious[place]),
        )


def _doubles(truths: Sequence[ScoredMask], settings: MistakeSettings) -> Iterator[Mistake]:
    shared = shared_within(crops_of(truths))
    columns = (shared.first.tolist(), shared.second.tolist(), shared.ious, shared.containments)
    for first, second, iou, containment in zip(*columns, strict=True):
        one, other = truths[first], truths[second]
        inside = one.label == other.label and containment >= settings.double_containment
        if one.is_crowd or other.is_crowd or not (inside or iou >= settings.double_iou):
            continue
        swap = shared.first_areas[first] < shared.first_areas[second]
        labels = f"{one.label!r} and {other.label!r}" if one.label != other.label else "Two masks"
        yield Mistake(
            kind="double",
            score=_unit(max(iou, containment) if inside else iou),
            reason=f"{labels} on one object: IoU {iou:.2f}, and {containment:.0%} of the smaller "
            "mask lies in the larger.",
            truth=second if swap else first,
            other_truth=first if swap else second,
            iou=float(iou),
        )


def _shared(truths: Sequence[ScoredMask], predictions: Sequence[ScoredMask]) -> SharedPixels:
    return shared_pixels(crops_of(truths), crops_of(predictions))


def _best_pairs(
    truths: Sequence[ScoredMask],
    predictions: Sequence[ScoredMask],
    shared: SharedPixels,
    min_iou: float,
) -> list[ObjectPair]:
    alike = np.array(
        [
            truths[i].label == predictions[j].label
            for i, j in zip(shared.first, shared.second, strict=True)
        ],
        bool,
    )
    ious, free_truths, free_predictions = (
        shared.ious,
        set(range(len(truths))),
        set(range(len(predictions))),
    )
    pairs = []
    for place in np.lexsort((~alike, -ious)):
        truth, prediction = int(shared.first[place]), int(shared.second[place])
        is_free = truth in free_truths and prediction in free_predictions
        if ious[place] < min_iou or not is_free or truths[truth].is_crowd:
            continue
        free_truths.remove(truth)
        free_predictions.remove(prediction)
        pairs.append(ObjectPair(truth=truth, prediction=prediction, iou=float(ious[place])))
    return sorted(pairs, key=lambda pair: pair.truth)


def _given_pairs(
    truths: Sequence[ScoredMask],
    predictions: Sequence[ScoredMask],
    shared: SharedPixels,
    pairs: Sequence[tuple[int, int]],
) -> list[ObjectPair]:
    table = dict(
        zip(
            zip(shared.first.tolist(), shared.second.tolist(), strict=True),
            shared.ious.tolist(),
            strict=True,
        )
    )
    for truth, prediction in pairs:
        if not (0 <= truth < len(truths) and 0 <= prediction < len(predictions)):
            raise DatasetError(
                f"The pair ({truth}, {prediction}) names no object: there are {len(truths)} known "
                f"objects and {len(predictions)} predictions, counted from 0."
            )
    return [
        ObjectPair(truth=truth, prediction=prediction, iou=table.get((truth, prediction), 0.0))
        for truth, prediction in pairs
    ]


def _closest(
    places: NDArray[np.int64], areas: NDArray[np.int64], shared: SharedPixels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each mask, the highest IoU with any of the others and the largest part inside one."""
    ious, covered = np.zeros(len(areas)), np.zeros(len(areas))
    np.maximum.at(ious, places, shared.ious)
    np.maximum.at(covered, places, shared.pixels / areas[places])
    return ious, covered


def _misfit(score: float, iou: float, size: float) -> str:
    if not iou:
        return (
            f"The model is sure of a mask elsewhere (score {score:.2f}): it shares no pixel with "
            "the known one."
        )
    return (
        f"The model is sure of another outline (score {score:.2f}): its IoU with the known mask is "
        f"{iou:.2f}, its area is {size:.2g} times the known one's."
    )


def _unit(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))
