"""Bitmasks: a PNG of the whole picture, black where the object is and transparent elsewhere."""

import hashlib
from typing import ClassVar

from labelstudio_backend.controls.control import Mask, Written
from labelstudio_backend.controls.png_mask import read_png_mask, region_png, write_png_mask
from labelstudio_backend.controls.region import Region
from labelstudio_backend.controls.strokes import Stroke
from labelstudio_backend.values import Found
from sam_plugins.types import Size

__all__ = ["Bitmask"]


class Bitmask(Stroke):
    """``<Bitmask>`` and ``<BitmaskLabels>``."""

    __slots__ = ()
    kind: ClassVar[str] = "bitmask"

    @classmethod
    def geometry(cls, region: Region) -> object:
        """A hash of its picture."""
        return hashlib.sha256(repr(region_png(region)).encode()).hexdigest()

    @classmethod
    def mask(cls, region: Region, size: Size) -> Mask | None:
        """The pixels that are not transparent."""
        return read_png_mask(region, size)

    def write(self, found: Found) -> list[Written]:
        """All its pixels."""
        return [Written({"imageDataURL": write_png_mask(found.crop, found.box, found.size)})]
