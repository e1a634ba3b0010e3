"""Everything-mode: all objects of a picture, from a grid of clicks, as a generator.

Kirillov et al. (2023), section 5 and appendix B: each point of a regular grid is answered with
three masks; answers the model doubts, or that change when the threshold moves, are dropped; of
boxes that overlap too much the one with the highest predicted IoU stays.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
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
from sam_plugins.types import Box, Image, MaskRecord, Masks, Prompt

__all__ = [
    "DEFAULT_SETTINGS",
    "AutomaticSettings",
    "Progress",
    "default_settings",
    "generate_masks",
    "mask_record",
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
        "nano": AutomaticSettings(
            points_per_side=16, pred_iou_thresh=0.5, stability_score_thresh=0.8
        ),
    }
)
"""Settings of models that the published ones do not suit, by `SegmenterInfo.name`.

Thresholds are in the model's own scale: a smaller model predicts lower IoUs for masks as good. A
model that sees fewer pixels needs fewer points for the same distance between them.
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
    yield from found[: settings.max_masks]


def mask_record(
    masks: Masks, index: int, point: tuple[float, float], stability_score_offset: float = 1.0
) -> MaskRecord:
    """One answer as a record, with its stability measured at the size of the picture.

    Parameters
    ----------
    masks
        Answers to a prompt.
    index
        Which of them.
    point
        The xy that the record names as its prompt.
    stability_score_offset
        As in `AutomaticSettings`.
    """
    threshold = masks.mask_threshold
    logits, (x0, y0, _, _) = masks.logits_above(index, threshold - stability_score_offset)
    mask = logits > threshold
    left, top, right, bottom = mask_to_box(mask) if mask.size else (0, 0, 0, 0)
    box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
    return MaskRecord(
        segmentation=crop_to_rle(mask[top:bottom, left:right], box, masks.original_size),
        box=box,
        area=mask_area(mask),
        predicted_iou=float(masks.iou_predictions[index]),
        stability_score=float(stability_score(logits, threshold, stability_score_offset)),
        point_coords=point,
        crop_box=masks.region,
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
) -> Generator[Progress, None, list[MaskRecord]]:
    """Answer a grid of points in one window and suppress duplicates."""
    points = point_grid(settings.points_per_side, window)
    yield Progress(0, len(points), "Encoding the picture")
    embedding = segmenter.encode(image, region=window)
    found: list[MaskRecord] = []
    for start in range(0, len(points), _POINTS_AT_ONCE):
        yield Progress(start, len(points), "Answering a grid of points")
        some = points[start : start + _POINTS_AT_ONCE]
        prompts = [Prompt(point_coords=[point], point_labels=[1]) for point in some]
        answers = segmenter.decode_many(embedding, prompts, multimask_output=True)
        for point, masks in zip(some, answers, strict=True):
            found.extend(_accepted(masks, (float(point[0]), float(point[1])), settings))
    yield Progress(len(points), len(points), "Removing duplicates")
    scores = [record.predicted_iou for record in found]
    return _suppressed(found, scores, settings.box_nms_thresh)


def _accepted(
    masks: Masks, point: tuple[float, float], settings: AutomaticSettings
) -> Iterator[MaskRecord]:
    """The answers to one point that pass the filters, in the published order of filters."""
    height, width = masks.original_size
    for index, score in enumerate(masks.iou_predictions.tolist()):
        if 0 < settings.pred_iou_thresh >= score:
            continue
        record = mask_record(masks, index, point, settings.stability_score_offset)
        if 0 < settings.stability_score_thresh > record.stability_score:
            continue
        if 0 < record.area <= settings.max_area_fraction * height * width:
            yield record


def _suppressed(
    found: list[MaskRecord], scores: list[float], iou_threshold: float
) -> list[MaskRecord]:
    """Box suppression as published: on boxes that end at their last pixel."""
    boxes = [(x0, y0, x1 - 1, y1 - 1) for x0, y0, x1, y1 in (record.box for record in found)]
    return [found[int(i)] for i in box_nms(boxes, scores, iou_threshold)]


def _without_small_regions(
    found: list[MaskRecord], settings: AutomaticSettings
) -> list[MaskRecord]:
    """Fill small holes, drop small islands, then suppress again, untouched masks first."""
    cleaned: list[MaskRecord] = []
    scores: list[float] = []
    for record in found:
        whole = rle_to_mask(record.segmentation)
        filled, had_holes = remove_small_regions(whole, settings.min_mask_region_area, "holes")
        mask, had_islands = remove_small_regions(filled, settings.min_mask_region_area, "islands")
        changed = had_holes or had_islands
        if changed:
            record = replace(
                record, segmentation=mask_to_rle(mask), box=mask_to_box(mask), area=mask_area(mask)
            )
        cleaned.append(record)
        scores.append(float(not changed))
    kept = _suppressed(cleaned, scores, settings.box_nms_thresh)
    return sorted(kept, key=lambda record: -record.predicted_iou)
