"""Coloured things with shading and shadows on woven cloth."""

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from sam_plugins.samples.drawing import (
    DRAWN_LICENCE,
    DRAWN_SOURCE,
    Layer,
    blob,
    paint,
    smooth_noise,
    suggest,
)
from sam_plugins.samples.sample import Sample
from sam_plugins.types import Size

__all__ = ["coloured_objects"]

_COLOURS = (
    (206, 61, 48),
    (238, 176, 44),
    (55, 122, 190),
    (84, 160, 84),
    (150, 84, 158),
    (236, 226, 208),
    (232, 120, 46),
    (44, 62, 80),
)
_PLACES = (
    (0.16, 0.24, 0.125),
    (0.41, 0.2, 0.1),
    (0.66, 0.22, 0.12),
    (0.88, 0.3, 0.085),
    (0.27, 0.64, 0.15),
    (0.54, 0.55, 0.1),
    (0.78, 0.7, 0.16),
    (0.51, 0.84, 0.085),
)
"""x and y as fractions of the picture, and radius as a fraction of its width."""


def coloured_objects(seed: int = 11) -> Sample:
    """Eight things of different colour and outline, lit from the upper left."""
    rng = np.random.default_rng([seed, 3])
    size = (440, 600)
    canvas = _cloth(rng, size)
    truth = np.zeros(size, np.uint16)
    for label, ((x, y, radius), colour) in enumerate(zip(_PLACES, _COLOURS, strict=True), 1):
        centre = (x * size[1] + rng.uniform(-8, 8), y * size[0] + rng.uniform(-8, 8))
        shape = _outline(rng, size, label, centre, radius * size[1])
        truth[shape < 0] = label
        _place(rng, canvas, shape, centre, radius * size[1], np.array(colour, np.float32))
    canvas += rng.normal(0, 2.5, canvas.shape)
    points, box = suggest(truth, 7, 5)
    return Sample(
        name="objects",
        title="Objects on cloth",
        image=np.clip(canvas, 0, 255).astype(np.uint8),
        licence=DRAWN_LICENCE,
        source=DRAWN_SOURCE,
        points=points,
        box=box,
        truth=truth,
    )


def _cloth(rng: Generator, size: Size) -> Layer:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x, y = x + 2 * smooth_noise(rng, size, 30), y + 2 * smooth_noise(rng, size, 30)
    weave = 7 * np.sin(x * 1.05) * np.sin(y * 1.05) + 4 * np.sin((x + y) * 0.35)
    folds = 14 * smooth_noise(rng, size, 60)
    threads = 4 * smooth_noise(rng, size, 1.2)
    shade = (weave + folds + threads)[..., None]
    cloth: Layer = (np.array((146, 138, 124), np.float32) + shade).astype(np.float32)
    return cloth


def _outline(
    rng: Generator, size: Size, label: int, centre: tuple[float, float], radius: float
) -> Layer:
    """Signed distance in radii: pebbles, discs and flowers in turn."""
    kind = label % 3
    if kind == 0:
        return blob(size, centre, (radius, radius))
    if kind == 1:
        waves = np.stack((rng.uniform(0.02, 0.09, 3), rng.uniform(0, 6.3, 3)), axis=1)
        return blob(size, centre, (radius, radius * 0.78), rng.uniform(0, 3.1), waves)
    waves = np.array([(0.0, 0.0)] * 3 + [(0.14, rng.uniform(0, 6.3))])
    return blob(size, centre, (radius * 0.95, radius * 0.95), 0, waves)


def _place(
    rng: Generator,
    canvas: Layer,
    shape: Layer,
    centre: tuple[float, float],
    radius: float,
    colour: Layer,
) -> None:
    """Paint one thing with its shadow, its shading and a highlight, in place."""
    size = (shape.shape[0], shape.shape[1])
    soft = ndimage.gaussian_filter((shape < 0).astype(np.float32), 6)
    paint(canvas, 0.55 * ndimage.shift(soft, (9, 11), order=1), np.zeros(3, np.float32))
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    toward_light = -((x - centre[0]) + (y - centre[1])) / (2 * radius)
    rim = np.clip(-shape, 0, 1)
    light = 0.62 + 0.5 * np.sqrt(rim) + 0.28 * toward_light + 0.025 * smooth_noise(rng, size, 3)
    paint(canvas, np.clip(-shape * radius + 0.5, 0, 1), colour * light[..., None])
    glint = blob(size, (centre[0] - 0.32 * radius, centre[1] - 0.34 * radius), (radius * 0.16,) * 2)
    glow = (0.6 * np.clip(-glint * 1.6, 0, 1)).astype(np.float32)
    paint(canvas, glow, np.full(3, 255, np.float32))
