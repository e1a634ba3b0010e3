"""When a difference between groups may be claimed, and the words for it.

A difference is claimed only where its interval excludes zero. Three things would make such claims
too easily, and each has its remedy here:

- Objects of one image resemble each other: whole images are drawn anew (the cluster bootstrap;
  Field and Welsh, J. R. Stat. Soc. B 2007), one draw for both sides, since an image can hold
  objects of several groups.
- The percentile interval of few images is too narrow: it is stretched from the difference, by the
  ratio of Student's quantile to the normal one and by ``sqrt(n / (n - 1))``, n images on the
  smaller side (the corrections of Hesterberg, The American Statistician 2015).
- Of twenty groups that are all alike, one differs by chance: for m comparisons the stretch takes
  the quantile for an error of ``(1 - confidence) / m`` (Bonferroni).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.statistics import Estimate

__all__ = [
    "GroupRow",
    "GroupTable",
    "Side",
    "Verdict",
    "check_reference",
    "draw_images",
    "judged",
    "percentile_estimate",
]

Verdict: TypeAlias = Literal[
    "lower", "higher", "no difference shown", "too few images", "nothing to compare", "reference"
]
"""What may be said of a group; only the first two claim anything."""

_CELLS_AT_ONCE = 1 << 21
_COLUMNS = ("group", "objects", "images", "mean", "interval", "difference", "its interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group, and how it differs.

    Parameters
    ----------
    group
        Its name.
    estimate
        Its mean with the plain interval, objects and images.
    difference
        The group's mean less that of the rest or of the reference, with the widened interval, and
        the group's counts; None where nothing is compared.
    verdict
        What may be said.
    sentence
        The same in plain words, with the numbers.
    """

    group: str
    estimate: Estimate
    difference: Estimate | None
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """All groups of one grouping.

    Parameters
    ----------
    rows
        One per group.
    against
        What each is compared with: "the rest", or the name of a group.
    confidence
        Of every interval.
    n_comparisons
        For how many comparisons at once the differences' intervals are widened.
    """

    rows: tuple[GroupRow, ...]
    against: str
    confidence: float
    n_comparisons: int

    @property
    def claims(self) -> tuple[GroupRow, ...]:
        """The groups that differ, as far as the data can tell."""
        return tuple(row for row in self.rows if row.verdict in ("lower", "higher"))

    def to_markdown(self) -> str:
        """The rows as a Markdown table."""
        lines = [(*_COLUMNS, f"against {self.against}"), ("---", *["---:"] * 6, "---")]
        for row in self.rows:
            e, d = row.estimate, row.difference
            lines.append(
                (
                    row.group.replace("|", "\\|").replace("\n", " "),
                    str(e.n_objects),
                    str(e.n_clusters),
                    _number(e.mean),
                    _interval(e),
                    "–" if d is None else f"{d.mean:+.3f}",
                    "–" if d is None else _interval(d),
                    row.verdict,
                )
            )
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """A group and what it is compared with, before anything is said.

    Parameters
    ----------
    group
        Its name.
    estimate
        Its mean, interval and counts.
    other_images
        Images on the other side; 0 if there is no other side.
    difference
        Of the means.
    draws
        (B,) float64, the difference in every draw of the images; NaN where a side was not drawn.
    """

    group: str
    estimate: Estimate
    other_images: int
    difference: float = math.nan
    draws: NDArray[np.float64] | None = None


