"""Answers to prompts as pixels and numbers, many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam_plugins.device import thread_budget
from sam_plugins.mask_statistics import (
    Window,
    is_prepared,
    measure_masks,
    measure_plain,
)
from sam_plugins.masks import runs_to_crop
from sam_plugins.types import Box, Masks, Size

__all__ = ["MeasuredMask", "measure_answers"]

_WORTH_A_KERNEL = 16
"""So few answers are not worth waiting until a kernel is compiled."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeasuredMask:
    """One answer, looked at.

    Parameters
    ----------
    runs
        int64 run lengths of the whole image column by column, as `masks.run_lengths`: little even
        where a mask is large. None where the answer is empty.
    original_size
        (H, W) of the whole image.
    box
        xyxy of the mask, x1 and y1 exclusive; zeros where the answer is empty.
    area
        Pixels.
    predicted_iou, stability_score
        The model's own estimate, and the IoU of the masks at the threshold plus and minus an
        offset, at full resolution.
    """

    runs: NDArray[np.int64] | None = field(repr=False)
    original_size: Size
    box: Box
    area: int
    predicted_iou: float
    stability_score: float

    @property
    def crop(self) -> NDArray[np.bool_]:
        """(h, w) bool, cut to `box`; made at each call."""
        if self.runs is None:
            return np.zeros((0, 0), bool)
        return runs_to_crop(self.runs, self.box, self.original_size)


def measure_answers(
    answers: Sequence[Masks], *, offset: float = 1.0, threads: int | None = None
) -> list[MeasuredMask]:
    """Look at the best answer to each of some prompts.

    Parameters
    ----------
    answers
        To prompts on one embedding, at least one answer each. Of several the one with the highest
        predicted IoU is taken.
    offset
        Of the thresholds that stability compares.
    threads
        Used together; by default the process's budget.

    Returns
    -------
    One `MeasuredMask` for each, in order. What it costs depends on where masks can be, not on the
    size of the image, and nothing of that size is made.

    Raises
    ------
    ValueError
        If the answers cover different windows.
    """
    if not answers:
        return []
    window = Window.of(answers[0])
    if any(Window.of(masks) != window for masks in answers):
        raise ValueError("Answers that are measured together must be answers on one embedding.")
    chosen = [masks.best_index for masks in answers]
    logits = np.stack([masks.low_res_logits[i] for masks, i in zip(answers, chosen, strict=True)])
    threshold = answers[0].mask_threshold
    if len(answers) < _WORTH_A_KERNEL and not is_prepared():
        measured = [
            measure_plain(one, window, mask_threshold=threshold, offset=offset) for one in logits
        ]
    else:
        measured = measure_masks(
            logits,
            window,
            mask_threshold=threshold,
            offset=offset,
            threads=threads or thread_budget(),
        )
    return [
        MeasuredMask(
            runs=statistics.runs,
            original_size=masks.original_size,
            box=statistics.box,
            area=statistics.area,
            predicted_iou=float(masks.iou_predictions[index]),
            stability_score=statistics.stability_score,
        )
        for masks, index, statistics in zip(answers, chosen, measured, strict=True)
    ]
