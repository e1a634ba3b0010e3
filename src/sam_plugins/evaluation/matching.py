"""Which prediction found which known object: COCO's matching, one image at a time.

The rules are those of COCO's evaluation (Lin et al., ECCV 2014, and its published code):

- Predictions of a class choose in order of their score, ties in the order given; only the best
  `max_detections` of an image take part.
- A prediction takes the known object with the highest IoU of at least the threshold that is still
  free, the last of equals; an object that is left out is taken only if no other can be.
- A crowd region is always left out, can be taken any number of times, and its IoU is the part of
  the *prediction* that lies in it.
- For a size class, known objects of another size are left out, and so are predictions of another
  size that found nothing.

What remains of an image are a few bytes for each prediction, so that a data set of any size can be
added image by image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.metrics import band_width, boundary_band
from sam_plugins.evaluation.objects import Crop, ScoredMask, crops_of, shared_pixels
from sam_plugins.types import Size

__all__ = [
    "COCO_THRESHOLDS",
    "SIZE_CLASSES",
    "ClassMatches",
    "ImageMatches",
    "MatchSettings",
    "match_image",
]

COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""0.50, 0.55 ... 0.95."""

SIZE_CLASSES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "all": (0, 1e10),
        "small": (0, 32**2),
        "medium": (32**2, 96**2),
        "large": (96**2, 1e10),
    }
)
"""COCO's size classes: lowest and highest area in pixels, both included."""

_LIMITS = np.array(list(SIZE_CLASSES.values()), np.float64)

