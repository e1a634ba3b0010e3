"""What was found in each tile: small masks with their place, in memory or in a folder."""

import os
import zipfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam_plugins.automatic import AutomaticSettings, Progress, search_embedding
from sam_plugins.automatic.regions import clean_record
from sam_plugins.errors import ImageError
from sam_plugins.formats import rle_to_crop
from sam_plugins.tiling.grid import margin_of, meets
from sam_plugins.tiling.session import TiledImage
from sam_plugins.types import Box

__all__ = [
    "FolderTiles",
    "FoundTiles",
    "MemoryTiles",
    "TileObject",
    "finished",
    "search_tile",
    "tile_points",
]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TileObject:
    """A mask that was found in one tile.

    Parameters
    ----------
    crop
        (h, w) bool inside `box`.
    box
        xyxy in the whole picture, x1 and y1 exclusive.
    predicted_iou, stability_score, point_coords
        As in `MaskRecord`.
    cut
        Whether it reaches the edge of its tile where the picture goes on.
    """

    crop: NDArray[np.bool_]
    box: Box
    predicted_iou: float
    stability_score: float
    point_coords: tuple[float, float]
    cut: bool

    @property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.crop))

    def inside(self, part: Box) -> NDArray[np.bool_]:
        """The mask in `part`, which lies within `box`."""
        x0, y0, x1, y1 = part
        left, top = self.box[:2]
        return self.crop[y0 - top : y1 - top, x0 - left : x1 - left]


class FoundTiles(Protocol):
    """Where the objects of finished tiles are kept."""

    def get(self, number: int) -> list[TileObject] | None:
        """The objects of a tile, or None if it is not finished."""
        ...

    def put(self, number: int, objects: Sequence[TileObject]) -> None:
        """Keep the objects of a finished tile."""
        ...


def finished(tiles: FoundTiles, number: int) -> list[TileObject]:
    """The objects of a tile that is finished.

    Raises
    ------
    ImageError
        If they are gone: somebody removed files of a run that goes on.
    """
    objects = tiles.get(number)
    if objects is None:
        raise ImageError(
            f"What was found in tile {number} is gone or damaged: leave the folder of parts alone "
            "until the run has ended, and start it again."
        )
    return objects


class MemoryTiles:
    """Finished tiles in memory."""

    def __init__(self) -> None:
        self._found: dict[int, list[TileObject]] = {}

    def get(self, number: int) -> list[TileObject] | None:
        """As `FoundTiles.get`."""
        return self._found.get(number)

    def put(self, number: int, objects: Sequence[TileObject]) -> None:
        """As `FoundTiles.put`."""
        self._found[number] = list(objects)


