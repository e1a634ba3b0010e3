"""What flows through the backend: frozen, in pixels of the upright picture, no JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam_plugins import Interaction
from sam_plugins.types import Box, Image, Size

__all__ = ["Ask", "Found", "LoadedPicture", "Picture", "PicturesPort", "mean_score"]


@dataclass(frozen=True, slots=True)
class Picture:
    """Which picture is meant.

    Parameters
    ----------
    address
        What the task's data hold: a URL, a path of Label Studio's, a data URI.
    page
        Of a multi-page file, counted from 0.
    """

    address: str
    page: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPicture:
    """A picture that was read.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8, upright.
    key
        The same for the same content at the same address, so that sessions can be found again.
    """

    rgb: Image
    key: str

    @property
    def size(self) -> Size:
        """(H, W)."""
        return self.rgb.shape[0], self.rgb.shape[1]


@dataclass(frozen=True, slots=True)
class Ask:
    """One object that was asked about.

    Parameters
    ----------
    label
        What the annotator picked; None where the tag has no labels.
    interaction
        All its prompts in their order, in pixels.
    to_name
        The image tag that they belong to.
    item
        Page of that tag, None where it has one picture.
    """

    label: str | None
    interaction: Interaction
    to_name: str
    item: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One object that was found.

    Parameters
    ----------
    crop, box
        bool and its xyxy in the picture (x1, y1 exclusive); (0, 0) if nothing was found.
    size
        (H, W) of the picture.
    score
        The model's own estimate of the IoU.
    """

    crop: NDArray[np.bool_]
    box: Box
    size: Size
    score: float


class PicturesPort(Protocol):
    """Reads pictures; safe to share between threads."""

    def load(self, picture: Picture) -> LoadedPicture:
        """The pixels; blocks, and raises ImageError."""
        ...


def mean_score(scores: Sequence[float]) -> float | None:
    """The score of a prediction: the mean of its objects', None where there are none."""
    finite = [float(score) for score in scores if math.isfinite(score)]
    return sum(finite) / len(finite) if finite else None
