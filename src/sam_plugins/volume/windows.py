"""Which part of a frame the model is shown for which object."""

from collections.abc import Sequence

from sam_plugins.tiling.grid import centred, margin_of
from sam_plugins.types import Box, Size

__all__ = ["windows_for"]


def windows_for(boxes: Sequence[Box], size: Size, side: int) -> list[Box]:
    """A window for each box; objects near each other share one.

    Parameters
    ----------
    boxes
        xyxy of objects.
    size
        (H, W) of the frame.
    side
        Of a window in pixels; a frame of up to one and a half times this is one window, and an
        object of more than half of it gets a window of twice its size.
    """
    height, width = size
    whole = (0, 0, width, height)
    if max(size) * 2 <= side * 3:
        return [whole] * len(boxes)
    chosen: list[Box] = []
    for box in boxes:
        longest = max(box[2] - box[0], box[3] - box[1])
        # Windows keep to a raster, so that an object that moves a little keeps its embedding's key.
        fitting = [
            window
            for window in chosen
            if margin_of(window, box, size) >= max(longest / 2, side / 8)
        ]
        if fitting:
            chosen.append(fitting[0])
        else:
            chosen.append(centred(box, max(side, 2 * longest), size))
    return chosen
