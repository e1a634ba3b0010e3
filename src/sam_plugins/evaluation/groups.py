"""Any number by any group, with intervals: whether a model is worse for some.

The SAM paper's fairness analysis (Kirillov et al., ICCV 2023, section 6) compares mean IoU between
groups of people with intervals, and claims a difference only where they allow it. Here a grouping
is any name for each object: a field of the image, of the object, a class, a range of a number.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.comparison import (
    GroupTable,
    Side,
    check_reference,
    draw_images,
    judged,
    percentile_estimate,
)

__all__ = ["group_table", "quantile_bins"]


def group_table(
    values: ArrayLike,
    groups: Sequence[str],
    images: Sequence[str],
    *,
    reference: str | None = None,
    min_images: int = 10,
    confidence: float = 0.95,
    widen: bool = True,
    resamples: int = 4000,
    seed: int = 0,
) -> GroupTable:
    """Mean of `values` by group with intervals, and whether the groups differ.

    Intervals come from drawing whole images anew, and those of the differences are widened for few
    images and for many groups (Bonferroni), as `comparison` says. A difference between groups is
    not its reason: groups can differ in the size of their objects, say.

    Parameters
    ----------
    values
        (N,) finite numbers, one per object, or one per image: IoU, "was found" as 0 and 1, area.
    groups
        N names.
    images
        N names: which image each value comes from. An image can hold objects of several groups.
    reference
        The group that all others are compared with; None compares each with all the others
        together.
    min_images
        Nothing is said of a group from fewer images, or against fewer; at least 2.
    confidence
        Coverage of the intervals, between 0 and 1.
    widen
        False leaves out the widening for many groups: right for a single one that was chosen
        beforehand.
    resamples
        How many times the images are drawn.
    seed
        The same seed and values give the same intervals, in whatever order.

    Returns
    -------
    One row per group, in the order of their names.

    Raises
    ------
    DatasetError
        If there is no value, the lengths differ, a value is not finite, or the reference is no
        group.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) == len(groups) == len(images) or not len(numbers):
        raise DatasetError(
            f"A table needs a group and an image for each value, and at least one value; found "
            f"values of shape {numbers.shape}, {len(groups)} groups and {len(images)} images."
        )
    if not np.isfinite(numbers).all():
        missing = np.count_nonzero(~np.isfinite(numbers))
        raise DatasetError(
            f"{missing} of {len(numbers)} values are not finite: leave objects without a value "
            "out before making the table."
        )
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    image_names, image_of = np.unique(np.asarray(images), return_inverse=True)
    check_reference(reference, names.tolist())
    shape = (len(image_names), len(names))
    sums = sparse.csr_array((numbers, (image_of, group_of)), shape=shape)
    counts = sparse.csr_array((np.ones(len(numbers)), (image_of, group_of)), shape=shape)
    n_images = np.bincount(counts.indices, minlength=len(names))
    # An image with one group only is none of the rest's.
    alone = counts.indices[counts.indptr[:-1][np.diff(counts.indptr) == 1]]
    n_other = len(image_names) - np.bincount(alone, minlength=len(names))
    if reference is not None:
        n_other[:] = n_images[names == reference]
    least = max(min_images, 2)
    compared = (n_images >= least) & (n_other >= least)
    compared &= names != reference
    is_reference = names == reference
    once = np.ones((1, len(image_names)), np.int64)
    mean, other = (both[0] for both in _means(once, sums, counts, is_reference))
    draws = np.empty((2, resamples, len(names)))
    done = 0
    for drawn in draw_images(len(image_names), resamples, seed):
        draws[:, done : done + len(drawn)] = _means(drawn, sums, counts, is_reference)
        done += len(drawn)
    n_objects = np.bincount(group_of)
    sides = [
        Side(
            group=str(name),
            estimate=percentile_estimate(
                float(mean[index]),
                draws[0, :, index],
                confidence=confidence,
                n_objects=int(n_objects[index]),
                n_images=int(n_images[index]),
            ),
            other_images=int(n_other[index]),
            difference=float(mean[index] - other[index]),
            draws=draws[0, :, index] - draws[1, :, index] if compared[index] else None,
        )
        for index, name in enumerate(names)
    ]
    return judged(sides, reference=reference, min_images=least, confidence=confidence, widen=widen)


def quantile_bins(values: ArrayLike, n_bins: int = 4, *, missing: str = "no value") -> list[str]:
    """Names of groups for a number: its quarters, say, with the range that each covers.

    Parameters
    ----------
    values
        (N,) numbers; NaN is a group of its own.
    n_bins
        How many groups of about equal size. Equal values stay together, so that there can be
        fewer.
    missing
        The name of that group.

    Returns
    -------
    N names such as ``"1: 0.02 to 0.31"``, from the lowest to the highest member; in the order of
    their names, the groups rise.

    Raises
    ------
    DatasetError
        If there are fewer than one group, or the values are no list of numbers.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or n_bins < 1:
        raise DatasetError(
            f"Bins need a list of numbers and at least one bin, found shape {numbers.shape} and "
            f"{n_bins} bins."
        )
    names = np.full(len(numbers), missing, object)
    known = np.flatnonzero(~np.isnan(numbers))
    if not len(known):
        return names.tolist()
    present = numbers[known]
    edges = np.quantile(present, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    _, bins = np.unique(np.searchsorted(edges, present, side="left"), return_inverse=True)
    digits = len(str(bins.max() + 1))
    for index in range(bins.max() + 1):
        members = present[bins == index]
        low, high = f"{members.min():.4g}", f"{members.max():.4g}"
        span = low if low == high else f"{low} to {high}"
        names[known[bins == index]] = f"{index + 1:0{digits}d}: {span}"
    result: list[str] = names.tolist()
    return result


def _means(
    weights: NDArray[np.int64],
    sums: sparse.csr_array,
    counts: sparse.csr_array,
    is_reference: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each group's mean and that of its other side, for (b, images) weights; (b, groups) each."""
    total, count = weights @ sums, weights @ counts
    if is_reference.any():
        other_total, other_count = total[:, is_reference], count[:, is_reference]
    else:
        other_total = total.sum(axis=1, keepdims=True) - total
        other_count = count.sum(axis=1, keepdims=True) - count
    other = np.broadcast_to(_ratio(other_total, other_count), total.shape)
    return _ratio(total, count), other


def _ratio(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    unknown = np.full_like(total, np.nan)
    ratio: NDArray[np.float64] = np.divide(total, count, out=unknown, where=count > 0)
    return ratio