class FolderTiles:
    """Finished tiles as files of a folder, each whole or not at all.

    Parameters
    ----------
    folder
        Exists already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, number: int) -> list[TileObject] | None:
        """As `FoundTiles.get`; a file that cannot be read counts as not finished."""
        try:
            with (
                self._path(number).open("rb") as file,
                np.load(file, allow_pickle=False) as found,
            ):
                return _unpacked({name: found[name] for name in found.files})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, number: int, objects: Sequence[TileObject]) -> None:
        """As `FoundTiles.put`."""
        path = self._path(number)
        partial = path.with_name(f".{path.stem}.{os.getpid()}.part")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **_packed(objects))  # type: ignore[arg-type]
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:07d}.npz"


def tile_points(tiled: TiledImage, number: int, points_per_side: int) -> NDArray[np.float64]:
    """The points that a tile is searched with: those of one grid over the picture in its core.

    Parameters
    ----------
    tiled
        The picture.
    number
        Of the tile.
    points_per_side
        Points along a whole tile, so that their distance is ``tile / points_per_side``. A core
        that falls between them gets its middle.

    Returns
    -------
    (N, 2) float64 xy in pixels of the picture, row by row.
    """
    spacing = tiled.grid.tile / points_per_side
    x0, y0, x1, y1 = tiled.grid.core(number)
    sides = []
    for low, high in ((x0, x1), (y0, y1)):
        first = int(np.ceil(low / spacing - 0.5))
        places = (np.arange(first, int(high / spacing) + 2) + 0.5) * spacing
        places = places[(places >= low) & (places < high)]
        sides.append(places if len(places) else np.array([(low + high - 1) / 2]))
    x, y = np.meshgrid(*sides)
    return np.stack((x.ravel(), y.ravel()), axis=1)


def search_tile(
    tiled: TiledImage, number: int, settings: AutomaticSettings
) -> Generator[Progress, None, list[TileObject]]:
    """Everything-mode in one tile, prompted in its core and answered in its whole window.

    A tile of a single colour holds nothing and costs no encoding.

    Parameters
    ----------
    tiled, number
        The picture and its tile.
    settings
        Of the search. Limits of area other than `max_area_fraction` (here: of the tile) concern
        whole objects and are left to the caller.
    """
    region = tiled.grid.region(number)
    yield Progress(0, 1, "Encoding a tile")
    embedding = tiled.tile_embedding(number)
    if embedding is None:
        return []
    points = tile_points(tiled, number, settings.points_per_side)
    x0, y0, x1, y1 = region
    width, height = x1 - x0, y1 - y0
    # As a picture of its own, so that nothing costs more because the picture is large.
    alone = replace(embedding, region=(0, 0, width, height), original_size=(height, width))
    search = replace(settings, min_area=0, max_area=None)
    records = yield from search_embedding(tiled.segmenter, alone, points - (x0, y0), search)
    cell = int(np.ceil(max(width, height) / max(tiled.segmenter.info.low_res_size)))
    found: list[TileObject] = []
    for record in records:
        if settings.min_mask_region_area:
            record, _ = clean_record(record, settings.min_mask_region_area)
        crop, (left, top, right, bottom) = rle_to_crop(record.segmentation)
        if not crop.size:
            continue
        box = (left + x0, top + y0, right + x0, bottom + y0)
        found.append(
            TileObject(
                crop=crop,
                box=box,
                predicted_iou=record.predicted_iou,
                stability_score=record.stability_score,
                point_coords=(record.point_coords[0] + x0, record.point_coords[1] + y0),
                cut=margin_of(region, box, tiled.size) < cell,
            )
        )
    return _without_duplicates(found, settings.box_nms_thresh)


def _without_duplicates(found: Sequence[TileObject], iou_threshold: float) -> list[TileObject]:
    """Of masks that share too many pixels the one with the highest predicted IoU.

    Suppression by boxes leaves copies with a stray pixel far away: each of them could be matched
    with another tile's copy, and one object would count twice.
    """
    kept: list[TileObject] = []
    for one in sorted(found, key=lambda found: -found.predicted_iou):
        if all(_iou(one, other) <= iou_threshold for other in kept):
            kept.append(one)
    return kept


def _iou(first: TileObject, second: TileObject) -> float:
    part = meets(first.box, second.box)
    if part is None:
        return 0.0
    shared = int(np.count_nonzero(first.inside(part) & second.inside(part)))
    return shared / (first.area + second.area - shared)


def _packed(objects: Sequence[TileObject]) -> dict[str, NDArray[np.generic]]:
    bits = [np.packbits(found.crop) for found in objects]
    return {
        "boxes": np.array([found.box for found in objects], np.int64).reshape(-1, 4),
        "scores": np.array(
            [(found.predicted_iou, found.stability_score) for found in objects], np.float64
        ).reshape(-1, 2),
        "points": np.array([found.point_coords for found in objects], np.float64).reshape(-1, 2),
        "cut": np.array([found.cut for found in objects], bool),
        "bits": np.concatenate([np.zeros(0, np.uint8), *bits]),
    }


def _unpacked(arrays: dict[str, NDArray[np.generic]]) -> list[TileObject]:
    bits, start = arrays["bits"].astype(np.uint8), 0
    found = []
    for box, scores, point, cut in zip(
        arrays["boxes"].tolist(),
        arrays["scores"].tolist(),
        arrays["points"].tolist(),
        arrays["cut"].tolist(),
        strict=True,
    ):
        height, width = box[3] - box[1], box[2] - box[0]
        length = -(-height * width // 8)
        crop = np.unpackbits(bits[start : start + length], count=height * width).astype(bool)
        start += length
        found.append(
            TileObject(
                crop=crop.reshape(height, width),
                box=(box[0], box[1], box[2], box[3]),
                predicted_iou=scores[0],
                stability_score=scores[1],
                point_coords=(point[0], point[1]),
                cut=cut,
            )
        )
    return found
