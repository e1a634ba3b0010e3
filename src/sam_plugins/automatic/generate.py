"""Everything-mode on a picture: its crops searched one after the other, as a generator."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from sam_plugins.automatic.crops import crop_boxes, point_grid
from sam_plugins.automatic.overlaps import without_overlaps
from sam_plugins.automatic.regions import clean_record
from sam_plugins.automatic.search import search_embedding
from sam_plugins.automatic.settings import AutomaticSettings, Progress, default_settings
from sam_plugins.automatic.suppression import suppress, touches_border
from sam_plugins.ports import Segmenter
from sam_plugins.transforms import checked_region
from sam_plugins.types import Box, Image, MaskRecord

__all__ = ["generate_masks"]

_CLEANED_AT_ONCE = 16
"""Masks whose small regions are removed between two reports of progress."""


def generate_masks(
    segmenter: Segmenter,
    image: Image,
    settings: AutomaticSettings | None = None,
    *,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Progress | MaskRecord]:
    """Find every object of a picture.

    Parameters
    ----------
    segmenter
        Any model.
    image
        (H, W, 3) uint8 RGB.
    settings
        What to search and keep; by default what suits the model (`default_settings`).
    stop
        Asked after each point; True ends the search, and the masks found until then follow.

    Yields
    ------
    Progress, then MaskRecord
        Progress while the grids are answered (a step is a point), then the masks, highest
        predicted IoU first. Closing the generator stops the work at the next step. Memory does
        not grow with the number of masks times the size of the picture: masks are run lengths.

    Raises
    ------
    ImageError
        If `image` is not such an array.
    """
    settings = settings or default_settings(segmenter.info.name)
    _, _, width, height = checked_region(image, None)
    crops = crop_boxes((height, width), settings.crop_n_layers, settings.crop_overlap_ratio)
    if settings.skip_whole_image:
        crops = crops[1:]
    found = yield from _search_crops(segmenter, image, crops, settings, stop)
    if len(crops) > 1:
        scores = [1 / _pixels(record.crop_box) for record in found]
        found = suppress(found, scores, settings.crop_nms_thresh)
    if settings.min_mask_region_area and found:
        total = sum(_points_per_side(settings, layer) ** 2 for _, layer in crops)
        found = yield from _without_small_regions(found, settings, height * width, total)
    found = sorted(found, key=lambda record: -record.predicted_iou)
    if settings.exclude_border:
        found = [record for record in found if not touches_border(record.box, (height, width))]
    found = found[: settings.max_masks]
    if settings.overlaps != "keep":
        on_top = settings.overlaps == "best_on_top"
        found = without_overlaps(
            found, (height, width), best_on_top=on_top, min_visible=settings.min_visible
        )
    yield from found


def _search_crops(
    segmenter: Segmenter,
    image: Image,
    crops: Sequence[tuple[Box, int]],
    settings: AutomaticSettings,
    stop: Callable[[], bool] | None,
) -> Generator[Progress, None, list[MaskRecord]]:
    """Search each crop for itself; steps are counted over all of them."""
    grids = [point_grid(_points_per_side(settings, layer), box) for box, layer in crops]
    total, before = sum(len(points) for points in grids), 0
    found: list[MaskRecord] = []
    for number, ((box, _), points) in enumerate(zip(crops, grids, strict=True), 1):
        if stop is not None and stop():
            break
        of = f" ({number} of {len(crops)})" if len(crops) > 1 else ""
        yield Progress(before, total, f"Encoding the picture{of}")
        embedding = segmenter.encode(image, region=box)
        search = search_embedding(segmenter, embedding, points, settings, stop=stop)
        while True:
            try:
                step = next(search)
            except StopIteration as end:
                found.extend(end.value)
                break
            yield replace(step, done=before + step.done, total=total, message=step.message + of)
        before += len(points)
    return found


def _points_per_side(settings: AutomaticSettings, layer: int) -> int:
    return max(int(settings.points_per_side / settings.crop_n_points_downscale_factor**layer), 1)


def _pixels(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _without_small_regions(
    found: list[MaskRecord], settings: AutomaticSettings, pixels: int, total: int
) -> Generator[Progress, None, list[MaskRecord]]:
    """Fill small holes, drop small islands, then suppress again, untouched masks first."""
    cleaned: list[MaskRecord] = []
    scores: list[float] = []
    for number, record in enumerate(found):
        if number % _CLEANED_AT_ONCE == 0:
            yield Progress(total, total, "Removing small regions")
        record, changed = clean_record(record, settings.min_mask_region_area)
        if settings.allows(record.area, pixels):
            cleaned.append(record)
            scores.append(float(not changed))
    return suppress(cleaned, scores, max(settings.box_nms_thresh, settings.crop_nms_thresh))
