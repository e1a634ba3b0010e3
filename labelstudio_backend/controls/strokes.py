"""Strokes drawn by hand as prompts: a few points well inside each."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from labelstudio_backend.controls.control import Control
from labelstudio_backend.controls.region import Region
from labelstudio_backend.errors import RequestError
from sam_plugins import Interaction
from sam_plugins.types import Box, Size

__all__ = ["Stroke", "stroke_prompt"]

_MOST_POINTS = 8
_LONGEST = 512
"""Longest side on which points are looked for; more only takes longer."""


def stroke_prompt(crop: NDArray[np.bool_], box: Box, positive: bool) -> Interaction | None:
    """At most eight points of a stroke, far from its edge and far from each other.

    Parameters
    ----------
    crop, box
        The pixels of the stroke and their xyxy in the picture.
    positive
        Whether it lies on the object.

    Returns
    -------
    Each point as a scribble of one vertex, so that the model is asked about all of them at once;
    None for an empty stroke.
    """
    if not crop.any():
        return None
    stride = -(-max(crop.shape) // _LONGEST)
    seen = crop[::stride, ::stride]
    if not seen.any():
        stride, seen = 1, crop
    depth = ndimage.distance_transform_edt(np.pad(seen, 1))[1:-1, 1:-1]
    deepest = float(depth.max())
    inside = np.argwhere(depth >= deepest / 2)
    chosen = [np.array(np.unravel_index(int(np.argmax(depth)), depth.shape))]
    away = np.hypot(*(inside - chosen[0]).T)
    while len(chosen) < _MOST_POINTS and float(away.max()) > 2 * deepest:
        # Of those about as far away the one deepest inside.
        far = inside[away >= away.max() - deepest / 2]
        chosen.append(far[int(np.argmax(depth[far[:, 0], far[:, 1]]))])
        away = np.minimum(away, np.hypot(*(inside - chosen[-1]).T))
    places = [(box[0] + int(x) * stride, box[1] + int(y) * stride) for y, x in chosen]
    return Interaction(scribbles=tuple((((float(x), float(y)),), int(positive)) for x, y in places))


class Stroke(Control):
    """A tag whose regions are masks painted by hand."""

    __slots__ = ()

    @classmethod
    def prompt(cls, region: Region, size: Size) -> Interaction | None:
        """Points inside the stroke; None for an empty one, or one that cannot be read."""
        try:
            found = cls.mask(region, size)
        except RequestError:
            return None
        return None if found is None else stroke_prompt(*found, region.positive)
