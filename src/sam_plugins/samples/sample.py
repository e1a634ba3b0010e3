"""What a sample picture is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Box, Image, Prompt

__all__ = ["Sample"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sample:
    """One picture, where it comes from, and what to ask about it.

    Parameters
    ----------
    name, title
        A word for file names, and words for people.
    image
        (H, W, 3) uint8 RGB.
    licence, source
        What may be done with it, and who made it.
    points
        Suggested clicks: (x, y) in pixels and 1 for foreground or 0 for background. All of them
        belong to one object.
    box
        Suggested box: xyxy in pixels.
    truth
        (H, W) uint16 label image where it is known exactly, otherwise None.
    """

    name: str
    title: str
    image: Image
    licence: str
    source: str
    points: tuple[tuple[int, int, int], ...]
    box: Box
    truth: NDArray[np.uint16] | None = None

    @property
    def click(self) -> Prompt:
        """The suggested clicks as a prompt."""
        return Prompt(
            point_coords=[(x, y) for x, y, _ in self.points],
            point_labels=[label for _, _, label in self.points],
        )

    @property
    def box_prompt(self) -> Prompt:
        """The suggested box as a prompt."""
        return Prompt(box=self.box)
