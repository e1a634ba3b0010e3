"""Synthetic scenes with exact labels: composed cut-outs, textured shapes, nested parts, cells.

They fill the gap between few labelled photographs and the variety a user's pictures have. Every
scene has two levels, so that one click has honestly different answers: objects (a group of touching
cells counts as one at the second level) and parts or groups.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sam_plugins.training.pool import Picture

__all__ = ["SceneMaker"]

Float = NDArray[np.float32]
Mask = NDArray[np.uint8]

BANK_SIZE = 500
TILE = 256


class SceneMaker:
    """Draws scenes from a bank of textures rendered once.

    Parameters
    ----------
    photographs
        Pictures whose crops serve as textures.
    cutouts
        RGBA objects to place.
    seed
        Decides the bank; each scene is decided by the generator it is given.
    """

    def __init__(
        self,
        photographs: Sequence[NDArray[np.uint8]],
        cutouts: Sequence[NDArray[np.uint8]],
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng([seed, 7])
        self.cutouts = cutouts
        self.bank = [self._tile(rng, photographs) for _ in range(BANK_SIZE)]

    def draw(self, rng: Generator, size: int) -> Picture:
        """One (size, size) scene."""
        kind = rng.random()
        if kind < 0.6:
            return self._objects(rng, size)
        return self._cells(rng, size)

    def _tile(self, rng: Generator, photographs: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        if photographs and rng.random() < 0.5:
            image = photographs[int(rng.integers(len(photographs)))]
            height, width = image.shape[:2]
            side = int(rng.integers(24, min(height, width)))
            y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            return np.asarray(cv2.resize(image[y : y + side, x : x + side], (TILE, TILE)), np.uint8)
        noise = np.zeros((TILE, TILE, 3), np.float32)
        for octave in range(1, 7):
            n = 2**octave + 1
            grid = rng.standard_normal((n, n, 3)).astype(np.float32)
            grid *= np.float32(rng.random() * 0.7**octave + 0.02)
            noise += cv2.resize(grid, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        grey = noise.mean(2, keepdims=True)
        noise = grey + (noise - grey) * rng.random()
        colour = rng.integers(10, 245, 3)
        tile: NDArray[np.uint8] = np.clip(noise * rng.uniform(15, 90) + colour, 0, 255).astype(
            np.uint8
        )
        return tile

    def _texture(self, rng: Generator, size: int) -> Float:
        tile = self.bank[int(rng.integers(len(self.bank)))]
        side = int(rng.integers(40, TILE + 1))
        y, x = rng.integers(0, TILE - side + 1), rng.integers(0, TILE - side + 1)
        texture = np.asarray(cv2.resize(tile[y : y + side, x : x + side], (size, size)), np.float32)
        return texture[..., ::-1] if rng.random() < 0.4 else texture

    def _objects(self, rng: Generator, size: int) -> Picture:
        canvas = self._texture(rng, size)
        objects = np.zeros((size, size), np.int32)
        parts = np.zeros((size, size), np.int32)
        for label in range(1, int(rng.integers(2, 14)) + 1):
            if self.cutouts and rng.random() < 0.45:
                self._place(rng, canvas, objects, label)
                parts[objects == label] = 0
                continue
            mask = _shape(rng, size)
            self._fill(rng, canvas, mask)
            objects[mask > 0] = label
            parts[mask > 0] = 0
            if rng.random() < 0.4 and mask.sum() > 200:
                inner = _inner(rng, mask)
                self._fill(rng, canvas, inner)
                parts[inner > 0] = label
        return _finish(rng, canvas, (objects, parts))

    def _fill(self, rng: Generator, canvas: Float, mask: Mask) -> None:
        """Paint a mask with a texture, its edge softened, sometimes see-through."""
        texture = self._texture(rng, mask.shape[0])
        if rng.random() < 0.5:
            colour = rng.integers(0, 256, 3) * rng.uniform(0.4, 0.9)
            texture = texture * rng.uniform(0.05, 0.5) + colour
        blur = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(0.4, 1.6))
        alpha = blur[..., None] * (1.0 if rng.random() < 0.7 else rng.uniform(0.4, 1))
        if rng.random() < 0.25:
            edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
            texture = np.where(edge[..., None] > 0, rng.integers(0, 256, 3), texture)
        canvas += (texture - canvas) * alpha

    def _place(self, rng: Generator, canvas: Float, labels: NDArray[np.int32], label: int) -> None:
        """Paste a rotated, scaled cut-out."""
        size = canvas.shape[0]
        cut = self.cutouts[int(rng.integers(len(self.cutouts)))]
        height, width = cut.shape[:2]
        scale = size * np.exp(rng.uniform(np.log(0.08), np.log(0.8))) / max(height, width)
        centre = rng.uniform(0, size, 2)
        angle = rng.uniform(-180, 180) if rng.random() < 0.5 else rng.uniform(-20, 20)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
        matrix[:, 2] += centre - (width / 2, height / 2)
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
        premultiplied = cut.astype(np.float32)
        premultiplied[..., :3] *= premultiplied[..., 3:] / 255
        warped = cv2.warpAffine(premultiplied, matrix, (size, size), flags=cv2.INTER_LINEAR)
        alpha = warped[..., 3:] / 255
        canvas *= 1 - alpha
        canvas += warped[..., :3]
        labels[alpha[..., 0] > 0.5] = label

    def _cells(self, rng: Generator, size: int) -> Picture:
        """Crowds of roundish cells, alike inside one scene, dark or bright, some with a nucleus."""
        canvas = self._texture(rng, size) * rng.uniform(0.05, 0.5)
        canvas += rng.uniform(0, 200)
        radius = size * np.exp(rng.uniform(np.log(0.015), np.log(0.12)))
        colour = rng.uniform(0, 255, 3)
        background = canvas.mean((0, 1))
        if np.abs(colour - background).max() < 40:
            colour = np.where(background > 128, background - 60, background + 60)
        with_nucleus = rng.random() < 0.35 and radius > 6
        ring = rng.random() < 0.25
        objects = np.zeros((size, size), np.int32)
        parts = np.zeros((size, size), np.int32)
        count = int(np.clip(rng.uniform(0.1, 0.7) * (size / radius) ** 2 / 8, 3, 150))
        clusters = rng.uniform(0, size, (max(1, count // 6), 2))
        for label in range(1, count + 1):
            at = clusters[rng.integers(len(clusters))] + rng.normal(0, radius * 2.5, 2)
            if rng.random() < 0.4:
                at = rng.uniform(0, size, 2)
            points = _blob(rng, at, radius * np.exp(rng.normal(0, 0.25)), 0.18)
            mask = np.zeros((size, size), np.uint8)
            cv2.fillPoly(mask, [points], 1)
            if rng.random() < 0.85:
                mask[objects > 0] = 0
            x, y, w, h = cv2.boundingRect(points)
            view = np.s_[max(0, y - 4) : y + h + 4, max(0, x - 4) : x + w + 4]
            local = mask[view]
            if not local.any():
                continue
            soft = cv2.GaussianBlur(local.astype(np.float32), (0, 0), max(0.5, radius / 12))
            tone = colour * rng.uniform(0.7, 1.15)
            if ring:
                shell = cv2.distanceTransform(local, cv2.DIST_L2, 3) / max(2.0, radius)
                soft = soft * np.clip(1.1 - shell, 0.15, 1)
            canvas[view] += (
                (tone - canvas[view]) * soft[..., None] * np.float32(rng.uniform(0.5, 1))
            )
            objects[mask > 0] = label
            parts[mask > 0] = 0
            if with_nucleus:
                inner = np.zeros((size, size), np.uint8)
                cv2.fillPoly(inner, [_blob(rng, at, radius * rng.uniform(0.3, 0.55), 0.1)], 1)
                inner[objects != label] = 0
                canvas[inner > 0] = canvas[inner > 0] * 0.3 + (255 - colour) * 0.5
                parts[inner > 0] = label
        return _finish(rng, canvas, (objects, parts))


def _blob(
    rng: Generator, centre: NDArray[np.float64], radius: float, roughness: float
) -> NDArray[np.int32]:
    """A closed outline with smooth radial noise."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radii: NDArray[np.float64] = np.ones(48)
    for order in range(2, 8):
        amplitude = rng.normal(0, 2 * roughness / order)
        radii += amplitude * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    radii = np.clip(radii, 0.25, 2) * radius
    x, y = radii * np.cos(angle), radii * np.sin(angle) * rng.uniform(0.45, 1)
    turn = rng.uniform(0, np.pi)
    outline = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1
    )
    return np.round(outline + centre).astype(np.int32)


