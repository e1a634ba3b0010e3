"""Brush strokes: masks in Label Studio's own run lengths."""

import hashlib
from typing import ClassVar

from labelstudio_backend.controls.control import Mask, Written
from labelstudio_backend.controls.png_mask import read_png_mask, region_png
from labelstudio_backend.controls.region import Region
from labelstudio_backend.controls.strokes import Stroke
from labelstudio_backend.values import Found
from sam_plugins.errors import ImageError
from sam_plugins.formats import brush_rle_to_crop, crop_to_brush_rle
from sam_plugins.types import Size

__all__ = ["Brush"]


class Brush(Stroke):
    """``<Brush>`` and ``<BrushLabels>``."""

    __slots__ = ()
    kind: ClassVar[str] = "brush"

    @classmethod
    def geometry(cls, region: Region) -> object:
        """A hash of its run lengths, or of its picture while it is being drawn."""
        shown = region.value.get("rle") or region_png(region)
        return hashlib.sha256(repr(shown).encode()).hexdigest()

    @classmethod
    def mask(cls, region: Region, size: Size) -> Mask | None:
        """Its pixels."""
        rle = region.value.get("rle")
        if rle is None:
            return read_png_mask(region, size)
        if not isinstance(rle, list):
            raise region.refused(f"'rle' must be a list of numbers, found {type(rle).__name__}")
        try:
            crop, box = brush_rle_to_crop(rle, size)
        except ImageError as error:
            raise region.refused(str(error).rstrip(".")) from error
        return (crop, box) if crop.size else None

    def write(self, found: Found) -> list[Written]:
        """All its pixels."""
        rle = crop_to_brush_rle(found.crop, found.box, found.size)
        return [Written({"format": "rle", "rle": rle})]