def draw_images(n_images: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each image is drawn, with replacement, in every draw; a part of them at a time.

    Yields
    ------
    (b, n_images) int64, `resamples` rows in all; the same for the same seed.
    """
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // n_images)
    for start in range(0, resamples, step):
        shape = (min(step, resamples - start), n_images)
        chosen = rng.integers(n_images, size=shape)
        chosen += np.arange(shape[0])[:, None] * n_images
        counts = np.bincount(chosen.ravel(), minlength=shape[0] * n_images)
        yield counts.reshape(shape)


def percentile_estimate(
    mean: float,
    draws: NDArray[np.float64],
    *,
    confidence: float,
    n_objects: int,
    n_images: int,
) -> Estimate:
    """A mean with the percentile interval of its draws; NaN stands for a draw without it."""
    tail = (1 - confidence) / 2
    known = draws[~np.isnan(draws)]
    low = high = math.nan
    if len(known) and n_images > 1:
        low, high = (float(edge) for edge in np.quantile(known, (tail, 1 - tail)))
    return Estimate(mean=mean, low=low, high=high, n_objects=n_objects, n_clusters=n_images)


def check_reference(reference: str | None, groups: Iterable[str]) -> None:
    """Raise `DatasetError` if the reference is none of the groups."""
    names = sorted(set(groups))
    if reference is not None and reference not in names:
        raise DatasetError(
            f"The reference {reference!r} is none of the {len(names)} groups: choose one of "
            f"{', '.join(names[:10])}."
        )


def judged(
    sides: Sequence[Side],
    *,
    reference: str | None,
    min_images: int,
    confidence: float,
    widen: bool,
) -> GroupTable:
    """The table, each group with its verdict.

    Parameters
    ----------
    sides
        In the order of the rows.
    reference
        The group that all others are compared with; None for the rest.
    min_images
        Neither side may have fewer.
    confidence
        Of each interval.
    widen
        Whether the differences' intervals allow for the number of comparisons.
    """
    compared = [side for side in sides if side.draws is not None]
    # Of two groups, one is the other's rest: that is one comparison.
    mirrored = reference is None and len(sides) == 2
    comparisons = 1 if mirrored or not widen else max(1, len(compared))
    against = "the rest" if reference is None else reference
    rows = tuple(
        _row(side, reference, against, min_images, confidence, comparisons) for side in sides
    )
    return GroupTable(rows=rows, against=against, confidence=confidence, n_comparisons=comparisons)


def _row(
    side: Side,
    reference: str | None,
    against: str,
    min_images: int,
    confidence: float,
    comparisons: int,
) -> GroupRow:
    own = side.estimate
    difference: Estimate | None = None
    verdict: Verdict
    if side.group == reference:
        verdict, sentence = "reference", "The other groups are compared with this one."
    elif side.draws is not None:
        difference = _widened(side, confidence, comparisons)
        verdict, sentence = _said(difference, against, confidence)
    elif own.n_clusters < min_images:
        verdict = "too few images"
        sentence = f"Too few images to say: {own.n_clusters}, at least {min_images} are needed."
    elif side.other_images:
        verdict = "too few images"
        sentence = (
            f"Too few images to compare with: {against} has {side.other_images}, at least "
            f"{min_images} are needed."
        )
    else:
        verdict, sentence = "nothing to compare", "There is no other group."
    return GroupRow(
        group=side.group,
        estimate=own,
        difference=difference,
        verdict=verdict,
        sentence=sentence,
    )


def _widened(side: Side, confidence: float, comparisons: int) -> Estimate:
    tail = (1 - confidence) / 2
    n = min(side.estimate.n_clusters, side.other_images)
    student = special.stdtrit(n - 1, 1 - tail / comparisons) * math.sqrt(n / (n - 1))
    stretch = student / special.ndtri(1 - tail)
    draws = side.draws if side.draws is not None else np.zeros(0)
    return percentile_estimate(
        side.difference,
        side.difference + stretch * (draws - side.difference),
        confidence=confidence,
        n_objects=side.estimate.n_objects,
        n_images=side.estimate.n_clusters,
    )


def _said(difference: Estimate, against: str, confidence: float) -> tuple[Verdict, str]:
    low, high = difference.low, difference.high
    if math.isnan(low) or math.isnan(difference.mean):
        return "nothing to compare", f"The difference from {against} cannot be computed."
    percent = f"{100 * confidence:g} % interval"
    if high < 0:
        size = f"{-difference.mean:.3f} lower than {against}"
        return "lower", f"{size} ({percent} {-high:.3f} to {-low:.3f} lower)."
    if low > 0:
        size = f"{difference.mean:.3f} higher than {against}"
        return "higher", f"{size} ({percent} {low:.3f} to {high:.3f} higher)."
    sentence = f"No difference from {against} is shown ({percent} {low:+.3f} to {high:+.3f})."
    return "no difference shown", sentence


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "–"
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
