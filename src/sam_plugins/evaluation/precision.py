"""Mask AP: how well ranked predictions find known objects, as COCO computes it.

Predictions of a class are taken from all images in the order of their score. Precision at a recall
is the highest precision at that recall or beyond, read at 101 recalls from 0 to 1; its mean is the
average precision of a class and threshold. AP is the mean over thresholds and classes with at
least one object (Lin et al., ECCV 2014).

Images can be weighted. Weight two is the same as two copies of the image, which is what the
bootstrap of `precision_groups` draws.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.matching import SIZE_CLASSES, ClassMatches, ImageMatches

__all__ = [
    "PrecisionReport",
    "PrecisionScores",
    "RankedClass",
    "average_precision",
    "mean_known",
    "rank_classes",
]

_RECALLS = np.linspace(0, 1, 101)
_CELLS_AT_ONCE = 1 << 16  # what is looked at several times over stays in the cache
_MEANS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionScores:
    """The numbers of COCO's table; NaN where there is no object, or no such threshold.

    Parameters
    ----------
    ap, ap50, ap75
        Mean over all thresholds, and at 0.50 and 0.75.
    ap_small, ap_medium, ap_large
        Of objects below 32 x 32 px, up to 96 x 96 px, and larger.
    recall
        COCO's average recall: the part of the objects that is found, mean over thresholds.
    n_truths, n_predictions
        Objects to be found, and predictions that took part.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    recall: float
    n_truths: int
    n_predictions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionReport:
    """Mask AP of a data set.

    Parameters
    ----------
    overall
        Means over the classes that have an object.
    classes
        By label.
    n_images
        How many were added.
    """

    overall: PrecisionScores
    classes: Mapping[str, PrecisionScores]
    n_images: int


