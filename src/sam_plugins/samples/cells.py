"""Two microscope pictures: fluorescent nuclei, and a layer of cells as an electron microscope."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.samples.drawing import (
    DRAWN_LICENCE,
    DRAWN_SOURCE,
    as_grey,
    blob,
    smooth_noise,
    suggest,
)
from sam_plugins.samples.sample import Sample
from sam_plugins.types import Size

__all__ = ["cell_layer", "nuclei"]


def nuclei(seed: int = 3) -> Sample:
    """Bright textured nuclei on a dark ground, some touching, with blur and photon noise."""
    rng = np.random.default_rng([seed, 1])
    size = (480, 560)
    truth = np.zeros(size, np.uint16)
    light = np.zeros(size, np.float32)
    chromatin = 1 + 0.22 * smooth_noise(rng, size, 3.0)
    for _ in range(400):
        radius = rng.uniform(17, 30)
        centre = (rng.uniform(0, size[1]), rng.uniform(0, size[0]))
        rows, columns, (height, width) = _around(centre, 1.8 * radius, size)
        shape = blob(
            (height, width),
            centre,
            (radius * rng.uniform(1, 1.45), radius),
            rng.uniform(0, np.pi),
            np.stack((rng.uniform(0, 0.05, 4), rng.uniform(0, 6.3, 4)), axis=1),
            origin=(columns.start, rows.start),
        )
        inside, here = shape < 0, truth[rows, columns]
        if (here[inside] > 0).mean() > 0.02 or truth.max() == 46:
            continue
        free = inside & (here == 0)
        here[free] = truth.max() + 1
        body = np.clip(-shape * 3.2, 0, 1) ** 0.7 * chromatin[rows, columns]
        light[rows, columns][free] = (body * rng.uniform(60, 165))[free]
    glow = ndimage.gaussian_filter(light, 14)
    light = ndimage.gaussian_filter(light, 0.9) + 0.22 * glow + 9
    noisy = rng.poisson(np.clip(light, 0, None) * 1.5) / 1.5 + rng.normal(0, 2, size)
    points, box = suggest(truth, *_two_largest(truth))
    return Sample(
        name="nuclei",
        title="Fluorescent nuclei",
        image=as_grey(noisy.astype(np.float32)),
        licence=DRAWN_LICENCE,
        source=DRAWN_SOURCE,
        points=points,
        box=box,
        truth=truth,
    )


def cell_layer(seed: int = 5) -> Sample:
    """Cells side by side: dark membranes, nuclei, mitochondria, as electron microscopes show."""
    rng = np.random.default_rng([seed, 2])
    size = (480, 560)
    gap, truth = _territories(rng, size, count=22)
    membrane = 0.5 - 0.5 * np.tanh((gap - 2.6) * 0.8)
    grain = 7 * smooth_noise(rng, size, 0.8) + 8 * smooth_noise(rng, size, 2.2)
    grey = 168 + grain + 7 * smooth_noise(rng, size, 26)
    chromatin = 138 + 16 * smooth_noise(rng, size, 4.5)
    depth = ndimage.distance_transform_edt(truth > 0)
    for label, where in enumerate(ndimage.find_objects(truth), 1):
        own = depth[where] * (truth[where] == label)
        _organelles(rng, grey[where], chromatin[where], own)
    grey = grey * (1 - membrane) + (52 + 10 * smooth_noise(rng, size, 2)) * membrane
    grey = ndimage.gaussian_filter(grey, 0.7) + rng.normal(0, 5, size)
    points, box = suggest(truth, *_two_largest(truth))
    return Sample(
        name="cells",
        title="Cells, electron microscope",
        image=as_grey(grey.astype(np.float32)),
        licence=DRAWN_LICENCE,
        source=DRAWN_SOURCE,
        points=points,
        box=box,
        truth=truth,
    )


def _territories(
    rng: Generator, size: Size, count: int
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Space divided among seeds, with wavy borders.

    Returns
    -------
    gap, truth
        (H, W) distance to the border in pixels, and (H, W) labels that leave the membranes free.
    """
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x = x + 9 * smooth_noise(rng, size, 22)
    y = y + 9 * smooth_noise(rng, size, 22)
    seeds = [rng.uniform((0, 0), (size[1], size[0]))]
    while len(seeds) < count:
        trial = rng.uniform((0, 0), (size[1], size[0]), (12, 2))
        nearest = np.hypot(*(trial[:, None] - np.array(seeds)[None]).transpose(2, 0, 1)).min(1)
        seeds.append(trial[int(np.argmax(nearest))])
    distance = np.stack([np.hypot(x - seed[0], y - seed[1]) for seed in seeds])
    owner = distance.argmin(0)
    nearest, second = np.sort(distance, axis=0)[:2]
    gap = ((second - nearest) / 2).astype(np.float32)
    truth = np.where(gap > 3.2, owner + 1, 0).astype(np.uint16)
    return gap, truth


