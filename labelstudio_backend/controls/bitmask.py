"""Bitmasks: a PNG of the whole picture, black where the object is and transparent elsewhere."""

import hashlib
from typing import ClassVar

from labelstudio_backend.controls.control import Control, Mask, Written
from labelstudio_backend.controls.png_mask import read_png_mask, region_png, write_png_mask
from labelstudio_backend.controls.region import Region
from labelstudio_backend.controls.strokes import stroke_prompt
from labelstudio_backend.errors import RequestError
from labelstudio_backend.values import Found
from sam_plugins import Interaction
from sam_plugins.types import Size

__all__ = ["Bitmask"]


class Bitmask(Control):
    """``<Bitmask>`` and ``<BitmaskLabels>``."""

    __slots__ = ()
    kind: ClassVar[str] = "bitmask"

    @classmethod
    def prompt(cls, region: Region, size: Size) -> Interaction | None:
        """Points inside the stroke; None for an empty one, or one that cannot be read."""
        try:
            found = cls.mask(region, size)
        except RequestError:
            return None
        return None if found is None else stroke_prompt(*found, region.positive)

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
