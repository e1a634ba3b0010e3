"""Polygons: one ring each, so that holes and further parts need a rule."""

from typing import Any, ClassVar, Literal

import numpy as np

from labelstudio_backend.controls.control import Control, Mask, Written
from labelstudio_backend.controls.percent import corners_to_percent, percent_to_corners
from labelstudio_backend.controls.region import Region
from labelstudio_backend.values import Found
from sam_plugins.formats import fill_rings, simplified_polygons
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Size

__all__ = ["Polygon"]

_TOLERANCE = 1.0
_MIN_AREA = 16.0
_HOLES: tuple[Literal["bridge", "drop"], ...] = ("bridge", "drop")
_PARTS: tuple[Literal["split", "largest", "bridge"], ...] = ("split", "largest", "bridge")


class Polygon(Control):
    """``<Polygon>`` and ``<PolygonLabels>``.

    Its own attributes, with their defaults first: ``sam_simplify`` (1.0, pixels), ``sam_holes``
    (bridge, drop), ``sam_parts`` (split, largest, bridge), ``sam_min_area`` (16, pixels).
    """

    __slots__ = ()
    kind: ClassVar[str] = "polygon"
    prompts: ClassVar[bool] = False

    @classmethod
    def mask(cls, region: Region, size: Size) -> Mask | None:
        """The pixels whose centres lie inside it."""
        points = region.value.get("points")
        if not isinstance(points, list) or len(points) < 3:
            raise region.refused("'points' must be a list of at least three xy pairs")
        corners = percent_to_corners([_pair(region, pair) for pair in points], size)
        height, width = size
        low = np.clip(np.floor(corners.min(0)), 0, (width, height)).astype(int).tolist()
        high = np.clip(np.ceil(corners.max(0)), 0, (width, height)).astype(int).tolist()
        inside = fill_rings([corners], (low[0], low[1], high[0], high[1]))
        x0, y0, x1, y1 = mask_to_box(inside)
        if x0 == x1:
            return None
        box = (low[0] + x0, low[1] + y0, low[0] + x1, low[1] + y1)
        return inside[y0:y1, x0:x1].copy(), box

    def write(self, found: Found) -> list[Written]:
        """A ring for each part; what the attributes leave out counts as lost."""
        polygons = simplified_polygons(
            found.crop,
            found.box,
            tolerance=self.amount("sam_simplify", _TOLERANCE),
            holes=self.choice("sam_holes", _HOLES),
            parts=self.choice("sam_parts", _PARTS),
            min_area=self.amount("sam_min_area", _MIN_AREA),
        )
        return [
            Written(
                {"points": corners_to_percent(ring, found.size), "closed": True},
                polygons.area_lost,
            )
            for ring in polygons.rings
        ]


def _pair(region: Region, pair: Any) -> tuple[float, float]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise region.refused("'points' must be a list of xy pairs")
    return region.checked("points", pair[0]), region.checked("points", pair[1])
