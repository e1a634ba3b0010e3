"""Everything-mode: all objects of a picture, from grids of clicks, as a generator."""

from sam_plugins.automatic.answers import MeasuredMask, measure_answers
from sam_plugins.automatic.crops import crop_boxes, point_grid
from sam_plugins.automatic.generate import generate_masks
from sam_plugins.automatic.overlaps import without_overlaps
from sam_plugins.automatic.search import mask_record, search_embedding
from sam_plugins.automatic.settings import (
    DEFAULT_SETTINGS,
    AutomaticSettings,
    Overlaps,
    Progress,
    default_settings,
)
from sam_plugins.automatic.suppression import is_cut_off, suppress, touches_border

__all__ = [
    "DEFAULT_SETTINGS",
    "AutomaticSettings",
    "MeasuredMask",
    "Overlaps",
    "Progress",
    "crop_boxes",
    "default_settings",
    "generate_masks",
    "is_cut_off",
    "mask_record",
    "measure_answers",
    "point_grid",
    "search_embedding",
    "suppress",
    "touches_border",
    "without_overlaps",
]
