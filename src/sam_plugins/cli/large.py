"""`sam-plugins segment` of a picture too large to hold: tile by tile into a label image in zarr."""

from pathlib import Path
from typing import TYPE_CHECKING

from sam_plugins.cli.common import Common, print_json, progress_bar, results

if TYPE_CHECKING:
    from sam_plugins.automatic import AutomaticSettings
    from sam_plugins.ports import Segmenter
    from sam_plugins.tiling import LabelImage, TiledImage

__all__ = ["is_large", "segment_large"]

_LARGE_PIXELS = 2**26
_TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".svs", ".ndpi")
_ZARR_RECORDS = ("zarr.json", ".zarray", ".zgroup")


def is_large(source: Path, tile: int | None) -> bool:
    """Whether a picture is to be segmented tile by tile.

    Parameters
    ----------
    source
        A file or folder.
    tile
        Where a side is given, every picture that can be read in parts is.

    Returns
    -------
    True for zarr folders, and for TIFF files of more than 2^26 pixels (8192 x 8192).
    """
    if source.is_dir():
        return any((source / name).exists() for name in _ZARR_RECORDS)
    if source.suffix.lower() not in _TIFF_SUFFIXES:
        return False
    from sam_plugins.sources import open_source

    _, height, width = open_source(source).shape
    return tile is not None or height * width > _LARGE_PIXELS


def segment_large(
    segmenter: "Segmenter",
    source: Path,
    folder: Path,
    settings: "AutomaticSettings",
    common: Common,
    *,
    page: int,
    tile: int | None,
    overwrite: bool,
) -> None:
    """Write ``<name>_labels.zarr``, unless it is there and complete, and say how many objects.

    Parameters
    ----------
    segmenter, settings
        What searches, and how.
    source, page
        The picture and its frame.
    folder
        For the results.
    common
        Options of every command.
    tile
        Side of a tile; None lets it be chosen.
    overwrite
        Segment it again.
    """
    from sam_plugins.sources import open_source
    from sam_plugins.tiling import TiledImage, labels_are_complete, labels_described

    tiled = TiledImage(segmenter, open_source(source), index=page, tile=tile, threshold=tile)
    path = folder / f"{source.stem}_labels.zarr"
    done = None if overwrite else labels_are_complete(path, labels_described(tiled, settings))
    found = done or _written(tiled, path, settings)
    if common.as_json:
        counts, files = {str(source): found.objects}, {str(source): [str(path)]}
        print_json({"objects": counts, "files": files, "failures": {}})
        return
    results().print(f"{found.objects:6d} objects   {source.name}", markup=False)
    results().print(f"Results: {path}", markup=False, soft_wrap=True)


def _written(tiled: "TiledImage", path: Path, settings: "AutomaticSettings") -> "LabelImage":
    """What is there was made otherwise, and is replaced as the other results are."""
    from sam_plugins.automatic import Progress
    from sam_plugins.tiling import write_labels

    with progress_bar() as progress:
        task = progress.add_task("Tiles", total=None)
        events = write_labels(tiled, path, settings, overwrite=True)
        for event in events:
            if not isinstance(event, Progress):
                return event
            progress.update(task, completed=event.done, total=event.total)
    raise RuntimeError("write_labels ended without a label image")