def _shape(rng: Generator, size: int) -> Mask:
    radius = size * np.exp(rng.uniform(np.log(0.025), np.log(0.4)))
    centre = rng.uniform(0, size, 2)
    mask = np.zeros((size, size), np.uint8)
    kind = rng.random()
    if kind < 0.5:
        outline = _blob(rng, centre, radius, 0.18)
    elif kind < 0.75:
        count = int(rng.integers(3, 9))
        angle = np.sort(rng.uniform(0, 2 * np.pi, count))
        radii = radius * rng.uniform(0.5, 1.3, count)
        corners = np.stack([radii * np.cos(angle), radii * np.sin(angle)], 1)
        outline = np.round(corners + centre).astype(np.int32)
    else:
        half = radius * rng.uniform(0.2, 1.5, 2)
        turn = rng.uniform(0, np.pi)
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
        spin = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
        outline = np.round(signs @ spin + centre).astype(np.int32)
    cv2.fillPoly(mask, [outline], 1)
    if rng.random() < 0.12:
        hole = np.zeros_like(mask)
        cv2.fillPoly(hole, [_blob(rng, centre, radius * rng.uniform(0.2, 0.5), 0.1)], 1)
        mask[hole > 0] = 0
    return mask


def _inner(rng: Generator, mask: Mask) -> Mask:
    """A part of an object: a smaller shape around one of its pixels."""
    ys, xs = mask.nonzero()
    pick = rng.integers(len(ys))
    radius = np.sqrt(len(ys)) * rng.uniform(0.2, 0.5)
    inner = np.zeros_like(mask)
    centre = np.array([xs[pick], ys[pick]], np.float64)
    cv2.fillPoly(inner, [_blob(rng, centre, radius, 0.15)], 1)
    return np.asarray(inner & mask, np.uint8)


def _finish(rng: Generator, canvas: Float, levels: tuple[NDArray[np.int32], ...]) -> Picture:
    if rng.random() < 0.4:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 2)), np.float32)
    canvas = canvas + rng.standard_normal(canvas.shape).astype(np.float32) * rng.uniform(0, 14)
    kept = tuple(level for level in levels if level.any())
    return Picture(np.clip(canvas, 0, 255).astype(np.uint8), kept or levels[:1])
