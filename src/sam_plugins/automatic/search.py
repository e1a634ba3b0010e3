"""Everything-mode on one embedding: a grid of points answered, filtered and cleared of duplicates.

Kirillov et al. (2023), section 5 and appendix B: each point of a regular grid is answered with
three masks; answers the model doubts, or that change when the threshold moves, are dropped; of
boxes that overlap too much the one with the highest predicted IoU stays.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam_plugins.automatic.settings import AutomaticSettings, Progress
from sam_plugins.automatic.suppression import is_cut_off, suppress
from sam_plugins.device import thread_budget
from sam_plugins.formats.rle import runs_to_rle
from sam_plugins.mask_statistics import (
    MaskStatistics,
    Window,
    compiled_kernel,
    is_prepared,
    measure_masks,
    measure_plain,
)
from sam_plugins.ports import Segmenter
from sam_plugins.types import Embedding, MaskRecord, Masks, Prompt

__all__ = ["mask_record", "search_embedding"]

Point: TypeAlias = tuple[float, float]

_POINTS_AT_ONCE = 256
"""Handed to the segmenter together, which answers them a batch at a time as they are asked for."""

_ANSWERS_AT_ONCE = 64
"""Low-resolution answers held at a time: 16 MB of the published models'."""


def search_embedding(
    segmenter: Segmenter,
    embedding: Embedding,
    points: NDArray[np.float64],
    settings: AutomaticSettings,
    *,
    threads: int | None = None,
    stop: Callable[[], bool] | None = None,
) -> Generator[Progress, None, list[MaskRecord]]:
    """Answer points on an embedding that is made already, and keep what the settings say.

    What it costs depends on the region that the embedding covers, not on the size of the image.

    Parameters
    ----------
    segmenter
        Whose embedding it is.
    embedding
        Of one window of an image.
    points
        (N, 2) float64 xy in pixels of the whole image, inside the window.
    settings
        Its thresholds and limits of area, and `crop_edge_margin` for the edges of the window; what
        concerns crops, borders and overlaps is left to the caller.
    threads
        For measuring masks; by default the process's budget.
    stop
        Asked after each point; True ends the search, and what was found until then is returned.

    Yields
    ------
    Progress
        After each point; closing the generator stops the work there.

    Returns
    -------
    Records without duplicates, highest predicted IoU first.

    Raises
    ------
    EmbeddingError
        If another encoder made the embedding.
    PromptError
        If a point lies outside the window.
    """
    threads = threads or thread_budget()
    thresh = settings.pred_iou_thresh if settings.pred_iou_thresh > 0 else None
    total = len(points)
    if not is_prepared():
        yield Progress(0, total, "Preparing")
        compiled_kernel()
    found: list[MaskRecord] = []
    waiting: list[tuple[Point, Masks]] = []
    held, stopped = 0, False
    for start in range(0, total, _POINTS_AT_ONCE):
        some = points[start : start + _POINTS_AT_ONCE]
        prompts = [Prompt(point_coords=[point], point_labels=[1]) for point in some]
        answers = segmenter.decode_many(
            embedding, prompts, multimask_output=True, pred_iou_thresh=thresh
        )
        for done, (point, masks) in enumerate(zip(some.tolist(), answers, strict=True), start + 1):
            if len(masks):
                waiting.append(((point[0], point[1]), masks))
                held += len(masks)
            stopped = stop is not None and stop()
            if held >= _ANSWERS_AT_ONCE or done == total or stopped:
                found.extend(_accepted(waiting, settings, threads))
                waiting, held = [], 0
            if stopped:
                break
            yield Progress(done, total, "Answering a grid of points")
        if stopped:
            break
    yield Progress(total, total, "Removing duplicates")
    return suppress(found, [record.predicted_iou for record in found], settings.box_nms_thresh)


def mask_record(
    masks: Masks, index: int, point: Point, stability_score_offset: float = 1.0
) -> MaskRecord:
    """One answer as a record, with its stability measured at the size of the picture.

    Parameters
    ----------
    masks
        Answers to a prompt.
    index
        Which of them.
    point
        The xy that the record names as its prompt.
    stability_score_offset
        As in `AutomaticSettings`.
    """
    # One answer is not worth waiting for a kernel to be compiled.
    statistics = measure_plain(
        masks.low_res_logits[index],
        Window.of(masks),
        mask_threshold=masks.mask_threshold,
        offset=stability_score_offset,
    )
    return _record(masks, index, point, statistics)


def _accepted(
    answers: Sequence[tuple[Point, Masks]], settings: AutomaticSettings, threads: int
) -> Iterator[MaskRecord]:
    """The answers to some points that pass the filters, in order."""
    if not answers:
        return
    first = answers[0][1]
    measured = measure_masks(
        np.concatenate([masks.low_res_logits for _, masks in answers]),
        Window.of(first),
        mask_threshold=first.mask_threshold,
        offset=settings.stability_score_offset,
        stability_score_thresh=settings.stability_score_thresh,
        threads=threads,
    )
    height, width = first.original_size
    each = ((point, masks, index) for point, masks in answers for index in range(len(masks)))
    for (point, masks, index), statistics in zip(each, measured, strict=True):
        if (
            statistics.runs is not None
            and statistics.area
            and settings.allows(statistics.area, height * width)
            and not is_cut_off(
                statistics.box, masks.region, masks.original_size, settings.crop_edge_margin
            )
        ):
            yield _record(masks, index, point, statistics)


def _record(masks: Masks, index: int, point: Point, statistics: MaskStatistics) -> MaskRecord:
    height, width = masks.original_size
    runs = statistics.runs
    if runs is None:
        runs = np.array([height * width], np.int64)
    return MaskRecord(
        segmentation=runs_to_rle(runs, (height, width)),
        box=statistics.box,
        area=statistics.area,
        predicted_iou=float(masks.iou_predictions[index]),
        stability_score=statistics.stability_score,
        point_coords=point,
        crop_box=masks.region,
    )
