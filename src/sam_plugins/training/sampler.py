"""Batch number i of a training run, decided by seed and i alone.

That makes a run reproducible with any number of workers and resumable at any step.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sam_plugins.training.pool import IGNORE, PHOTOGRAPHS, Picture, Pool
from sam_plugins.training.scenes import SceneMaker

__all__ = ["Batch", "Sampler"]

MEAN = np.array((123.675, 116.28, 103.53), np.float32)
INSTANCE_CHANCE = 0.8
"""How often an object is taken from the first level, whole instances, and not from the last."""

UPRIGHT = ("coco_ccby", "dali_pixabay")
"""Sets with an up and a down that a user's pictures share: mirrored, never turned over."""

STD = np.array((58.395, 57.12, 57.375), np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """B crops and N objects in them.

    Parameters
    ----------
    pixels
        (B, 3, S, S) float32, normalised, 0 outside the picture.
    labels
        (B, S, S) int32 instances, 0 background, -1 unknown.
    targets
        (N, S, S) uint8.
    index
        (N,) int64 crop of each object.
    centres
        (N, 2) float32 xy, the point farthest from the object's border.
    """

    pixels: NDArray[np.float32]
    labels: NDArray[np.int32]
    targets: NDArray[np.uint8]
    index: NDArray[np.int64]
    centres: NDArray[np.float32]


class Sampler:
    """Draws batches from a pool and from synthetic scenes.

    Parameters
    ----------
    pool
        Labelled pictures.
    weights
        How often each set is drawn; "synthetic" stands for drawn scenes.
    seed
        Decides everything together with the batch number.
    image_size
        Longest side pictures have when the model is used: zoom is jittered around it.
    objects
        Objects per crop.
    min_area
        Smallest object in crop pixels.
    """

    def __init__(
        self,
        pool: Pool,
        weights: dict[str, float],
        *,
        seed: int,
        image_size: int,
        objects: int = 4,
        min_area: int = 40,
    ) -> None:
        present = {k: w for k, w in weights.items() if k == "synthetic" or pool.pictures.get(k)}
        total = sum(present.values())
        self.names = list(present)
        self.chances = np.array([present[name] / total for name in self.names])
        self.pool, self.seed, self.image_size = pool, seed, image_size
        self.objects, self.min_area = objects, min_area
        self.scenes = (
            SceneMaker(pool.images(PHOTOGRAPHS), pool.cutouts, seed)
            if "synthetic" in present
            else None
        )

    def batch(self, number: int, size: int, count: int) -> Batch:
        """Batch `number` of `count` crops of `size` pixels."""
        rng = np.random.default_rng([self.seed, number])
        pixels: list[NDArray[np.float32]] = []
        labels: list[NDArray[np.int32]] = []
        targets: list[NDArray[np.uint8]] = []
        index: list[int] = []
        centres: list[tuple[float, float]] = []
        while len(pixels) < count:
            picture, valid = self._crop(rng, size)
            chosen = self._targets(rng, picture)
            if not chosen:
                continue
            for mask in chosen:
                targets.append(mask)
                index.append(len(pixels))
                centres.append(_centre(mask))
            normal = (_recolour(rng, picture.image) - MEAN) / STD
            pixels.append((normal * valid[..., None]).transpose(2, 0, 1))
            first = picture.levels[0]
            labels.append(np.where(first == IGNORE, -1, first))
        return Batch(
            np.stack(pixels).astype(np.float32),
            np.stack(labels).astype(np.int32),
            np.stack(targets),
            np.array(index, np.int64),
            np.array(centres, np.float32),
        )

    def _crop(self, rng: Generator, size: int) -> tuple[Picture, NDArray[np.float32]]:
        name = self.names[rng.choice(len(self.names), p=self.chances)]
        if self.scenes is not None and name == "synthetic":
            return self.scenes.draw(rng, size), np.ones((size, size), np.float32)
        pictures = self.pool.pictures[name]
        picture = pictures[rng.integers(len(pictures))]
        height, width = picture.image.shape[:2]
        zoom = self.image_size / max(height, width) * np.exp(rng.uniform(np.log(0.42), np.log(1.7)))
        side = size / zoom
        level = picture.levels[0]
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        if rng.random() < 0.75:
            ys, xs = np.nonzero((level > 0) & (level != IGNORE))
            if len(ys):
                pick = rng.integers(len(ys))
                y, x = ys[pick], xs[pick]
        top = _place(rng, y, side, height)
        left = _place(rng, x, side, width)
        matrix = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom], [0, 0, 1]])
        centre = (size - 1) / 2
        if rng.random() < 0.25:
            turn = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-45, 45), 1.0)
            matrix = np.vstack([turn, [0, 0, 1]]) @ matrix
        warp = matrix[:2].astype(np.float32)
        smooth = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        source = picture.image
        if zoom < 0.7:
            source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.4 / zoom), np.uint8)
        image = cv2.warpAffine(source, warp, (size, size), flags=smooth)
        levels = [_warp_labels(one, warp, size) for one in picture.levels]
        valid = cv2.warpAffine(np.ones((height, width), np.uint8), warp, (size, size), flags=0)
        arrays: list[NDArray[Any]] = [np.asarray(image), np.asarray(valid), *levels]
        if rng.random() < 0.5:
            arrays = [array[:, ::-1] for array in arrays]
        if rng.random() < 0.5 and name not in UPRIGHT:
            arrays = [array[::-1] for array in arrays]
        if rng.random() < 0.25 and name not in UPRIGHT:
            arrays = [array.swapaxes(0, 1) for array in arrays]
        shown, known, *divisions = [np.ascontiguousarray(array) for array in arrays]
        return Picture(shown, tuple(divisions)), known.astype(np.float32)

    def _targets(self, rng: Generator, picture: Picture) -> list[NDArray[np.uint8]]:
        candidates = []
        for number, level in enumerate(picture.levels):
            values, areas = np.unique(level, return_counts=True)
            known = (values > 0) & (values != IGNORE) & (areas >= self.min_area)
            candidates.append([(number, int(value)) for value in values[known]])
        chosen = []
        if not any(candidates):
            return []
        for _ in range(self.objects):
            first = not candidates[-1] or (bool(candidates[0]) and rng.random() < INSTANCE_CHANCE)
            options = candidates[0 if first else -1]
            number, value = options[rng.integers(len(options))]
            chosen.append((picture.levels[number] == value).astype(np.uint8))
        return chosen


