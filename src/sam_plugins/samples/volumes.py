"""Sequences of nuclei through z or t, drawn from a seed, with their exact truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.errors import ImageError
from sam_plugins.samples.drawing import DRAWN_LICENCE, DRAWN_SOURCE, blob, smooth_noise

__all__ = ["SEQUENCES", "VOLUME_SAMPLES", "VolumeSample", "load_volume_sample", "sequence"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VolumeSample:
    """A stack or a time series, and what is in it.

    Parameters
    ----------
    name, title
        A word for file names, and words for people.
    image
        (frames, H, W) uint8.
    truth
        (frames, H, W) uint16 labels; one number per object through all frames.
    axes
        "ZYX" or "TYX".
    scale
        Size of a voxel along each axis, in `unit` where the axis is one of space.
    unit
        "micrometer".
    licence, source
        What may be done with it, and who made it.
    """

    name: str
    title: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint16]
    axes: str
    scale: tuple[float, float, float]
    unit: str = "micrometer"
    licence: str = DRAWN_LICENCE
    source: str = DRAWN_SOURCE


@dataclass(frozen=True, slots=True)
class Track:
    """One nucleus through the frames.

    Parameters
    ----------
    centres
        (frames, 2) xy in pixels.
    radii
        (frames,) pixels; 0 where it is not there.
    stretch
        Long axis over short axis.
    angle, brightness
        Rotation in radians, and grey levels over the ground.
    waves
        As `blob` takes them.
    """

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    stretch: float
    angle: float
    brightness: float
    waves: NDArray[np.float64]


def _track(rng: Generator, centres: NDArray[np.float64], radii: NDArray[np.float64]) -> Track:
    return Track(
        centres,
        radii,
        float(rng.uniform(1, 1.35)),
        float(rng.uniform(0, np.pi)),
        float(rng.uniform(80, 150)),
        np.stack((rng.uniform(0, 0.05, 4), rng.uniform(0, 6.3, 4)), axis=1),
    )


def drawn(
    rng: Generator, tracks: list[Track], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Frames of textured nuclei with blur and photon noise, and their labels.

    Returns
    -------
    image, truth
        (frames, H, W) uint8 and uint16.
    """
    frames = len(tracks[0].radii)
    image = np.zeros((frames, *size), np.uint8)
    truth = np.zeros((frames, *size), np.uint16)
    chromatin = [1 + 0.2 * smooth_noise(rng, size, 3.0) for _ in tracks]
    for frame in range(frames):
        light = np.zeros(size, np.float32)
        for number, track in enumerate(tracks, 1):
            radius = float(track.radii[frame])
            if radius < 2:
                continue
            x, y = track.centres[frame]
            shape = blob(size, (x, y), (radius * track.stretch, radius), track.angle, track.waves)
            free = (shape < 0) & (truth[frame] == 0)
            truth[frame][free] = number
            shift = np.round(track.centres[frame] - track.centres[0]).astype(int)
            texture = np.roll(chromatin[number - 1], (int(shift[1]), int(shift[0])), (0, 1))
            body = np.clip(-shape * 3.2, 0, 1) ** 0.7 * texture * track.brightness
            light[free] = body[free]
        glow = ndimage.gaussian_filter(light, 12)
        light = ndimage.gaussian_filter(light, 0.9) + 0.15 * glow + 9
        noisy = rng.poisson(np.clip(light, 0, None) * 1.5) / 1.5 + rng.normal(0, 2, size)
        image[frame] = np.clip(noisy, 0, 255).astype(np.uint8)
    return image, truth


def _bump(frames: int, centre: float, half: float, radius: float) -> NDArray[np.float64]:
    """Radii of a ball through z: largest at `centre`, 0 beyond `half` frames."""
    z = (np.arange(frames) - centre) / half
    radii: NDArray[np.float64] = radius * np.sqrt(np.clip(1 - z**2, 0, None))
    return radii


def _still(frames: int, x: float, y: float) -> NDArray[np.float64]:
    return np.tile((x, y), (frames, 1)).astype(np.float64)


def _walk(rng: Generator, frames: int, x: float, y: float, step: float) -> NDArray[np.float64]:
    """A path that keeps its direction for a while."""
    turns = np.cumsum(rng.normal(0, 0.35, frames)) + rng.uniform(0, 2 * np.pi)
    steps = step * np.stack((np.cos(turns), np.sin(turns)), axis=1)
    path: NDArray[np.float64] = np.array((x, y)) + np.cumsum(steps, axis=0) - steps[0]
    return path


def drift(rng: Generator, frames: int, size: tuple[int, int]) -> list[Track]:
    """Three nuclei that all move, each its own way, without meeting."""
    height, width = size
    places = [(0.27, 0.3), (0.72, 0.32), (0.5, 0.74)]
    tracks = []
    for fx, fy in places:
        centres = _walk(rng, frames, fx * width, fy * height, rng.uniform(1.5, 3))
        middle = centres.mean(0)
        centres += (fx * width, fy * height) - middle
        tracks.append(_track(rng, centres, np.full(frames, rng.uniform(14, 20))))
    return tracks


