"""What everything-mode searches and what it keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from sam_plugins.errors import PromptError

__all__ = ["DEFAULT_SETTINGS", "AutomaticSettings", "Overlaps", "Progress", "default_settings"]

Overlaps: TypeAlias = Literal["keep", "small_on_top", "best_on_top"]
"""Whether masks may share pixels, and if not, which of two keeps what they share."""


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
    crop_n_layers
        Search crops of the picture as well: layer i has ``2 ** i`` of them per side. Small objects
        are found that the whole picture, made small enough for the model, does not show.
    crop_overlap_ratio
        How much crops of the first layer overlap, as a fraction of the picture's shorter side;
        half of that in the next, and so on.
    crop_n_points_downscale_factor
        The grid of layer i has ``points_per_side / factor ** i`` points per side.
    crop_nms_thresh
        As `box_nms_thresh`, between crops: the mask from the smaller crop stays.
    crop_edge_margin
        Masks that come so near to the edge of their crop, pixels, are cut off by it and dropped,
        except at the edge of the picture; 0 keeps all.
    skip_whole_image
        Search only the crops.
    min_area, max_area
        Drop masks of fewer, or more, pixels; None does not limit.
    max_area_fraction
        Drop masks that cover more of the picture: they are the background.
    min_mask_region_area
        Fill holes and drop islands of fewer pixels; 0 leaves masks as they are.
    exclude_border
        Drop masks that touch the edge of the picture, once duplicates are removed.
    max_masks
        Keep only so many, the highest predicted IoU first; None keeps all.
    overlaps
        "keep": masks may share pixels, as a button does with its shirt. "small_on_top" and
        "best_on_top": each pixel belongs to one mask, the smaller one or the one with the higher
        predicted IoU; what lies below loses those pixels, and is dropped if none are left.
    min_visible
        Where masks share no pixels: drop those that keep no more than this fraction of theirs.

    Raises
    ------
    PromptError
        If a number is out of its range, or nothing is left to search.
    """

    points_per_side: int = 32
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    crop_nms_thresh: float = 0.7
    crop_edge_margin: int = 20
    skip_whole_image: bool = False
    min_area: int = 0
    max_area: int | None = None
    max_area_fraction: float = 0.95
    min_mask_region_area: int = 0
    exclude_border: bool = False
    max_masks: int | None = None
    overlaps: Overlaps = "keep"
    min_visible: float = 0.0

    def allows(self, area: int, pixels: int) -> bool:
        """Whether an object of `area` has a size that is wanted in a picture of `pixels`."""
        largest = self.max_area_fraction * pixels
        if self.max_area is not None:
            largest = min(largest, self.max_area)
        return self.min_area <= area <= largest

    def __post_init__(self) -> None:
        _require("points_per_side", self.points_per_side, 1, 256)
        _require("crop_n_layers", self.crop_n_layers, 0, 6)
        _require("crop_n_points_downscale_factor", self.crop_n_points_downscale_factor, 1, 256)
        for name in (
            "pred_iou_thresh",
            "stability_score_thresh",
            "box_nms_thresh",
            "crop_nms_thresh",
            "max_area_fraction",
            "min_visible",
        ):
            _require(name, getattr(self, name), 0, 1)
        _require("crop_overlap_ratio", self.crop_overlap_ratio, 0, 0.9)
        _require("stability_score_offset", self.stability_score_offset, 0, 100)
        for name in ("crop_edge_margin", "min_area", "min_mask_region_area"):
            _require(name, getattr(self, name), 0, 2**32)
        for name in ("max_area", "max_masks"):
            if getattr(self, name) is not None:
                _require(name, getattr(self, name), 1, 2**32)
        if self.overlaps not in get_args(Overlaps):
            raise PromptError(
                f"overlaps must be one of {', '.join(get_args(Overlaps))}, found {self.overlaps!r}."
            )
        if self.skip_whole_image and not self.crop_n_layers:
            raise PromptError(
                "skip_whole_image leaves nothing to search without crops: set crop_n_layers to 1 "
                "or more."
            )


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