def _place(rng: Generator, at: float, side: float, extent: int) -> float:
    """Where a window that shows `at` begins; it leaves the picture only if it is larger."""
    low, high = min(0.0, extent - side), max(0.0, extent - side)
    if side >= extent:
        return float(rng.choice([0.0, rng.uniform(low, high)]))
    return float(np.clip(at - rng.uniform(0, side), low, high))


def _warp_labels(
    level: NDArray[np.int32], warp: NDArray[np.float32], size: int
) -> NDArray[np.int32]:
    labels = cv2.warpAffine(
        level.astype(np.float32), warp, (size, size), flags=cv2.INTER_NEAREST, borderValue=0
    )
    return np.asarray(labels, np.int32)


def _centre(mask: NDArray[np.uint8]) -> tuple[float, float]:
    distance = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(x), float(y)


def _recolour(rng: Generator, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey, inverted, permuted channels, contrast, brightness, gamma, noise."""
    values = image.astype(np.float32)
    if rng.random() < 0.25:
        values = np.repeat(values.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.15:
        values = 255 - values
    if rng.random() < 0.15:
        values = values[..., rng.permutation(3)]
    if rng.random() < 0.3:
        values *= rng.uniform(0.75, 1.25, 3).astype(np.float32)
    values = (values - 127.5) * np.float32(rng.uniform(0.6, 1.5))
    values += np.float32(127.5 + rng.uniform(-40, 40))
    if rng.random() < 0.25:
        curve = (np.clip(values, 0, 255) / 255) ** rng.uniform(0.5, 2)
        values = np.asarray(255 * curve, np.float32)
    if rng.random() < 0.2:
        values = values + rng.standard_normal(values.shape).astype(np.float32) * rng.uniform(0, 12)
    return np.clip(values, 0, 255).astype(np.float32)