Overlaps: TypeAlias = list[tuple[NDArray[np.int64], NDArray[np.float64]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """How predictions are matched.

    Parameters
    ----------
    iou_thresholds
        T numbers between 0 and 1.
    max_detections
        Of each image and class, the best so many predictions. COCO takes 100; raise it where an
        image holds more objects.
    by_class
        A prediction finds only objects of its own label. False: labels play no part, and all
        objects are one class.
    boundary
        Overlap is the smaller of mask IoU and boundary IoU, as in Boundary AP (Cheng et al.,
        CVPR 2021); for a crowd, whose outline means nothing, mask IoU.
    dilation
        Width of the border band as a fraction of the image's diagonal.

    Raises
    ------
    DatasetError
        If there is no threshold, or one is not above 0 and at most 1, or nothing may be detected.
    """

    iou_thresholds: tuple[float, ...] = COCO_THRESHOLDS
    max_detections: int = 100
    by_class: bool = True
    boundary: bool = False
    dilation: float = 0.02

    def __post_init__(self) -> None:
        possible = all(0 < threshold <= 1 for threshold in self.iou_thresholds)
        if not self.iou_thresholds or not possible or self.max_detections < 1:
            raise DatasetError(
                "Matching needs IoU thresholds above 0 and at most 1, and at least one detection "
                f"per image; found {self.iou_thresholds} and {self.max_detections}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class ClassMatches:
    """What became of the predictions of one class in one image.

    Parameters
    ----------
    scores
        (D,) float64, best first.
    outcomes
        (4, T, D) int8 by size class and threshold: 1 found an object, 0 found none, -1 is left
        out.
    n_truths
        (4,) int64, objects to be found, by size class.
    """

    scores: NDArray[np.float64]
    outcomes: NDArray[np.int8]
    n_truths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ImageMatches:
    """What became of the predictions of one image, by class; without any pixels, picklable."""

    image_id: str
    classes: Mapping[str, ClassMatches]
    settings: MatchSettings = field(default_factory=MatchSettings)


def match_image(
    image_id: str,
    predictions: Sequence[ScoredMask],
    truths: Sequence[ScoredMask],
    size: Size,
    settings: MatchSettings | None = None,
) -> ImageMatches:
    """Match the predictions of one image to its known objects.

    Parameters
    ----------
    image_id
        Names the image; groups and intervals are made of images.
    predictions, truths
        Either may be empty.
    size
        (H, W) of the image.
    settings
        None takes COCO's.
    """
    settings = settings or MatchSettings()
    labels = dict.fromkeys(mask.label for mask in (*truths, *predictions))
    parts = [
        (
            label,
            [mask for mask in predictions if mask.label == label],
            [mask for mask in truths if mask.label == label],
        )
        for label in labels
    ]
    if not settings.by_class:
        parts = [("", list(predictions), list(truths))] if labels else []
    classes = {label: _match_class(found, known, size, settings) for label, found, known in parts}
    return ImageMatches(image_id, classes, settings)


def _match_class(
    predictions: list[ScoredMask], truths: list[ScoredMask], size: Size, settings: MatchSettings
) -> ClassMatches:
    scores = np.array([mask.score for mask in predictions], np.float64)
    order = np.argsort(-scores, kind="stable")[: settings.max_detections]
    predictions, scores = [predictions[index] for index in order], scores[order]
    crowd = np.array([mask.is_crowd for mask in truths], bool)
    overlaps, areas, truth_areas = _overlaps(predictions, truths, crowd, size, settings)
    left_out = _outside(truth_areas) | crowd
    outcomes = _outcomes(overlaps, left_out, crowd, np.array(settings.iou_thresholds))
    foreign = _outside(areas)[:, None, :] & (outcomes == 0)
    outcomes[foreign] = -1
    return ClassMatches(scores, outcomes, np.count_nonzero(~left_out, axis=1))


def _outcomes(
    overlaps: Overlaps,
    left_out: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
) -> NDArray[np.int8]:
    """(4, T, D) outcomes, from each prediction's rivals: indices of truths and the overlaps."""
    sizes, levels = np.ogrid[: len(left_out), : len(thresholds)]
    outcomes = np.zeros((len(left_out), len(thresholds), len(overlaps)), np.int8)
    taken = np.zeros((len(left_out), len(thresholds), len(crowd)), bool)
    for index, (rivals, ious) in enumerate(overlaps):
        near = ious >= thresholds.min()
        if not near.any():
            continue
        rivals, ious = rivals[near], ious[near]
        # From the least to the most wanted: what is left out, then by IoU, then the later one.
        by_iou = np.lexsort((rivals, ious))
        rivals, ious = rivals[by_iou], ious[by_iou]
        possible = (ious >= thresholds[:, None]) & (~taken[:, :, rivals] | crowd[rivals])
        wanted = np.arange(1, len(rivals) + 1) + len(rivals) * ~left_out[:, None, rivals]
        best = np.argmax(wanted * possible, axis=2)
        found = possible.any(axis=2)
        chosen = rivals[best]
        taken[sizes, levels, chosen] |= found
        outcomes[:, :, index] = np.where(left_out[sizes, chosen], -found.astype(np.int8), found)
    return outcomes


def _overlaps(
    predictions: list[ScoredMask],
    truths: list[ScoredMask],
    crowd: NDArray[np.bool_],
    size: Size,
    settings: MatchSettings,
) -> tuple[Overlaps, NDArray[np.int64], NDArray[np.int64]]:
    """Every prediction's rivals, and the areas of predictions and truths."""
    found, known = crops_of(predictions), crops_of(truths)
    shared = shared_pixels(found, known)
    of_crowd = crowd[shared.second]
    in_crowd = shared.pixels / shared.first_areas[shared.first]
    ious = np.where(of_crowd, in_crowd, shared.ious)
    if settings.boundary:
        width = band_width(size, settings.dilation)
        bands = shared_pixels(_banded(found, width), _banded(known, width))
        table = dict(zip(zip(bands.first, bands.second, strict=True), bands.ious, strict=True))
        pairs = zip(shared.first, shared.second, strict=True)
        along = np.array([table.get(pair, 0.0) for pair in pairs], np.float64)
        ious = np.where(of_crowd, ious, np.minimum(ious, along))
    ends = np.searchsorted(shared.first, np.arange(len(found) + 1))
    overlaps = [(shared.second[start:end], ious[start:end]) for start, end in pairwise(ends)]
    return overlaps, shared.first_areas, shared.second_areas


def _banded(crops: list[Crop], width: int) -> list[Crop]:
    return [(boundary_band(crop, width), box) for crop, box in crops]


def _outside(areas: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(4, N) bool: the mask is not of that size class."""
    outside: NDArray[np.bool_] = (areas < _LIMITS[:, :1]) | (areas > _LIMITS[:, 1:])
    return outside
