"""Pictures larger than a model sees, in overlapping tiles, with masks that have no seams."""

from sam_plugins.tiling.grid import TileGrid, automatic_tile
from sam_plugins.tiling.session import TiledImage

__all__ = ["TileGrid", "TiledImage", "automatic_tile"]
