"""Which class reads and writes the regions of which tag."""

from types import MappingProxyType

from labelstudio_backend.controls.bitmask import Bitmask
from labelstudio_backend.controls.brush import Brush
from labelstudio_backend.controls.control import Control
from labelstudio_backend.controls.keypoint import KeyPoint
from labelstudio_backend.controls.polygon import Polygon
from labelstudio_backend.controls.rectangle import Rectangle

__all__ = ["KINDS", "OUTPUTS", "TAGS"]

KINDS: tuple[type[Control], ...] = (Brush, Bitmask, Polygon, Rectangle, KeyPoint)

TAGS = MappingProxyType({kind.kind + ending: kind for kind in KINDS for ending in ("", "labels")})
"""By the name of the tag in lower case, which is the type of its regions as well."""

OUTPUTS = tuple(kind for kind in KINDS if kind.writes)
"""What answers are written with, the preferred first."""
