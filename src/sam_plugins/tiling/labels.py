"""Everything-mode into a label image on disk: zarr, written by block, resumed after a stop."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from sam_plugins.automatic import AutomaticSettings, Progress, default_settings
from sam_plugins.errors import ImageError, MissingExtraError
from sam_plugins.tiling.everything import find_objects
from sam_plugins.tiling.grid import TileGrid, meets
from sam_plugins.tiling.joining import JoinedObject
from sam_plugins.tiling.objects import FolderTiles, FoundTiles, finished
from sam_plugins.tiling.session import TiledImage
from sam_plugins.types import Box

__all__ = ["LabelImage", "labels_are_complete", "labels_described", "write_labels"]

_BLOCK = 1024
_SAMPLES_PER_SIDE = 6
_SAMPLE_SIDE = 32
_VERSION = 1


@dataclass(frozen=True, slots=True)
class LabelImage:
    """A label image that is complete.

    Parameters
    ----------
    path
        The zarr folder: one (H, W) uint32 array, 0 background, i the i-th object.
    objects
        How many objects there are. One that smaller ones cover entirely has no pixel.
    """

    path: Path
    objects: int


def write_labels(
    tiled: TiledImage,
    path: str | os.PathLike[str],
    settings: AutomaticSettings | None = None,
    *,
    overwrite: bool = False,
) -> Iterator[Progress | LabelImage]:
    """Find every object and write a label image, without ever holding either picture.

    Finished tiles are kept in the folder ``<path>.parts`` until the label image is complete: when
    the work was stopped, also by force, the same call goes on after the last finished tile.
    Numbers do not depend on that. ``<path>`` appears when it is complete.

    Parameters
    ----------
    tiled, settings
        As in `generate_tiled_masks`. Each pixel belongs to one object: smaller ones lie on top,
        or with overlaps "best_on_top" those with the higher predicted IoU.
    path
        The zarr folder to write, format 3, uint32, in chunks of 1024 x 1024. Its attributes say
        what made it (`labels_described`).
    overwrite
        Replace the zarr array that is there.

    Yields
    ------
    Progress, then LabelImage
        A step is a tile or a written block. Closing the generator stops the work.

    Raises
    ------
    ImageError
        If something else is there and `overwrite` is not given, another process writes there, or
        the picture cannot be read.
    MissingExtraError
        If zarr is not installed.
    OSError
        If the folder cannot be written.
    """
    zarr = _zarr()
    path = Path(path)
    if path.exists() and not (overwrite and (path / "zarr.json").is_file()):
        raise ImageError(
            f"A label image would be written to '{path}', which exists: choose another name, or "
            "overwrite it if it is a zarr array."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        chosen = settings or default_settings(tiled.segmenter.info.name)
        yield from _written(zarr, tiled, path, chosen)


def _written(
    zarr: Any, tiled: TiledImage, path: Path, settings: AutomaticSettings
) -> Iterator[Progress | LabelImage]:
    described = labels_described(tiled, settings)
    parts, unfinished = (path.with_name(path.name + end) for end in (".parts", ".partial"))
    tiles = FolderTiles(_parts_folder(parts, described))
    height, width = tiled.size
    blocks = math.ceil(height / _BLOCK) * math.ceil(width / _BLOCK)
    joined = yield from find_objects(tiled, tiles, settings, more_steps=blocks)
    labels = zarr.create_array(
        str(unfinished),
        shape=(height, width),
        chunks=(min(_BLOCK, height), min(_BLOCK, width)),
        dtype="uint32",
        overwrite=True,
    )
    total, done = len(tiled.grid) + blocks, len(tiled.grid)
    best_on_top = settings.overlaps == "best_on_top"
    for region, block in _painted(tiled.grid, tiles, joined, best_on_top=best_on_top):
        yield Progress(done, total, "Writing labels")
        done += 1
        if block is not None:
            x0, y0, x1, y1 = region
            labels[y0:y1, x0:x1] = block
    labels.attrs.update({"sam_plugins": described | {"objects": len(joined)}})
    if path.exists():
        shutil.rmtree(path)
    unfinished.replace(path)
    shutil.rmtree(parts, ignore_errors=True)
    yield Progress(total, total, "Writing labels")
    yield LabelImage(path, len(joined))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from writing the same label image."""
    # A host may close the generator in another thread than the one that began it.
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ImageError(
            f"'{path}' is being written already, by another process or another call: wait for it, "
            "or choose another name."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def labels_described(tiled: TiledImage, settings: AutomaticSettings) -> dict[str, Any]:
    """What decides a label image: model, settings, tiles, and a hash of samples of the picture."""
    height, width = tiled.size
    digest = hashlib.sha256()
    side = _SAMPLE_SIDE
    for i in range(_SAMPLES_PER_SIDE):
        for j in range(_SAMPLES_PER_SIDE):
            y, x = (
                (2 * n + 1) * s // (2 * _SAMPLES_PER_SIDE) for n, s in ((i, height), (j, width))
            )
            region = (x, y, min(x + side, width), min(y + side, height))
            digest.update(tiled.source.read(tiled.index, region).tobytes())
    return {
        "version": _VERSION,
        "model": tiled.segmenter.info.name,
        "model_id": tiled.segmenter.info.model_id,
        "settings": asdict(settings),
        "size": [height, width],
        "index": tiled.index,
        "tile": tiled.grid.tile,
        "halo": tiled.grid.halo,
        "pixels": digest.hexdigest(),
    }


def labels_are_complete(
    path: str | os.PathLike[str], described: Mapping[str, Any]
) -> LabelImage | None:
    """The label image at `path` if it is complete and was made like this, otherwise None."""
    try:
        array: Any = _zarr().open(str(path), mode="r")
        found = dict(array.attrs["sam_plugins"])
        objects = int(found.pop("objects"))
    except MissingExtraError:
        raise
    except Exception:
        return None
    return LabelImage(Path(path), objects) if found == json.loads(json.dumps(described)) else None


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError(
            "A label image of a large picture is written as zarr, which is not installed: pip "
            "install 'sam-plugins[large]'."
        ) from error
    return zarr


def _parts_folder(folder: Path, described: Mapping[str, Any]) -> Path:
    """The folder of finished tiles; emptied if it is another picture's, model's or settings'."""
    record = folder / "made_by.json"
    wanted = json.dumps(described, indent=1)
    try:
        same = record.read_text("utf-8") == wanted
    except OSError:
        same = False
    if not same:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        written = record.with_suffix(".part")
        written.write_text(wanted, "utf-8")
        written.replace(record)
    return folder


def _painted(
    grid: TileGrid, tiles: FoundTiles, joined: list[JoinedObject], *, best_on_top: bool
) -> Iterator[tuple[Box, NDArray[np.uint32] | None]]:
    """The blocks of the label image, row by row; None for one without objects."""
    numbers = {key: n for n, found in enumerate(joined) for key in found.pieces}
    load = lru_cache(maxsize=3 * grid.counts[1] + 3)(partial(finished, tiles))
    height, width = grid.size
    for y0 in range(0, height, _BLOCK):
        for x0 in range(0, width, _BLOCK):
            region = (x0, y0, min(x0 + _BLOCK, width), min(y0 + _BLOCK, height))
            there = [
                (numbers[tile, index], found)
                for tile in (*grid.meeting(region), len(grid))
                for index, found in enumerate(load(tile))
                if (tile, index) in numbers and meets(found.box, region)
            ]
            there.sort(key=lambda item: _rank(joined[item[0]], item[0], best_on_top=best_on_top))
            block = np.zeros((region[3] - y0, region[2] - x0), np.uint32) if there else None
            for number, found in there:
                part = meets(found.box, region)
                if part is None or block is None:
                    continue
                left, top, right, bottom = part
                crop = found.inside(part)
                block[top - y0 : bottom - y0, left - x0 : right - x0][crop] = number + 1
            yield region, block


def _rank(found: JoinedObject, number: int, *, best_on_top: bool) -> tuple[float, float, int]:
    """What is painted first lies at the bottom."""
    if best_on_top:
        return found.predicted_iou, -found.area, -number
    return -found.area, found.predicted_iou, -number