def _organelles(
    rng: Generator,
    grey: NDArray[np.float32],
    chromatin: NDArray[np.float32],
    depth: NDArray[np.float64],
) -> None:
    """Draw a nucleus and mitochondria into one cell, in place.

    Parameters
    ----------
    grey, chromatin
        (h, w) float32: the part of the picture that holds the cell, and what fills its nucleus.
    depth
        (h, w) distance to the membrane in pixels, 0 outside the cell.
    """
    size, room = (grey.shape[0], grey.shape[1]), float(depth.max())
    if room < 14:
        return
    y, x = (int(v) for v in np.unravel_index(int(np.argmax(depth)), size))
    radius = room * rng.uniform(0.48, 0.6)
    waves = np.stack((rng.uniform(0, 0.05, 4), rng.uniform(0, 6.3, 4)), axis=1)
    nucleus = blob(size, (x, y), (radius * 1.15, radius), rng.uniform(0, 3.1), waves)
    np.copyto(grey, chromatin, where=nucleus < 0)
    grey[np.abs(nucleus) * radius < 1.6] = 78
    rows, columns = np.mgrid[: size[0], : size[1]]
    places = np.argwhere((depth > 8) & (nucleus * radius > 9))
    for _ in range(int(rng.integers(3, 9)) if len(places) else 0):
        row, column = places[rng.integers(len(places))].tolist()
        angle, short = rng.uniform(0, np.pi), rng.uniform(3.8, 5.5)
        body = blob(size, (column, row), (short * rng.uniform(1.2, 2.2), short), angle)
        body[depth <= 3] = 1
        along = columns * np.cos(angle) + rows * np.sin(angle)
        cristae = (105 + 22 * np.sign(np.sin(along * 1.5))).astype(np.float32)
        np.copyto(grey, cristae, where=body < 0)
        grey[(body < 0) & (np.abs(body) * short < 1.1)] = 66


def _around(centre: tuple[float, float], reach: float, size: Size) -> tuple[slice, slice, Size]:
    """The part of a picture within `reach` of a point: rows, columns and its (H, W)."""
    x, y = centre
    rows = slice(max(int(y - reach), 0), min(int(y + reach) + 1, size[0]))
    columns = slice(max(int(x - reach), 0), min(int(x + reach) + 1, size[1]))
    return rows, columns, (rows.stop - rows.start, columns.stop - columns.start)


def _two_largest(truth: NDArray[np.uint16]) -> tuple[int, int]:
    """Labels of the two largest objects that do not touch the edge of the picture."""
    areas = np.bincount(truth.ravel())
    areas[np.unique(np.concatenate((truth[0], truth[-1], truth[:, 0], truth[:, -1])))] = 0
    areas[0] = 0
    second, first = np.argsort(areas, kind="stable")[-2:].tolist()
    return first, second
