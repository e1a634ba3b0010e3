"""Shapes, noise and layers that the drawn samples share."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.masks import mask_to_box
from sam_plugins.types import Box, Image, Size

__all__ = ["DRAWN_LICENCE", "DRAWN_SOURCE", "as_grey", "blob", "paint", "smooth_noise", "suggest"]

DRAWN_LICENCE = "CC0-1.0"
DRAWN_SOURCE = "drawn by sam-plugins"

Layer = NDArray[np.float32]


def smooth_noise(rng: Generator, size: Size, scale: float) -> Layer:
    """(H, W) float32 noise of mean 0 and deviation 1, its features about `scale` pixels wide."""
    noise = ndimage.gaussian_filter(rng.standard_normal(size), scale, mode="wrap")
    result: Layer = ((noise - noise.mean()) / noise.std()).astype(np.float32)
    return result


def blob(
    size: Size,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float = 0.0,
    waves: NDArray[np.float64] | None = None,
    origin: tuple[int, int] = (0, 0),
) -> Layer:
    """Signed distance to a roundish shape, in radii: negative inside, 0 on the edge.

    Parameters
    ----------
    size
        (H, W) of the picture, or of the part of it to compute.
    centre, radii
        xy and half axes in pixels.
    angle
        Rotation in radians.
    waves
        (k, 2) amplitude and phase of the k slowest bumps of the outline, None for an ellipse.
    origin
        xy of the part's upper left pixel in the picture.
    """
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x, y = x + np.float32(origin[0] - centre[0]), y + np.float32(origin[1] - centre[1])
    u = (x * np.cos(angle) + y * np.sin(angle)) / radii[0]
    v = (y * np.cos(angle) - x * np.sin(angle)) / radii[1]
    edge = np.ones_like(u)
    if waves is not None:
        direction = np.arctan2(v, u)
        for order, (amplitude, phase) in enumerate(waves, 2):
            edge = edge + amplitude * np.cos(order * direction + phase)
    distance: Layer = (np.hypot(u, v) - edge).astype(np.float32)
    return distance


def paint(canvas: Layer, coverage: Layer, colour: NDArray[np.float32]) -> None:
    """Lay a colour over an RGB canvas in place.

    Parameters
    ----------
    canvas
        (H, W, 3) float32, 0 to 255.
    coverage
        (H, W) float32, 0 to 1.
    colour
        Anything that broadcasts to `canvas`.
    """
    canvas += (colour - canvas) * coverage[..., None]


def as_grey(values: Layer) -> Image:
    """(H, W) float32 of 0 to 255 to a grey (H, W, 3) uint8 picture."""
    grey = np.clip(values, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def suggest(
    truth: NDArray[np.uint16], clicked: int, boxed: int, margin: int = 4
) -> tuple[tuple[tuple[int, int, int], ...], Box]:
    """A click at the innermost pixel of one object, and a box a little larger than another."""
    inside = np.pad(truth == clicked, 1)
    depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    x0, y0, x1, y1 = mask_to_box(truth == boxed)
    height, width = truth.shape
    box = (
        max(x0 - margin, 0),
        max(y0 - margin, 0),
        min(x1 + margin, width),
        min(y1 + margin, height),
    )
    return ((int(x), int(y), 1),), box
