"""Pictures larger than a model sees, in overlapping tiles, with masks that have no seams."""

from sam_plugins.tiling.everything import generate_tiled_masks
from sam_plugins.tiling.grid import TileGrid, automatic_tile
from sam_plugins.tiling.labels import (
    LabelImage,
    labels_are_complete,
    labels_described,
    write_labels,
)
from sam_plugins.tiling.session import TiledImage

__all__ = [
    "LabelImage",
    "TileGrid",
    "TiledImage",
    "automatic_tile",
    "generate_tiled_masks",
    "labels_are_complete",
    "labels_described",
    "write_labels",
]
