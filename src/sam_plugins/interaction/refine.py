"""`Refiner`: the mask of an object, asked for step by step and remembered between clicks."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.errors import PromptError
from sam_plugins.formats import rle_to_crop, rle_to_mask
from sam_plugins.interaction.steps import Interaction, Step
from sam_plugins.tiling import TiledImage
from sam_plugins.transforms import mask_to_logits
from sam_plugins.types import Box, Masks, Prompt

__all__ = ["Refined", "Refiner"]


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """The mask of one object.

    Parameters
    ----------
    crop, box
        bool, cut to the mask, and its xyxy in the whole image (x1, y1 exclusive); (0, 0) and no
        area if nothing was found.
    score
        The model's own estimate of the IoU; 1 for a mask that was given and is as it was.
    answer, answers
        Which answer to the first step was taken, counted from the best, and how many there are.
    """

    crop: NDArray[np.bool_]
    box: Box
    score: float
    answer: int
    answers: int


@dataclass(frozen=True, slots=True)
class _Done:
    """A step that was answered; `key` says what it depends on."""

    key: tuple[Any, ...]
    answer: Masks
    index: int
    rank: int
    count: int


class Refiner:
    """Answers the interactions on one picture.

    Each correction is asked with the answer before it as mask prompt, as in the published training
    (paper, appendix A). The mask is a function of the interaction alone. What was answered last is
    remembered, so that a further click costs one decode; after changing an early point all later
    steps are asked anew. Safe to share between threads.

    Parameters
    ----------
    session
        The picture and the model.
    """

    def __init__(self, session: TiledImage) -> None:
        self.session = session
        self._chain: tuple[_Done, ...] = ()
        self._lock = Lock()

    def answer(self, interaction: Interaction) -> Refined:
        """The mask that an interaction means.

        A mask that was given is corrected only where clicks say so: of the model's answer those
        parts are taken that hold a point or a scribble, and everything else stays as it was. With
        a box as well the answer is taken whole.

        Raises
        ------
        PromptError
            If there is nothing to answer, or it lies outside the picture.
        """
        if interaction.mask is not None and interaction == Interaction(mask=interaction.mask):
            crop, box = rle_to_crop(interaction.mask)
            return Refined(crop, box, 1.0, 0, 1)
        steps = interaction.steps()
        with self._lock:
            chain = self._chain
        known: list[_Done] = []
        start = None if interaction.mask is None else str(interaction.mask["counts"])
        for number, step in enumerate(steps):
            key = (start, interaction.answer, number, step)
            if number < len(chain) and chain[number].key == key:
                known.append(chain[number])
                continue
            chain = ()
            known.append(self._ask(key, interaction, step, known[-1] if known else None))
        with self._lock:
            self._chain = tuple(known)
        last, first = known[-1], known[0]
        crop, box = last.answer.crop(last.index)
        score = float(last.answer.iou_predictions[last.index])
        if interaction.mask is not None and interaction.box is None:
            crop, box = _corrected(interaction, crop, box)
        return Refined(crop, box, score, first.rank, first.count)

    def _ask(
        self, key: tuple[Any, ...], interaction: Interaction, step: Step, before: _Done | None
    ) -> _Done:
        prompt = Prompt(
            point_coords=[point[:2] for point in step.points] or None,
            point_labels=[point[2] for point in step.points] or None,
            box=step.box,
        )
        if before is not None:
            logits = before.answer.low_res_logits[[before.index]]
            region = before.answer.region
            answer = self.session.decode(_with_mask(prompt, logits, region), multimask_output=False)
            return _Done(key, answer, 0, before.rank, before.count)
        if interaction.mask is not None:
            prompt = self._from_mask(prompt, interaction)
        several = True if interaction.answer is not None else None
        if interaction.mask is not None and several is None:
            several = False
        answer = self.session.decode(prompt, multimask_output=several)
        rank = min(interaction.answer or 0, len(answer) - 1)
        return _Done(key, answer, answer.ranked[rank], rank, len(answer))

    def _from_mask(self, prompt: Prompt, interaction: Interaction) -> Prompt:
        """Add the given mask as logits of the window that suits it."""
        rle = interaction.mask or {}
        height, width = rle["size"]
        if (height, width) != self.session.size:
            raise PromptError(
                f"The mask to start from is for a picture of {height} x {width}, this one is "
                f"{self.session.size[0]} x {self.session.size[1]}: take it again from this picture."
            )
        _, box = rle_to_crop(rle)
        region = self.session.window_for(Prompt(box=box))
        embedding = self.session.embedding(region)
        x0, y0, x1, y1 = region
        logits = mask_to_logits(
            rle_to_mask(rle)[y0:y1, x0:x1],
            (0, 0, x1 - x0, y1 - y0),
            embedding.input_size,
            embedding.padded_size,
            self.session.segmenter.info.low_res_size,
        )
        return _with_mask(prompt, logits, region)


def _with_mask(prompt: Prompt, logits: NDArray[np.float32], region: Box) -> Prompt:
    return Prompt(
        point_coords=prompt.point_coords,
        point_labels=prompt.point_labels,
        box=prompt.box,
        mask_input=logits,
        mask_region=region,
    )


def _corrected(
    interaction: Interaction, crop: NDArray[np.bool_], box: Box
) -> tuple[NDArray[np.bool_], Box]:
    """The given mask with those parts of the model's answer that a prompt points at."""
    before, start = rle_to_crop(interaction.mask or {})
    boxes = [part for part in (start, box) if part[2] > part[0]]
    old: NDArray[np.bool_]
    left, top = min(part[0] for part in boxes), min(part[1] for part in boxes)
    right, bottom = max(part[2] for part in boxes), max(part[3] for part in boxes)
    old = np.zeros((bottom - top, right - left), bool)
    new = np.zeros_like(old)
    old[start[1] - top : start[3] - top, start[0] - left : start[2] - left] = before
    if crop.size:
        new[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = crop
    points = (*interaction.scribbled(), *interaction.points)
    for label, changed in ((1, new & ~old), (0, old & ~new)):
        parts, _ = ndimage.label(changed, np.ones((3, 3)))
        named = {
            int(parts[row, column])
            for x, y, said in points
            if said == label
            and 0 <= (row := round(y) - top) < parts.shape[0]
            and 0 <= (column := round(x) - left) < parts.shape[1]
        } - {0}
        taken = np.isin(parts, list(named))
        old = old | taken if label else old & ~taken
    rows, columns = np.flatnonzero(old.any(1)), np.flatnonzero(old.any(0))
    if not len(rows):
        return np.zeros((0, 0), bool), (left, top, left, top)
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return old[y0:y1, x0:x1].copy(), (left + x0, top + y0, left + x1, top + y1)
