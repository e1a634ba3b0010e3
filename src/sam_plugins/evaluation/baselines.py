"""Answers without a model: the trivial ones, and the classical tools people already use.

A model is worth having where it beats these. Each function turns one picture and one prompt into
one mask. GrabCut and the random walker work on a copy with a bounded longest side, so that no
picture takes minutes.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

from sam_plugins.errors import MissingExtraError
from sam_plugins.types import Box, Image, Size

__all__ = [
    "GRAB_CUT_SIDE",
    "WALKER_SIDE",
    "BaselineSettings",
    "fill_box",
    "flood_fill",
    "grab_cut",
    "inscribed_ellipse",
    "random_walk",
]

GRAB_CUT_SIDE = 512
"""Pixels of the longest side that GrabCut works on."""

WALKER_SIDE = 256
"""Pixels of the longest side that the random walker works on; 512 is as good, and takes longer."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSettings:
    """What the classical tools must be told; `tuning` chooses it on training pictures.

    Parameters
    ----------
    tolerance
        Of `flood_fill`, grey levels.
    margin
        Of `grab_cut`, in sides of the box; infinite for the whole picture.
    beta, radius
        Of `random_walk`.
    """

    tolerance: float = 32.0
    margin: float = math.inf
    beta: float = 130.0
    radius: float = 2.0

    def to_dict(self) -> dict[str, float | str]:
        """The fields as JSON values; an infinite margin is "whole picture"."""
        margin = "whole picture" if math.isinf(self.margin) else self.margin
        return {
            "tolerance": self.tolerance,
            "margin": margin,
            "beta": self.beta,
            "radius": self.radius,
        }


def fill_box(size: Size, box: Box) -> Mask:
    """Every pixel of the box: the answer that costs nothing.

    Parameters
    ----------
    size
        (H, W) of the picture.
    box
        xyxy, x1 and y1 exclusive.

    Returns
    -------
    (H, W) bool.
    """
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def inscribed_ellipse(size: Size, box: Box) -> Mask:
    """Every pixel whose centre lies in the ellipse that touches the four sides of the box.

    Parameters and result are those of `fill_box`.
    """
    x0, y0, x1, y1 = box
    across = (np.arange(x0, x1) + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2)
    down = (np.arange(y0, y1) + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = across[None, :] ** 2 + down[:, None] ** 2 <= 1
    return mask


def flood_fill(image: Image, point: tuple[int, int], tolerance: float) -> Mask:
    """The connected region of the clicked colour: a magic wand.

    The colour is the mean of the 3 x 3 pixels around the click. A pixel has it if no channel
    differs by more than `tolerance`; neighbours share a side.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    point
        (x, y) index of the clicked pixel, always part of the result.
    tolerance
        Grey levels.

    Returns
    -------
    (H, W) bool.
    """
    x, y = point
    around = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3)
    difference = np.abs(image.astype(np.float32) - around.mean(axis=0, dtype=np.float32))
    alike = difference.max(axis=2) <= tolerance
    alike[y, x] = True
    regions, _ = ndimage.label(alike)
    mask: Mask = regions == regions[y, x]
    return mask


def grab_cut(image: Image, box: Box, *, margin: float = math.inf, iterations: int = 5) -> Mask:
    """OpenCV's GrabCut from a box (Rother et al., SIGGRAPH 2004).

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    box
        xyxy, x1 and y1 exclusive; what is outside it is background for certain.
    margin
        How far around the box the colours of the background are learned, in sides of the box. The
        part of the picture that is looked at is shrunk to `GRAB_CUT_SIDE`.
    iterations
        Rounds of colour model and cut.

    Returns
    -------
    (H, W) bool, inside the box. A box that leaves no background is itself the answer.

    Raises
    ------
    MissingExtraError
        If OpenCV is not installed.
    """
    cv2 = _opencv()
    size = (image.shape[0], image.shape[1])
    filled = fill_box(size, box)
    left, top, right, bottom = _grown(box, margin, size)
    window, inside = image[top:bottom, left:right], filled[top:bottom, left:right]
    small = _shrunk(window, GRAB_CUT_SIDE)
    certain = ~_resized(inside, (small.shape[0], small.shape[1]))
    if not certain.any() or certain.all():
        return filled
    state = np.where(certain, cv2.GC_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(small[:, :, ::-1])
    cv2.grabCut(bgr, state, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    found = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD))
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = _resized(found, (window.shape[0], window.shape[1]))
    return mask & filled


def random_walk(
    image: Image, point: tuple[int, int], *, beta: float = 130.0, radius: float = 2.0
) -> Mask:
    """The random walker from a click (Grady, TPAMI 2006), by scikit-image.

    A disc around the click is the object and the outermost pixels of the picture are background;
    a walker from each other pixel decides. The picture is shrunk to `WALKER_SIDE` and the
    equations are solved exactly; the conjugate gradients that scikit-image would take stop long
    before they have the answer.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    point
        (x, y) index of the clicked pixel.
    beta
        How hard it is to cross an edge of the picture, relative to the spread of its colours.
    radius
        Of the disc, in pixels of the shrunk picture.

    Returns
    -------
    (H, W) bool. In a picture without any edge the disc is the answer.
    """
    from skimage.segmentation import random_walker

    size = (image.shape[0], image.shape[1])
    small = _shrunk(image, WALKER_SIDE)
    height, width = small.shape[:2]
    x, y = int(point[0] * width / size[1]), int(point[1] * height / size[0])
    seeds = np.full((height, width), 2, np.uint8)
    seeds[1:-1, 1:-1] = 0
    rows, columns = np.ogrid[:height, :width]
    seeds[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 1
    if seeds.all() or small.min() == small.max():
        return _resized(seeds == 1, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = random_walker(
            small.astype(np.float64) / 255, seeds, beta=beta, mode="bf", channel_axis=2
        )
    return _resized(found == 1, size)


def _grown(box: Box, margin: float, size: Size) -> Box:
    """A box with `margin` of its width and height added on every side, inside the picture."""
    x0, y0, x1, y1 = box
    across = min(margin * (x1 - x0), size[1])
    down = min(margin * (y1 - y0), size[0])
    return (
        max(int(x0 - across), 0),
        max(int(y0 - down), 0),
        min(math.ceil(x1 + across), size[1]),
        min(math.ceil(y1 + down), size[0]),
    )


def _shrunk(image: Image, longest_side: int) -> Image:
    """The picture with its longest side at most so long, each pixel a mean."""
    scale = longest_side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    picture = PillowImage.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width, height), PillowImage.Resampling.BOX))


def _resized(mask: Mask, size: Size) -> Mask:
    """A mask at another size, each pixel taking the nearest one's value."""
    if mask.shape == size:
        return mask
    picture = PillowImage.fromarray(mask.astype(np.uint8))
    return np.asarray(picture.resize((size[1], size[0]), PillowImage.Resampling.NEAREST)) > 0


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "GrabCut needs OpenCV, which is not installed: run pip install 'sam-plugins[train]'."
        ) from error
    return cv2
