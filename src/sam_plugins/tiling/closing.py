"""Objects that a tile cuts off and no neighbour goes on with: asked for again, or left out.

A mask that ends in a straight line at the edge of a tile is known to be wrong. Where what is seen
of the object is small enough it is asked for once more, from a window around it; what that window
cuts off as well, most often background, is left out.
"""

from collections.abc import Generator, Sequence
from functools import lru_cache, partial

import numpy as np

from sam_plugins.automatic import AutomaticSettings, Progress, mask_record
from sam_plugins.masks import box_iou
from sam_plugins.tiling.grid import centred, margin_of, meets
from sam_plugins.tiling.joining import JoinedObject
from sam_plugins.tiling.objects import FoundTiles, TileObject, finished
from sam_plugins.tiling.session import TiledImage
from sam_plugins.types import Masks, Prompt

__all__ = ["close_objects"]

_SAME_IOU = 0.5


def close_objects(
    tiled: TiledImage,
    tiles: FoundTiles,
    joined: Sequence[JoinedObject],
    settings: AutomaticSettings,
) -> Generator[Progress, None, list[JoinedObject]]:
    """Ask again for objects that are open, or leave them out.

    Parameters
    ----------
    tiled, settings
        As for the search.
    tiles
        What was found. The new masks are put there as well, under the number after the last tile.
    joined
        All objects.

    Returns
    -------
    Those that were whole, in order, then those that are now.
    """
    load = lru_cache(maxsize=3 * tiled.grid.counts[1] + 3)(partial(finished, tiles))
    closed = [found for found in joined if not found.open]
    waiting = [found for found in joined if found.open]
    boxes = [found.box for found in closed]
    fresh: list[TileObject] = []
    for number, found in enumerate(waiting):
        yield Progress(number, len(waiting), "Asking again for what tiles cut off")
        x0, y0, x1, y1 = found.box
        if max(x1 - x0, y1 - y0) > tiled.grid.step:
            continue
        tile, index = max(found.pieces, key=lambda key: load(key[0])[key[1]].area)
        answer = _asked_again(tiled, load(tile)[index], tile, found, settings)
        if answer is None:
            continue
        if boxes and float(box_iou([answer.box], boxes).max()) > settings.box_nms_thresh:
            continue
        closed.append(
            JoinedObject(
                pieces=((len(tiled.grid), len(fresh)),),
                box=answer.box,
                area=answer.area,
                predicted_iou=answer.predicted_iou,
            )
        )
        fresh.append(answer)
        boxes.append(answer.box)
    tiles.put(len(tiled.grid), fresh)
    return closed


def _asked_again(
    tiled: TiledImage,
    piece: TileObject,
    tile: int,
    found: JoinedObject,
    settings: AutomaticSettings,
) -> TileObject | None:
    """The whole object that a piece belongs to, from a window around it."""
    window = centred(found.box, tiled.grid.tile, tiled.size)
    prompt = Prompt(point_coords=[piece.point_coords], point_labels=[1])
    masks = tiled.segmenter.decode(tiled.embedding(window), prompt, multimask_output=True)
    cell = -(-tiled.grid.tile // max(tiled.segmenter.info.low_res_size))
    best: tuple[float, TileObject] | None = None
    for index in masks.ranked:
        if 0 < settings.pred_iou_thresh >= float(masks.iou_predictions[index]):
            continue
        answer = _as_object(masks, index, piece, settings)
        if answer is None or margin_of(window, answer.box, tiled.size) < cell:
            continue
        if 0 < settings.stability_score_thresh > answer.stability_score:
            continue
        iou = _iou_within(answer, piece, tiled.grid.region(tile))
        if iou >= _SAME_IOU and (best is None or iou > best[0]):
            best = (iou, answer)
    return None if best is None else best[1]


def _as_object(
    masks: Masks, index: int, piece: TileObject, settings: AutomaticSettings
) -> TileObject | None:
    crop, box = masks.crop(index)
    if not crop.size:
        return None
    record = mask_record(masks, index, piece.point_coords, settings.stability_score_offset)
    return TileObject(
        crop=crop,
        box=box,
        predicted_iou=record.predicted_iou,
        stability_score=record.stability_score,
        point_coords=piece.point_coords,
        cut=False,
    )


def _iou_within(answer: TileObject, piece: TileObject, region: tuple[int, int, int, int]) -> float:
    """IoU of a piece with what its tile shows of the answer."""
    seen = meets(answer.box, region)
    shared = meets(answer.box, piece.box)
    if seen is None or shared is None:
        return 0.0
    both = int(np.count_nonzero(answer.inside(shared) & piece.inside(shared)))
    return both / (int(np.count_nonzero(answer.inside(seen))) + piece.area - both)
