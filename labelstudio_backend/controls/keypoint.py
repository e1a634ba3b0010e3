"""Keypoints: clicks on the object, and with Alt beside it."""

from typing import ClassVar

from labelstudio_backend.controls.control import Control
from labelstudio_backend.controls.percent import percent_to_points
from labelstudio_backend.controls.region import Region
from sam_plugins import Interaction
from sam_plugins.types import Size

__all__ = ["KeyPoint"]


class KeyPoint(Control):
    """``<KeyPoint>`` and ``<KeyPointLabels>``: prompts only."""

    __slots__ = ()
    kind: ClassVar[str] = "keypoint"
    writes: ClassVar[bool] = False

    @classmethod
    def prompt(cls, region: Region, size: Size) -> Interaction:
        """One point."""
        where = (region.number("x"), region.number("y"))
        ((x, y),) = percent_to_points([where], size).tolist()
        return Interaction(points=((x, y, int(region.positive)),))

    @classmethod
    def geometry(cls, region: Region) -> object:
        """Its place; how large it is drawn says nothing."""
        return [region.number("x"), region.number("y")]
