"""What is measured, and where."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Box, Embedding, Masks, Size

__all__ = ["MaskStatistics", "Window", "stable_enough"]


@dataclass(frozen=True, slots=True, eq=False)
class MaskStatistics:
    """One mask in numbers.

    Parameters
    ----------
    outer, inner
        Pixels above the threshold minus, and plus, the offset.
    area
        Pixels of the mask.
    box
        xyxy in the image, x1 and y1 exclusive; zeros for an empty mask.
    runs
        int64 run lengths of the whole image column by column, starting with background, as COCO
        counts them. None for a mask that is empty or not stable enough.
    """

    outer: int
    inner: int
    area: int
    box: Box
    runs: NDArray[np.int64] | None = field(repr=False)

    @property
    def stability_score(self) -> float:
        """IoU of the masks at the threshold plus and minus the offset, in single precision."""
        return float(np.float32(self.inner) / np.float32(max(self.outer, 1)))


@dataclass(frozen=True, slots=True)
class Window:
    """The part of an image that low-resolution logits cover: what is needed to enlarge them.

    Parameters
    ----------
    region
        xyxy in pixels of the whole image.
    original_size
        (H, W) of the whole image.
    input_size, padded_size
        (H, W) of the resized window, and of the model input with its padding.
    """

    region: Box
    original_size: Size
    input_size: Size
    padded_size: Size

    @classmethod
    def of(cls, value: Embedding | Masks) -> "Window":
        """The window of an embedding, or of answers on it."""
        return cls(value.region, value.original_size, value.input_size, value.padded_size)

    @property
    def size(self) -> Size:
        """(H, W) of the region in pixels of the image."""
        x0, y0, x1, y1 = self.region
        return y1 - y0, x1 - x0


def stable_enough(inner: int, outer: int, threshold: float) -> bool:
    """Whether a stability score reaches a threshold; all three in single precision."""
    return bool(np.float32(inner) / np.float32(max(outer, 1)) >= np.float32(threshold))
