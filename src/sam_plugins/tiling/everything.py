"""Everything-mode on a tiled picture: every tile searched, objects joined over their borders."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import numpy as np

from sam_plugins.automatic import AutomaticSettings, Progress, default_settings
from sam_plugins.formats import crop_to_rle
from sam_plugins.tiling.closing import close_objects
from sam_plugins.tiling.grid import centred
from sam_plugins.tiling.joining import JoinedObject, join_tiles, wanted_objects
from sam_plugins.tiling.objects import (
    FoundTiles,
    MemoryTiles,
    TileObject,
    finished,
    search_tile,
)
from sam_plugins.tiling.session import TiledImage
from sam_plugins.types import MaskRecord

__all__ = ["find_objects", "generate_tiled_masks"]


def generate_tiled_masks(
    tiled: TiledImage,
    settings: AutomaticSettings | None = None,
    *,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Progress | MaskRecord]:
    """Find every object of a picture of any size.

    Parameters
    ----------
    tiled
        The picture.
    settings
        What to search and keep, by default what suits the model. The grid of points and
        `max_area_fraction` count for each tile; tiles take the place of crops; what remains counts
        for whole objects. Masks may overlap: `write_labels` gives each pixel to one.
    stop
        Asked at each step; True leaves out what is left, and the masks of finished tiles follow.

    Yields
    ------
    Progress, then MaskRecord
        Progress while tiles are searched (a step is a tile), then the masks, highest predicted IoU
        first. Closing the generator stops the work. Memory grows with the masks' boxes, not with
        the picture; for very many objects `write_labels` keeps them on disk.

    Raises
    ------
    ImageError
        If the picture cannot be read somewhere.
    """
    settings = settings or default_settings(tiled.segmenter.info.name)
    tiles = MemoryTiles()
    joined = yield from find_objects(tiled, tiles, settings, stop=stop)
    for found in sorted(joined, key=lambda found: -found.predicted_iou):
        yield _record(tiled, tiles, found)


def find_objects(
    tiled: TiledImage,
    tiles: FoundTiles,
    settings: AutomaticSettings,
    *,
    more_steps: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Generator[Progress, None, list[JoinedObject]]:
    """Search the tiles that are not finished, then match what they hold.

    Parameters
    ----------
    tiled, settings
        As in `generate_tiled_masks`.
    tiles
        Where finished tiles are kept, and perhaps some are already.
    more_steps
        Steps that the caller's own work takes afterwards, for `Progress.total`.
    stop
        As in `generate_tiled_masks`; tiles that are left out count as empty.

    Returns
    -------
    The objects, in the order of tiles; then those that had to be asked for again.
    """
    count = len(tiled.grid)
    total = count + more_steps
    for number in range(count):
        if tiles.get(number) is not None:
            continue
        message = f"Segmenting tile {number + 1} of {count}"
        search = search_tile(tiled, number, settings)
        while True:
            if stop is not None and stop():
                search.close()
                tiles.put(number, [])
                break
            try:
                next(search)
            except StopIteration as end:
                tiles.put(number, end.value)
                break
            yield Progress(number, total, message)
    joined: list[JoinedObject] = []
    for event in join_tiles(tiled.grid, tiles):
        if isinstance(event, Progress):
            yield replace(event, done=count, total=total)
        else:
            joined = event
    closing = close_objects(tiled, tiles, joined, settings)
    while True:
        try:
            step = next(closing)
        except StopIteration as end:
            return wanted_objects(end.value, tiled.grid, settings)
        yield replace(step, done=count, total=total)


def _record(tiled: TiledImage, tiles: FoundTiles, found: JoinedObject) -> MaskRecord:
    pieces: list[TileObject] = [finished(tiles, tile)[index] for tile, index in found.pieces]
    x0, y0, x1, y1 = found.box
    crop = np.zeros((y1 - y0, x1 - x0), bool)
    for piece in pieces:
        left, top, right, bottom = piece.box
        crop[top - y0 : bottom - y0, left - x0 : right - x0] |= piece.crop
    grid = tiled.grid
    regions = np.array(
        [
            grid.region(tile) if tile < len(grid) else centred(found.box, grid.tile, grid.size)
            for tile, _ in found.pieces
        ]
    )
    low, high = regions[:, :2].min(0).tolist(), regions[:, 2:].max(0).tolist()
    return MaskRecord(
        segmentation=crop_to_rle(crop, found.box, tiled.size),
        box=found.box,
        area=int(np.count_nonzero(crop)),
        predicted_iou=found.predicted_iou,
        stability_score=min(piece.stability_score for piece in pieces),
        point_coords=pieces[0].point_coords,
        crop_box=(low[0], low[1], high[0], high[1]),
    )
