"""Everything-mode: all objects of a picture, from a grid of clicks, as a generator.

Kirillov et al. (2023), section 5 and appendix B: each point of a regular grid is answered with
three masks; answers the model doubts, or that change when the threshold moves, are dropped; of
boxes that overlap too much the one with the highest predicted IoU stays.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import PromptError
from sam_plugins.formats.rle import crop_to_rle, mask_to_rle, rle_to_mask
from sam_plugins.masks import (
    box_nms,
    mask_area,
    mask_to_box,
    remove_small_regions,
    stability_score,
)
from sam_plugins.ports import Segmenter
from sam_plugins.types import Box, Image, MaskRecord, Masks, Prompt, Rle, Size

__all__ = [
    "DEFAULT_SETTINGS",
    "AutomaticSettings",
    "Progress",
    "default_settings",
    "generate_masks",
    "point_grid",
]

_POINTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomaticSettings:
    """How everything-mode searches and what it keeps. The defaults are the published ones.

    Parameters
    ----------
    points_per_side
        The grid has this many points squared.
    pred_iou_thresh
        Keep masks whose predicted IoU is greater; 0 keeps all.
    stability_score_thresh, stability_score_offset
        Keep masks whose stability at this offset is at least this; 0 keeps all.
    box_nms_thresh
        Of two masks whose boxes have a greater IoU the one with less predicted IoU goes.
    max_area_fraction
        Drop masks that cover more of the picture: they are the background.
    min_mask_region_area
        Fill holes and drop islands of fewer pixels; 0 leaves masks as they are.
    max_masks
        Keep only so many, the highest predicted IoU first; None keeps all.

    Raises
    ------
    PromptError
        If a number is out of its range.
    """

    points_per_side: int = 32
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    max_area_fraction: float = 0.95
    min_mask_region_area: int = 0
    max_masks: int | None = None

    def __post_init__(self) -> None:
        _require("points_per_side", self.points_per_side, 1, 256)
        for name in (
            "pred_iou_thresh",
            "stability_score_thresh",
            "box_nms_thresh",
            "max_area_fraction",
        ):
            _require(name, getattr(self, name), 0, 1)
        _require("stability_score_offset", self.stability_score_offset, 0, 100)
        _require("min_mask_region_area", self.min_mask_region_area, 0, 2**32)
        if self.max_masks is not None:
            _require("max_masks", self.max_masks, 1, 2**32)


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise PromptError(f"{name} must be from {low} to {high}, found {value}.")


DEFAULT_SETTINGS: Mapping[str, AutomaticSettings] = MappingProxyType(
    {
        "nano": AutomaticSettings(pred_iou_thresh=0.5, stability_score_thresh=0.8),
    }
)
"""Settings of models that the published ones do not suit, by `SegmenterInfo.name`.

