"""The labelled pictures that training draws from, held in memory at a bounded size."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.training.split import Split

__all__ = ["IGNORE", "PHOTOGRAPHS", "Picture", "Pool", "load_pool", "shrunk"]

IGNORE = 65535
"""Label of pixels whose object is unknown."""

PHOTOGRAPHS = ("coco_ccby", "dali_pixabay", "fruits_nuts")
"""Sets whose objects are cut out and whose surfaces are textures for drawn scenes."""

MAX_SIDE = 1100
MAX_CUTOUT = 256
MIN_CUTOUT_AREA = 1500


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture and one or more ways of dividing it into objects.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    levels
        (H, W) int32 label maps, 0 background and `IGNORE` unknown: instances first, then coarser
        or finer divisions of the same picture.
    """

    image: NDArray[np.uint8]
    levels: tuple[NDArray[np.int32], ...]


@dataclass(slots=True)
class Pool:
    """Pictures by set, and RGBA cut-outs for composing scenes."""

    pictures: dict[str, list[Picture]] = field(default_factory=dict)
    cutouts: list[NDArray[np.uint8]] = field(default_factory=list)

    def images(self, names: Sequence[str]) -> list[NDArray[np.uint8]]:
        """All pictures of some sets, without labels."""
        return [picture.image for name in names for picture in self.pictures.get(name, [])]


def load_pool(root: Path, split: Split, subset: str = "train") -> Pool:
    """Read every picture of `subset` from ``<set>/images`` and ``<set>/masks``.

    Raises
    ------
    DatasetError
        If the pool or one of its files is missing or unreadable.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder: pass the folder that holds the training sets.")
    pool = Pool()
    for name in split.sets:
        stems = split.stems(name, subset)
        folder = root / name
        paths = {path.stem: path for path in (folder / "images").glob("*")}
        missing = [stem for stem in stems if stem not in paths]
        if missing:
            raise DatasetError(
                f"{folder / 'images'} lacks {len(missing)} pictures of the split, first "
                f"{missing[0]!r}: use the pool the split was made from."
            )
        pool.pictures[name] = [_picture(folder, paths[stem]) for stem in stems]
    photographs = [p for name in PHOTOGRAPHS for p in pool.pictures.get(name, [])]
    pool.cutouts = [cut for picture in photographs for cut in _cutouts(picture)]
    drawings = sorted((root / "noto_emoji_rgba" / "images").glob("*"))
    pool.cutouts += [_small(_read(path)) for path in drawings]
    return pool


def _read(path: Path) -> NDArray[Any]:
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise DatasetError(f"{path} cannot be read as a picture: remove it or replace it.")
    if array.ndim == 3:
        order = (2, 1, 0, 3) if array.shape[2] == 4 else (2, 1, 0)
        array = array[..., order]
    return np.ascontiguousarray(array)


def _picture(folder: Path, path: Path) -> Picture:
    image = _read(path)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, 2)
    image = image[..., :3]
    masks = [folder / kind / f"{path.stem}.png" for kind in ("masks", "panoptic")]
    levels = [_read(mask).astype(np.int32) for mask in masks if mask.exists()]
    return shrunk(image.astype(np.uint8), levels)


def shrunk(image: NDArray[np.uint8], levels: Sequence[NDArray[np.int32]]) -> Picture:
    """A picture whose longest side is at most `MAX_SIDE`, so that a pool fits in memory."""
    ratio = MAX_SIDE / max(image.shape[:2])
    if ratio < 1:
        size = (round(image.shape[1] * ratio), round(image.shape[0] * ratio))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        levels = [_shrink_labels(level, size) for level in levels]
    return Picture(np.ascontiguousarray(image), tuple(levels))


def _shrink_labels(level: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    small = cv2.resize(level.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, np.int32)


def _cutouts(picture: Picture) -> list[NDArray[np.uint8]]:
    """Every large enough instance as RGBA."""
    cuts = []
    level = picture.levels[0]
    for label in np.unique(level):
        mask = level == label
        if label in (0, IGNORE) or mask.sum() < MIN_CUTOUT_AREA:
            continue
        ys, xs = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        window = (slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1))
        alpha = (mask[window] * 255).astype(np.uint8)
        cuts.append(_small(np.dstack([picture.image[window], alpha])))
    return cuts


def _small(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ratio = min(1.0, MAX_CUTOUT / max(rgba.shape[:2]))
    size = (max(1, round(rgba.shape[1] * ratio)), max(1, round(rgba.shape[0] * ratio)))
    return np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA), np.uint8)
