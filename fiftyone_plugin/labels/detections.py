"""A mask as FiftyOne's Detection."""

import hashlib
from typing import Any

import numpy as np

from fiftyone_plugin.fields import MASK_ATTRIBUTES, MODEL_ID, PROMPT_ID, RUN_ID
from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.labels.carrying import copied
from fiftyone_plugin.values import MaskedObject
from sam_plugins.types import Size

__all__ = ["detection_of"]


def detection_of(
    masked: MaskedObject,
    size: Size,
    *,
    run_id: str,
    model_id: str,
    mask_path: str = "",
    sample_id: str = "",
    number: int = 0,
) -> Any:
    """A Detection of a mask: its box, its pixels, what is known of it and what asked for it.

    Its id follows from `run_id`, `sample_id`, the prompt's id and `number`, so that writing twice
    writes the same label. Give `sample_id` and `number` where nothing asked (everything-mode):
    without a prompt's id they tell the masks of a run apart.

    Parameters
    ----------
    masked
        What was found.
    size
        (H, W) of the picture.
    run_id, model_id
        Who wrote it.
    mask_path
        Absolute path of a file that holds the mask; empty keeps the mask in the Detection.
    sample_id
        Id of the sample, or of the frame.
    number
        Place of the object among those of its sample.

    Returns
    -------
    A `fiftyone.Detection` that shares nothing with what asked.
    """
    import fiftyone.core.labels as fol

    carried = dict(masked.asked.carried) if masked.asked is not None else {}
    values = {name: copied(value) for name, value in carried.items()}
    quality = masked.quality
    values.update({name: getattr(quality, name) for name in MASK_ATTRIBUTES})
    values.update({PROMPT_ID: masked.prompt_id, RUN_ID: run_id, MODEL_ID: model_id})
    if mask_path:
        values["mask_path"] = mask_path
    else:
        values["mask"] = np.ascontiguousarray(masked.crop, dtype=bool)
    return fol.Detection(
        id=_object_id(run_id, sample_id, masked.prompt_id, number),
        bounding_box=whole_to_relative_box(masked.box, size),
        confidence=quality.predicted_iou,
        **values,
    )


def _object_id(*parts: str | int) -> str:
    """24 hexadecimal digits that follow from the parts."""
    content = "\0".join(map(str, parts))
    return hashlib.sha256(content.encode()).hexdigest()[:24]
