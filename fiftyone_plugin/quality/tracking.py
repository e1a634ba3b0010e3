"""The masks of one object through the frames of a video: where it jumps."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from fiftyone_plugin.quality.shape import MaskShape
from fiftyone_plugin.quality.thresholds import Thresholds

__all__ = ["Jump", "Track", "Tracks"]

Track = tuple[str, int | str]
"""What tells the objects of a video apart: their class, and index or instance."""

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """What one mask is beside that of the same object in the frame before.

    Parameters
    ----------
    shift
        How far its middle is from where it was, or from where its last step would have led,
        whichever is nearer, over the longer side of the larger of both boxes.
    growth
        The larger area over the smaller.
    found
        Whether one of them speaks against the mask.
    """

    shift: float
    growth: float
    found: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """An object in one frame; the step is from the frame before, if it was there."""

    middle: _Point
    length: float
    area: int
    at_edge: bool
    step: _Point | None = None


class Tracks:
    """The objects of one video, as far as the frames were looked at.

    Parameters
    ----------
    numbers
        All frames that have masks, in order. Frames that are farther apart than they usually are
        take no part: nobody knows what was in between.
    thresholds
        From where on a mask jumps.
    """

    def __init__(self, numbers: Sequence[int], thresholds: Thresholds) -> None:
        gaps = [after - before for before, after in pairwise(numbers)]
        self._usual = median_low(gaps) if gaps else 0
        self._thresholds = thresholds
        self._number = 0
        self._seen: dict[Track, _Seen] = {}

    def look(
        self, number: int, objects: Sequence[tuple[Track | None, MaskShape]]
    ) -> list[Jump | None]:
        """Look at the next frame.

        Parameters
        ----------
        number
            Of the frame, more than that before.
        objects
            All its masks. Those without a track, and those that share one, are not followed.

        Returns
        -------
        list
            One for each object; None where there is nothing to compare it with.
        """
        before = self._seen if number - self._number <= self._usual else {}
        times = Counter(track for track, _ in objects)
        self._number, self._seen = number, {}
        jumps = []
        for track, shape in objects:
            jump = None
            if track is not None and shape.area and times[track] == 1:
                now = _seen(shape)
                if (then := before.get(track)) is not None:
                    jump, now = self._compared(then, now)
                self._seen[track] = now
            jumps.append(jump)
        return jumps

    def _compared(self, then: _Seen, now: _Seen) -> tuple[Jump, _Seen]:
        step = (now.middle[0] - then.middle[0], now.middle[1] - then.middle[1])
        moved = math.hypot(*step)
        if then.step is not None:
            moved = min(moved, math.dist(step, then.step))
        shift = moved / max(then.length, now.length)
        small, large = sorted((then.area, now.area))
        growth = large / small
        limits = self._thresholds
        grown = growth > limits.max_growth and large - small >= limits.tiny_area
        found = shift > limits.max_shift or (grown and not (then.at_edge or now.at_edge))
        jump = Jump(shift=shift, growth=growth, found=found)
        return jump, _Seen(now.middle, now.length, now.area, now.at_edge, step)


def _seen(shape: MaskShape) -> _Seen:
    x0, y0, x1, y1 = shape.own_box
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    return _Seen(middle, max(x1 - x0, y1 - y0), shape.area, shape.borders > 0)
