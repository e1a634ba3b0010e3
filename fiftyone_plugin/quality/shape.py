"""The shape of one mask, in numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.masking import measure_mask
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Box, Size

__all__ = ["MaskShape", "measure_shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskShape:
    """What its pixels alone tell about a mask.

    Parameters
    ----------
    area
        Pixels; 0 for an empty mask.
    components, holes
        Pieces (pixels that touch at a corner belong together), and enclosed pieces of background
        (those do not).
    borders
        How many of the picture's four edges it reaches.
    filled
        Part of the picture that it covers, 0 to 1.
    raggedness
        Length of its outline, holes included, over that of its own box; 1 for an empty mask.
    own_box
        xyxy whole pixels, x1 and y1 exclusive: the box of its pixels; zeros for an empty mask.
    """

    area: int
    components: int
    holes: int
    borders: int
    filled: float
    raggedness: float
    own_box: Box


def measure_shape(crop: NDArray[np.bool_], box: Box, size: Size) -> MaskShape:
    """Measure a mask.

    Parameters
    ----------
    crop
        (h, w) bool.
    box
        xyxy whole pixels that it covers, inside the picture.
    size
        (H, W) of the picture.
    """
    x0, y0, x1, y1 = mask_to_box(crop)
    tight = crop[y0:y1, x0:x1]
    area = int(np.count_nonzero(tight))
    if not area:
        return MaskShape(
            area=0, components=0, holes=0, borders=0, filled=0.0, raggedness=1.0, own_box=(0,) * 4
        )
    own = (box[0] + x0, box[1] + y0, box[0] + x1, box[1] + y1)
    height, width = size
    borders = (own[0] <= 0) + (own[1] <= 0) + (own[2] >= width) + (own[3] >= height)
    if area == tight.size:
        components, holes, outline = 1, 0, 2 * sum(tight.shape)
    else:
        measured = measure_mask(tight, own, size)
        components, holes = measured.components, measured.holes
        padded = np.pad(tight, 1)
        outline = int(np.count_nonzero(padded[1:] != padded[:-1]))
        outline += int(np.count_nonzero(padded[:, 1:] != padded[:, :-1]))
    return MaskShape(
        area=area,
        components=components,
        holes=holes,
        borders=int(borders),
        filled=area / (height * width),
        raggedness=outline / (2 * sum(tight.shape)),
        own_box=own,
    )