@dataclass(frozen=True, slots=True, eq=False)
class RankedClass:
    """The predictions of one class from all images, best first.

    Parameters
    ----------
    images
        (D,) int64, which image each comes from.
    outcomes
        (4, T, D) int8, as in `ClassMatches`.
    n_truths
        (4, N) int64, objects to be found in each image.
    """

    images: NDArray[np.int64]
    outcomes: NDArray[np.int8]
    n_truths: NDArray[np.int64]

    def precisions(self, weights: NDArray[np.int64], size_class: int = 0) -> NDArray[np.float64]:
        """Average precision of weighted images.

        Parameters
        ----------
        weights
            (B, N) int64, at least 0: how often each image counts, B times over.
        size_class
            Place in `SIZE_CLASSES`.

        Returns
        -------
        (B, T) float64; NaN where no object is left.
        """
        outcomes, truths = self.outcomes[size_class], weights @ self.n_truths[size_class]
        result = np.full((len(weights), len(outcomes)), np.nan)
        levels = [(np.flatnonzero(outcome > 0), outcome >= 0) for outcome in outcomes]
        rows = np.flatnonzero(truths)
        step = max(1, _CELLS_AT_ONCE // max(1, len(self.images)))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            drawn = weights[part][:, self.images]
            answers = np.cumsum(drawn, axis=1)
            needed = _needed(truths[part])
            for level, (hits, counts) in enumerate(levels):
                counted = answers if counts.all() else np.cumsum(drawn * counts, axis=1)
                result[part, level] = _interpolated(drawn[:, hits], counted[:, hits], needed)
        return result

    def of(self, chosen: NDArray[np.bool_]) -> "RankedClass":
        """The same of some images only, (N,) bool, counted anew in their order."""
        kept = chosen[self.images]
        place = np.cumsum(chosen) - 1
        return RankedClass(
            place[self.images[kept]], self.outcomes[:, :, kept], self.n_truths[:, chosen]
        )

    def recalls(self, size_class: int = 0) -> NDArray[np.float64]:
        """(T,) float64, part of the objects that is found; NaN without an object."""
        n_truths = self.n_truths[size_class].sum()
        found = np.count_nonzero(self.outcomes[size_class] > 0, axis=1)
        return found / n_truths if n_truths else np.full(len(found), np.nan)


def average_precision(images: Iterable[ImageMatches]) -> PrecisionReport:
    """Mask AP, or Boundary AP, of images that `match_image` has matched.

    Parameters
    ----------
    images
        All matched with the same settings. Predictions of equal score count in the order of the
        images.

    Raises
    ------
    DatasetError
        If there is no image, or the settings differ.
    """
    matches = list(images)
    ranked = rank_classes(matches)
    thresholds = matches[0].settings.iou_thresholds
    classes = {label: _scores([one], thresholds) for label, one in ranked.items()}
    with_truth = [one for one in ranked.values() if one.n_truths[0].any()]
    overall = _scores(with_truth or list(ranked.values()), thresholds)
    return PrecisionReport(overall=overall, classes=classes, n_images=len(matches))


def rank_classes(images: Sequence[ImageMatches]) -> dict[str, RankedClass]:
    """The predictions of all images, by class and ranked.

    Raises
    ------
    DatasetError
        If there is no image, or they were matched with different settings.
    """
    found = {image.settings for image in images}
    if len(found) != 1:
        raise DatasetError(
            f"Average precision needs images matched with one setting, found {len(images)} images "
            f"and {len(found)} settings: match them anew."
        )
    (settings,) = found
    labels = sorted({label for image in images for label in image.classes})
    nothing = ClassMatches(
        np.zeros(0),
        np.zeros((len(SIZE_CLASSES), len(settings.iou_thresholds), 0), np.int8),
        np.zeros(len(SIZE_CLASSES), np.int64),
    )
    return {label: _ranked([i.classes.get(label, nothing) for i in images]) for label in labels}


def _ranked(parts: Sequence[ClassMatches]) -> RankedClass:
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    images = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    outcomes = np.concatenate([part.outcomes for part in parts], axis=2)
    n_truths = np.stack([part.n_truths for part in parts], axis=1)
    return RankedClass(images[order], outcomes[:, :, order], n_truths)


def _needed(n_truths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B, 101), how many objects must be found for each recall, as floating-point numbers see it.

    The recall ``found / n`` is compared with 0.29 and its like, which binary fractions miss by a
    little in either direction; the published code compares them so.
    """
    total = n_truths[:, None].astype(np.float64)
    needed = np.ceil(_RECALLS * total)
    needed -= (needed - 1) / total >= _RECALLS
    needed += needed / total < _RECALLS
    at_least_one: NDArray[np.int64] = np.maximum(needed, 1).astype(np.int64)
    return at_least_one


def _interpolated(
    drawn: NDArray[np.int64], answers: NDArray[np.int64], needed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean precision at the 101 recalls.

    Precision is highest where an object has just been found: nothing else need be looked at.

    Parameters
    ----------
    drawn
        (B, P), how often each prediction counts that found an object.
    answers
        (B, P), how many predictions were given up to and with it.
    needed
        (B, 101), at least 1: how many objects make each recall.

    Returns
    -------
    (B,) float64.
    """
    n_hits = drawn.shape[1]
    if not n_hits:
        return np.zeros(len(drawn))
    found = np.cumsum(drawn, axis=1)
    precision = found / np.maximum(answers, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # One search for all rows: each row's numbers lie above those of the row before.
    row = np.arange(len(found))[:, None] * (max(found[:, -1].max(), needed.max()) + 1)
    place = np.searchsorted((found + row).ravel(), needed + row)
    place -= np.arange(len(found))[:, None] * n_hits
    reached = place < n_hits
    values = np.take_along_axis(best, np.minimum(place, n_hits - 1), axis=1)
    mean: NDArray[np.float64] = (values * reached).sum(axis=1) / len(_RECALLS)
    return mean


def _scores(classes: Sequence[RankedClass], thresholds: Sequence[float]) -> PrecisionScores:
    """Means over classes that have an object of the size in question."""
    if not classes:
        return PrecisionScores(
            **dict.fromkeys(_MEANS, math.nan), recall=math.nan, n_truths=0, n_predictions=0
        )
    once = np.ones((1, classes[0].n_truths.shape[1]), np.int64)
    tables = [
        np.concatenate([one.precisions(once, place) for one in classes])
        for place in range(len(SIZE_CLASSES))
    ]
    everything, *sizes = tables
    at = [
        mean_known(everything[:, np.isclose(thresholds, level)], axis=None) for level in (0.5, 0.75)
    ]
    means = [mean_known(table, axis=None) for table in sizes]
    values = [mean_known(everything, axis=None), *at, *means]
    return PrecisionScores(
        **dict(zip(_MEANS, map(float, values), strict=True)),
        recall=float(mean_known(np.stack([one.recalls() for one in classes]), axis=None)),
        n_truths=int(sum(one.n_truths[0].sum() for one in classes)),
        n_predictions=sum(len(one.images) for one in classes),
    )


def mean_known(
    values: NDArray[np.float64], axis: int | tuple[int, ...] | None
) -> NDArray[np.float64]:
    """Mean of the values that are numbers, NaN where there is none."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).sum(axis=axis), known.sum(axis=axis)
    mean: NDArray[np.float64] = np.where(count, total / np.maximum(count, 1), np.nan)
    return mean
