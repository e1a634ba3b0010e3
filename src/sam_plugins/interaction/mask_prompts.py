"""A mask that is known, as what asks the model for it."""

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import PromptError
from sam_plugins.interaction.steps import interior_point
from sam_plugins.transforms import mask_to_logits
from sam_plugins.types import Box, Embedding, Prompt, Size

__all__ = ["mask_prompt"]


def mask_prompt(
    crop: NDArray[np.bool_],
    box: Box,
    embedding: Embedding,
    low_res_size: Size,
    *,
    beside: Prompt | None = None,
) -> Prompt:
    """What asks a model for an object whose mask another program, or person, has drawn.

    Parameters
    ----------
    crop
        (h, w) bool, the pixels inside `box`; outside it the mask is False.
    box
        xyxy in the whole image, x1 and y1 exclusive.
    embedding
        What will be asked; what of the mask lies outside its window is left out.
    low_res_size
        (h, w) of the model's logits: `SegmenterInfo.low_res_size`.
    beside
        Points and a box that say more about the object.

    Returns
    -------
    The mask as logits with a point well inside it, which small models need to answer it, and with
    what else is said.

    Raises
    ------
    PromptError
        If `crop` has another shape than `box`, or no pixel of the mask lies in the window.
    """
    left, top, right, bottom = box
    if crop.shape != (bottom - top, right - left):
        raise PromptError(
            f"A mask must have the shape of its box, {(bottom - top, right - left)}, found "
            f"{crop.shape}: give the pixels inside the box."
        )
    x0, y0, x1, y1 = embedding.region
    part = (max(left, x0), max(top, y0), min(right, x1), min(bottom, y1))
    inside = crop[max(part[1] - top, 0) : part[3] - top, max(part[0] - left, 0) : part[2] - left]
    if part[0] >= part[2] or part[1] >= part[3] or not inside.any():
        raise PromptError(
            f"Expected a mask with pixels in {embedding.region} of the image, found none there: "
            "draw it again."
        )
    x, y = interior_point(inside)
    coords, labels = [(part[0] + x, part[1] + y)], [1]
    if beside is not None and beside.point_coords is not None and beside.point_labels is not None:
        coords += [(float(x), float(y)) for x, y in beside.point_coords]
        labels += [int(label) for label in beside.point_labels]
    return Prompt(
        point_coords=coords,
        point_labels=labels,
        box=None if beside is None else beside.box,
        mask_input=_logits(inside, part, embedding, low_res_size),
        mask_region=embedding.region,
    )


def _logits(
    inside: NDArray[np.bool_], part: Box, embedding: Embedding, low_res_size: Size
) -> NDArray[np.float32]:
    """The mask as (1, h, w) float32 logits over the window of the embedding."""
    x0, y0, x1, y1 = embedding.region
    whole = np.zeros((y1 - y0, x1 - x0), bool)
    whole[part[1] - y0 : part[3] - y0, part[0] - x0 : part[2] - x0] = inside
    return mask_to_logits(
        whole,
        (0, 0, x1 - x0, y1 - y0),
        embedding.input_size,
        embedding.padded_size,
        low_res_size,
    )
