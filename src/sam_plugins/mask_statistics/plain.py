"""The same statistics by NumPy: what the compiled kernel must agree with, and its substitute."""

import numpy as np
from numpy.typing import NDArray

from sam_plugins.mask_statistics.values import MaskStatistics, Window, stable_enough
from sam_plugins.masks import mask_area, mask_to_box, run_lengths
from sam_plugins.types import Masks

__all__ = ["measure_plain"]


def measure_plain(
    low_res_logits: NDArray[np.float32],
    window: Window,
    *,
    mask_threshold: float = 0.0,
    offset: float = 1.0,
    stability_score_thresh: float = 0.0,
) -> MaskStatistics:
    """Measure one mask on its logits at the size of the image; as `measure_masks` else.

    Parameters
    ----------
    low_res_logits
        (h, w) float32.
    """
    masks = Masks(
        low_res_logits=low_res_logits[None],
        iou_predictions=np.zeros(1, np.float32),
        region=window.region,
        original_size=window.original_size,
        input_size=window.input_size,
        padded_size=window.padded_size,
        mask_threshold=mask_threshold,
    )
    logits, (left, top, _, _) = masks.logits_above(0, mask_threshold - offset)
    outer = int(np.count_nonzero(logits > mask_threshold - offset))
    inner = int(np.count_nonzero(logits > mask_threshold + offset))
    mask = logits > mask_threshold
    area = mask_area(mask)
    if not area:
        return MaskStatistics(outer, inner, 0, (0, 0, 0, 0), None)
    x0, y0, x1, y1 = mask_to_box(mask)
    box = (left + x0, top + y0, left + x1, top + y1)
    runs = None
    if stable_enough(inner, outer, stability_score_thresh):
        runs = run_lengths(mask[y0:y1, x0:x1], box, window.original_size)
    return MaskStatistics(outer, inner, area, box, runs)
