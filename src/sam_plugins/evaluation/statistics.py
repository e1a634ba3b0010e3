"""Means of objects that come in groups, with intervals that know it.

Objects of one image resemble each other: forty nuclei of one plate are not forty independent
observations. The interval is therefore found by drawing whole images anew (the cluster
bootstrap), not objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Estimate", "cluster_mean", "paired_difference"]

_CELLS_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over objects and its interval.

    Parameters
    ----------
    mean
        Over all objects, each with the same weight.
    low, high
        The interval; NaN when all objects come from one image, which cannot say how much
        images differ.
    n_objects, n_clusters
        How many objects, from how many images.
    """

    mean: float
    low: float
    high: float
    n_objects: int
    n_clusters: int


def cluster_mean(
    values: ArrayLike,
    clusters: Sequence[str],
    *,
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> Estimate:
    """Mean of `values` with a percentile interval from the cluster bootstrap.

    Each resample draws as many clusters as there are, with replacement, and takes the mean over
    all their objects. The order of the values plays no part.

    Parameters
    ----------
    values
        (N,) numbers, N > 0.
    clusters
        N names: which image each value comes from.
    confidence
        Coverage of the interval, between 0 and 1.
    resamples
        How many times the clusters are drawn.
    seed
        The same seed and values give the same interval.

    Raises
    ------
    ValueError
        If there is no value, or the lengths differ.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or len(numbers) != len(clusters):
        raise ValueError(
            f"A mean needs at least one value and one cluster name for each, found values of "
            f"shape {numbers.shape} and {len(clusters)} names."
        )
    names, membership = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(membership, weights=numbers)
    counts = np.bincount(membership)
    low = high = float("nan")
    if len(names) > 1:
        rng = np.random.default_rng(seed)
        equal = np.full(len(names), 1 / len(names))
        step = max(1, _CELLS_AT_ONCE // len(names))
        means = np.empty(resamples)
        for start in range(0, resamples, step):
            part = means[start : start + step]
            draws = rng.multinomial(len(names), equal, size=len(part))
            part[:] = (draws @ sums) / (draws @ counts)
        tail = (1 - confidence) / 2
        low, high = (float(edge) for edge in np.quantile(means, (tail, 1 - tail)))
    return Estimate(
        mean=float(sums.sum() / counts.sum()),
        low=low,
        high=high,
        n_objects=len(numbers),
        n_clusters=len(names),
    )


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Sequence[str],
    *,
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> Estimate:
    """Mean of ``first - second`` on the same objects, with its interval.

    Two methods that find the same objects hard have wide intervals each and a narrow one for
    their difference; an interval above zero says that the first is better.

    Parameters
    ----------
    first, second
        (N,) numbers, both in the same order of objects.
    clusters, confidence, resamples, seed
        As in `cluster_mean`.

    Raises
    ------
    ValueError
        If there is no value, or the lengths differ.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape:
        raise ValueError(
            f"A paired difference needs the same objects twice, found {one.shape} and "
            f"{other.shape} values."
        )
    return cluster_mean(
        one - other, clusters, confidence=confidence, resamples=resamples, seed=seed
    )
