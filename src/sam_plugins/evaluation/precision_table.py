"""Mask AP by group of images, with intervals: the matches are drawn anew, not made anew.

What `match_image` found in an image does not depend on other images. A draw of the bootstrap
therefore only counts each image so many times; nothing is matched twice.

The fewer the images, the higher AP comes out by chance: its envelope takes the highest precision
that is left. A draw, in which some images are missing, is too high by about as much as the
estimate itself, so that the intervals are basic ones (Davison and Hinkley, Bootstrap Methods and
their Application, 1997, section 5.2), which mirror the draws at the estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.comparison import (
    GroupTable,
    Side,
    check_reference,
    draw_images,
    judged,
    percentile_estimate,
)
from sam_plugins.evaluation.matching import SIZE_CLASSES, ImageMatches
from sam_plugins.evaluation.precision import RankedClass, mean_known, rank_classes
from sam_plugins.evaluation.statistics import Estimate

__all__ = ["precision_groups"]


def precision_groups(
    matches: Sequence[ImageMatches],
    groups: Sequence[str],
    *,
    reference: str | None = None,
    iou_threshold: float | None = None,
    size_class: str = "all",
    min_images: int = 10,
    confidence: float = 0.95,
    widen: bool = True,
    resamples: int = 1000,
    seed: int = 0,
) -> GroupTable:
    """AP by group with intervals, and whether the groups differ.

    AP is the mean over classes, so that groups with other classes differ for that reason alone;
    match with ``by_class=False``, or one class at a time, to leave that out.

    Parameters
    ----------
    matches
        N images, matched with the same settings. An image is of one group only: a prediction that
        found nothing belongs to no object.
    groups
        N names.
    reference
        The group that all others are compared with; None compares each with all the others
        together.
    iou_threshold
        One of the settings' thresholds, such as 0.5 for AP50; None takes the mean over all.
    size_class
        A key of `SIZE_CLASSES`.
    min_images, confidence, widen, resamples, seed
        As in `group_table`.

    Returns
    -------
    One row per group, in the order of their names; `Estimate.n_objects` counts objects to be
    found.

    Raises
    ------
    DatasetError
        If there is no image, the lengths differ, settings differ, or the reference, the threshold
        or the size class is unknown.
    """
    if len(groups) != len(matches):
        raise DatasetError(
            f"AP by group needs one group for each image, found {len(matches)} images and "
            f"{len(groups)} groups."
        )
    classes = _chosen(matches, iou_threshold, size_class)
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    check_reference(reference, names.tolist())
    members = [group_of == index for index in range(len(names))]
    if reference is None:
        others = [~own for own in members]
    else:
        others = [members[names.tolist().index(reference)]] * len(names)
    least = max(min_images, 2)
    compared = [
        min(own.sum(), other.sum()) >= least and name != reference
        for name, own, other in zip(names, members, others, strict=True)
    ]
    # One group's rest can be another group, and a reference is the other side of all.
    wanted = [own.tobytes() for own in members]
    opposite = [
        other.tobytes() if against else None
        for other, against in zip(others, compared, strict=True)
    ]
    masks = dict(zip(wanted, members, strict=True)) | {
        key: other for key, other in zip(opposite, others, strict=True) if key is not None
    }
    parts = {key: _Part.of(classes, mask) for key, mask in masks.items()}
    draws = {key: np.full(resamples, np.nan) for key in parts}
    done = 0
    for drawn in draw_images(len(matches), resamples, seed):
        for key, part in parts.items():
            draws[key][done : done + len(drawn)] = part.ap(drawn)
        done += len(drawn)
    once = np.ones((1, len(matches)), np.int64)
    aps = {key: float(part.ap(once)[0]) for key, part in parts.items()}
    sides = [
        Side(
            group=str(name),
            estimate=parts[own].estimate(aps[own], draws[own], confidence),
            other_images=0 if name == reference else int(other_images.sum()),
            difference=aps[own] - aps[other] if other else np.nan,
            draws=_mirrored(draws[own] - draws[other], aps[own] - aps[other]) if other else None,
        )
        for name, own, other, other_images in zip(names, wanted, opposite, others, strict=True)
    ]
    return judged(sides, reference=reference, min_images=least, confidence=confidence, widen=widen)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some of the images: their places, and their classes that have an object."""

    images: NDArray[np.int64]
    classes: tuple[RankedClass, ...]

    @classmethod
    def of(cls, classes: Sequence[RankedClass], chosen: NDArray[np.bool_]) -> "_Part":
        parts = tuple(part for one in classes if (part := one.of(chosen)).n_truths.any())
        return cls(np.flatnonzero(chosen), parts)

    def ap(self, drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        """(b,) AP in every draw of all images; NaN where no object is drawn."""
        weights = drawn[:, self.images]
        if not self.classes:
            return np.full(len(drawn), np.nan)
        found = [one.precisions(weights) for one in self.classes]
        return mean_known(np.stack(found), axis=(0, 2))

    def estimate(self, ap: float, draws: NDArray[np.float64], confidence: float) -> Estimate:
        """The AP of these images with its interval, which ends at 0 and 1."""
        return percentile_estimate(
            ap,
            np.clip(_mirrored(draws, ap), 0, 1),
            confidence=confidence,
            n_objects=int(sum(one.n_truths.sum() for one in self.classes)),
            n_images=len(self.images),
        )


def _mirrored(draws: NDArray[np.float64], point: float) -> NDArray[np.float64]:
    """The draws on the other side of the estimate: what makes a percentile interval a basic one."""
    return 2 * point - draws


def _chosen(
    matches: Sequence[ImageMatches], iou_threshold: float | None, size_class: str
) -> list[RankedClass]:
    """The ranked predictions of one size class, at the wanted thresholds."""
    ranked = rank_classes(matches)
    thresholds = matches[0].settings.iou_thresholds
    if size_class not in SIZE_CLASSES:
        raise DatasetError(
            f"The size class must be one of {', '.join(SIZE_CLASSES)}, found {size_class!r}."
        )
    wanted: NDArray[np.bool_] = np.ones(len(thresholds), bool)
    if iou_threshold is not None:
        wanted = np.isclose(thresholds, iou_threshold)
    if not wanted.any():
        raise DatasetError(
            f"The images were matched at the thresholds {', '.join(f'{t:g}' for t in thresholds)}; "
            f"{iou_threshold} is none of them."
        )
    place = list(SIZE_CLASSES).index(size_class)
    return [
        RankedClass(one.images, one.outcomes[place][None, wanted], one.n_truths[[place]])
        for one in ranked.values()
    ]