Thresholds are in the model's own scale: a smaller model predicts lower IoUs for masks as good.
"""


def default_settings(name: str) -> AutomaticSettings:
    """The settings that suit the model of this `SegmenterInfo.name`; published ones if unknown."""
    return DEFAULT_SETTINGS.get(name, AutomaticSettings())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work has come: `done` of `total` steps, and what is being done."""

    done: int
    total: int
    message: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A mask that passed the filters: nothing of it is held at the size of the picture."""

    rle: Rle
    box: Box
    area: int
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    window: Box

    @property
    def inclusive_box(self) -> Box:
        """Box that ends at its last pixels: what the published suppression compares."""
        x0, y0, x1, y1 = self.box
        return x0, y0, x1 - 1, y1 - 1


def generate_masks(
    segmenter: Segmenter, image: Image, settings: AutomaticSettings | None = None
) -> Iterator[Progress | MaskRecord]:
    """Find every object of a picture.

    Parameters
    ----------
    segmenter
        Any model.
    image
        (H, W, 3) uint8 RGB.
    settings
        What to search and keep; by default what suits the model (`default_settings`).

    Yields
    ------
    Progress, then MaskRecord
        Progress while the grid is answered (a step is a point), then the masks, highest
        predicted IoU first. Closing the generator stops the work at the next step. Memory does
        not grow with the number of masks times the size of the picture: masks are run lengths.

    Raises
    ------
    ImageError
        If `image` is not such an array.
    """
    settings = settings or default_settings(segmenter.info.name)
    height, width = image.shape[:2]
    found = yield from _search_window(segmenter, image, (0, 0, width, height), settings)
    if settings.min_mask_region_area and found:
        found = _without_small_regions(found, settings)
    for candidate in found[: settings.max_masks]:
        yield MaskRecord(
            segmentation=candidate.rle,
            box=candidate.box,
            area=candidate.area,
            predicted_iou=candidate.predicted_iou,
            stability_score=candidate.stability_score,
            point_coords=candidate.point,
            crop_box=candidate.window,
        )


def point_grid(points_per_side: int, region: Box) -> NDArray[np.float64]:
    """Centres of the cells of a regular grid.

    Parameters
    ----------
    points_per_side
        n; positions are ``(i + 0.5) / n`` of the region's sides.
    region
        xyxy in pixels.

    Returns
    -------
    (n * n, 2) float64 xy in pixels of the whole image, row by row.
    """
    x0, y0, x1, y1 = region
    steps = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(x0 + steps * (x1 - x0), y0 + steps * (y1 - y0))
    return np.stack((x.ravel(), y.ravel()), axis=1)


def _search_window(
    segmenter: Segmenter, image: Image, window: Box, settings: AutomaticSettings
) -> Generator[Progress, None, list[_Candidate]]:
    """Answer a grid of points in one window and suppress duplicates."""
    points = point_grid(settings.points_per_side, window)
    yield Progress(0, len(points), "Encoding the picture")
    embedding = segmenter.encode(image, region=window)
    found: list[_Candidate] = []
    for start in range(0, len(points), _POINTS_AT_ONCE):
        yield Progress(start, len(points), "Answering a grid of points")
        some = points[start : start + _POINTS_AT_ONCE]
        prompts = [Prompt(point_coords=[point], point_labels=[1]) for point in some]
        answers = segmenter.decode_many(embedding, prompts, multimask_output=True)
        for point, masks in zip(some, answers, strict=True):
            found.extend(_accepted(masks, (float(point[0]), float(point[1])), settings))
    yield Progress(len(points), len(points), "Removing duplicates")
    scores = [candidate.predicted_iou for candidate in found]
    return _suppressed(found, scores, settings.box_nms_thresh)


def _accepted(
    masks: Masks, point: tuple[float, float], settings: AutomaticSettings
) -> Iterator[_Candidate]:
    """The answers to one point that pass the filters, in the published order of filters."""
    for index, score in enumerate(masks.iou_predictions.tolist()):
        if 0 < settings.pred_iou_thresh >= score:
            continue
        threshold, offset = masks.mask_threshold, settings.stability_score_offset
        logits, (x0, y0, _, _) = masks.logits_above(index, threshold - offset)
        stability = float(stability_score(logits, threshold, offset))
        if 0 < settings.stability_score_thresh > stability:
            continue
        mask = logits > threshold
        area = mask_area(mask)
        if not 0 < area <= settings.max_area_fraction * _pixels(masks.original_size):
            continue
        left, top, right, bottom = mask_to_box(mask)
        box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
        yield _Candidate(
            rle=crop_to_rle(mask[top:bottom, left:right], box, masks.original_size),
            box=box,
            area=area,
            predicted_iou=score,
            stability_score=stability,
            point=point,
            window=masks.region,
        )


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _suppressed(
    found: list[_Candidate], scores: list[float], iou_threshold: float
) -> list[_Candidate]:
    boxes = [candidate.inclusive_box for candidate in found]
    return [found[int(i)] for i in box_nms(boxes, scores, iou_threshold)]


def _without_small_regions(
    found: list[_Candidate], settings: AutomaticSettings
) -> list[_Candidate]:
    """Fill small holes, drop small islands, then suppress again, untouched masks first."""
    cleaned: list[_Candidate] = []
    scores: list[float] = []
    for candidate in found:
        whole = rle_to_mask(candidate.rle)
        filled, had_holes = remove_small_regions(whole, settings.min_mask_region_area, "holes")
        mask, had_islands = remove_small_regions(filled, settings.min_mask_region_area, "islands")
        scores.append(float(not (had_holes or had_islands)))
        if had_holes or had_islands:
            candidate = _Candidate(
                rle=mask_to_rle(mask),
                box=mask_to_box(mask),
                area=mask_area(mask),
                predicted_iou=candidate.predicted_iou,
                stability_score=candidate.stability_score,
                point=candidate.point,
                window=candidate.window,
            )
        cleaned.append(candidate)
    kept = _suppressed(cleaned, scores, settings.box_nms_thresh)
    return sorted(kept, key=lambda candidate: -candidate.predicted_iou)