def growth(rng: Generator, frames: int, size: tuple[int, int]) -> list[Track]:
    """Two nuclei that are small, large and small again, as balls are through z."""
    height, width = size
    tracks = []
    for fx, fy in ((0.3, 0.35), (0.68, 0.65)):
        radii = 9 + _bump(frames, frames / 2, frames / 2, rng.uniform(12, 17))
        tracks.append(_track(rng, _still(frames, fx * width, fy * height), radii))
    return tracks


def touching(rng: Generator, frames: int, size: tuple[int, int]) -> list[Track]:
    """Three nuclei in a row that touch each other, and slide a little."""
    height, width = size
    radius = rng.uniform(16, 20)
    tracks = []
    for number in (-1, 0, 1):
        centres = _walk(rng, frames, width / 2 + number * 2 * radius, height / 2, 0.7)
        track = _track(rng, centres, np.full(frames, radius * rng.uniform(0.97, 1.05)))
        tracks.append(Track(track.centres, track.radii, 1.0, 0.0, track.brightness, track.waves))
    return tracks


def vanishing(rng: Generator, frames: int, size: tuple[int, int]) -> list[Track]:
    """One nucleus begins and ends within the sequence, next to others that stay."""
    height, width = size
    last = float(rng.uniform(0.25, 0.32)) * frames
    ending = _bump(frames, frames / 2, last, rng.uniform(17, 22))
    return [
        _track(rng, _still(frames, 0.5 * width, 0.5 * height), ending),
        _track(rng, _still(frames, 0.2 * width, 0.3 * height), np.full(frames, 15.0)),
        _track(rng, _still(frames, 0.78 * width, 0.72 * height), np.full(frames, 17.0)),
    ]


SEQUENCES: Mapping[str, Callable[[Generator, int, tuple[int, int]], list[Track]]] = (
    MappingProxyType(
        {"drift": drift, "growth": growth, "touching": touching, "vanishing": vanishing}
    )
)
"""Kinds of sequences, each ``(rng, frames, (H, W)) -> tracks``; `sequence` draws them."""


def sequence(
    kind: str, seed: int = 0, frames: int = 16, size: tuple[int, int] = (192, 192)
) -> VolumeSample:
    """One of `SEQUENCES`, drawn."""
    rng = np.random.default_rng([seed, *kind.encode()])
    image, truth = drawn(rng, SEQUENCES[kind](rng, frames, size), size)
    return VolumeSample(
        name=kind, title=kind, image=image, truth=truth, axes="TYX", scale=(1, 1, 1)
    )


def z_stack(seed: int = 7) -> VolumeSample:
    """Nuclei of a tissue through z, some of which begin or end inside."""
    rng = np.random.default_rng([seed, 11])
    frames, size = 24, (256, 256)
    tracks: list[Track] = []
    for _ in range(300):
        x, y, z = rng.uniform(24, 232), rng.uniform(24, 232), rng.uniform(-2, 26)
        radius = rng.uniform(15, 22)
        apart = [
            np.hypot(*(track.centres[0] - (x, y))) > 1.15 * (track.radii.max() + radius)
            for track in tracks
        ]
        if all(apart) and len(tracks) < 14:
            tracks.append(_track(rng, _still(frames, x, y), _bump(frames, z, radius / 2.2, radius)))
    image, truth = drawn(rng, tracks, size)
    return VolumeSample(
        name="z_stack",
        title="Nuclei through z",
        image=image,
        truth=truth,
        axes="ZYX",
        scale=(0.6, 0.25, 0.25),
    )


def time_lapse(seed: int = 9) -> VolumeSample:
    """Nuclei that move, one frame a minute."""
    rng = np.random.default_rng([seed, 12])
    frames, size = 20, (256, 256)
    tracks = []
    for fx in (0.18, 0.5, 0.82):
        for fy in (0.2, 0.5, 0.8):
            centres = _walk(rng, frames, fx * 256, fy * 256, rng.uniform(0.5, 1.6))
            centres += (fx * 256, fy * 256) - centres.mean(0)
            tracks.append(_track(rng, centres, np.full(frames, rng.uniform(13, 19))))
    image, truth = drawn(rng, tracks, size)
    return VolumeSample(
        name="time_lapse",
        title="Moving nuclei",
        image=image,
        truth=truth,
        axes="TYX",
        scale=(1, 0.25, 0.25),
    )


VOLUME_SAMPLES: Mapping[str, Callable[[], VolumeSample]] = MappingProxyType(
    {"z_stack": z_stack, "time_lapse": time_lapse}
)
"""Name -> what makes the sample."""


def load_volume_sample(name: str) -> VolumeSample:
    """One sample volume by name.

    Raises
    ------
    ImageError
        If there is no sample of this name.
    """
    if name not in VOLUME_SAMPLES:
        raise ImageError(f"There is no sample {name!r}; there are {', '.join(VOLUME_SAMPLES)}.")
    return VOLUME_SAMPLES[name]()
