"""How prompts on one image are answered: what is computed once per image, and what per prompt.

`PromptableModel.decode_prompts` is the plain way, and every model has it. SAM also has a faster one
that gives the same answers (`model.folded_decoder`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from sam_plugins.model.common import PromptableModel
from sam_plugins.model.folded_decoder import FoldedMaskDecoder, ImageState
from sam_plugins.model.sam import Sam

__all__ = ["Answers", "Decoding", "FoldedDecoding", "PlainDecoding", "PromptTensors", "decoding_of"]


@dataclass(frozen=True, slots=True, eq=False)
class PromptTensors:
    """B prompts of one kind, as `PromptableModel.decode_prompts` takes them."""

    point_coords: Tensor | None
    point_labels: Tensor | None
    boxes: Tensor | None
    mask_input: Tensor | None
    multimask_output: bool


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers to B prompts.

    Parameters
    ----------
    iou_predictions
        (B, C) float32.
    kept
        (B, C) bool, the answers that are above the threshold.
    low_res_logits
        (K, h, w) float32 of those that are kept, prompt by prompt.
    """

    iou_predictions: Tensor
    kept: Tensor
    low_res_logits: Tensor


class Decoding(Protocol):
    """One way to answer prompts.

    Attributes
    ----------
    batch_size
        Prompts per forward pass that suit a CPU: more fall out of its caches.
    is_small
        Whether a forward pass is too little work to be shared among threads: they would wait for
        each other at every layer, and for whatever else the machine does.
    """

    batch_size: int
    is_small: bool

    def prepare(self, features: Mapping[str, Tensor]) -> tuple[Any, int]:
        """What prompts on one image share, from its (1, c, h, w) features, and its bytes."""
        ...

    def answer(self, state: Any, prompts: PromptTensors, pred_iou_thresh: float | None) -> Answers:
        """Answer prompts of one kind; only answers of greater predicted IoU get a mask."""
        ...


class PlainDecoding:
    """`PromptableModel.decode_prompts`, one prompt at a time."""

    batch_size = 1

    def __init__(self, model: PromptableModel) -> None:
        self._model = model
        self.is_small = not isinstance(model, Sam)

    def prepare(self, features: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], int]:
        """As `Decoding.prepare`."""
        state = self._model.image_state(features)
        return state, sum(value.nbytes for value in state.values())

    def answer(
        self, state: Mapping[str, Tensor], prompts: PromptTensors, pred_iou_thresh: float | None
    ) -> Answers:
        """As `Decoding.answer`; every mask is computed."""
        logits, scores = self._model.decode_prompts(
            state,
            point_coords=prompts.point_coords,
            point_labels=prompts.point_labels,
            boxes=prompts.boxes,
            mask_input=prompts.mask_input,
            multimask_output=prompts.multimask_output,
        )
        kept = _above(scores, pred_iou_thresh)
        return Answers(scores, kept, logits[kept])


class FoldedDecoding:
    """SAM's decoder with the image folded into the tokens.

    Parameters
    ----------
    model
        Already on its device; its decoder must not move or change afterwards.
    dtype
        Of the products over image positions.
    """

    batch_size = 2
    is_small = False

    def __init__(self, model: Sam, dtype: torch.dtype = torch.float32) -> None:
        self._prompts = model.prompt_encoder
        with torch.inference_mode():
            self._decoder = FoldedMaskDecoder(model.mask_decoder, model.prompt_encoder, dtype)

    def prepare(self, features: Mapping[str, Tensor]) -> tuple[ImageState, int]:
        """As `Decoding.prepare`."""
        state = self._decoder.prepare(features["image_embedding"])
        return state, state.nbytes

    def answer(
        self, state: ImageState, prompts: PromptTensors, pred_iou_thresh: float | None
    ) -> Answers:
        """As `Decoding.answer`."""
        if pred_iou_thresh is None:
            scores, masks = self.every_answer(state, prompts)
            return Answers(scores, _above(scores, None), masks.flatten(0, 1))
        tokens, image, chosen = self._attended(state, prompts)
        scores = self._decoder.scores(tokens, chosen)
        kept = _above(scores, pred_iou_thresh)
        wanted = kept.any(1)
        if not wanted.all():
            tokens, image = tokens[wanted], image[wanted]
        logits = self._decoder.masks(tokens, image, chosen)
        return Answers(scores, kept, logits[kept[wanted]])

    def every_answer(self, state: ImageState, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Predicted IoUs (B, C) and logits (B, C, h, w), computed in one go."""
        tokens, image, chosen = self._attended(state, prompts)
        return self._decoder.scores(tokens, chosen), self._decoder.masks(tokens, image, chosen)

    def _attended(
        self, state: ImageState, prompts: PromptTensors
    ) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Tokens, image and which of the four answers are asked for."""
        sparse, dense = self._prompts(
            prompts.point_coords, prompts.point_labels, prompts.boxes, prompts.mask_input
        )
        own_image = dense if prompts.mask_input is not None else None
        tokens, image = self._decoder.attend(state, sparse, own_image)
        return tokens, image, (1, 2, 3) if prompts.multimask_output else (0,)


def decoding_of(model: PromptableModel, dtype: torch.dtype = torch.float32) -> Decoding:
    """The fastest way this model has; its products in `dtype` where the model allows that."""
    return FoldedDecoding(model, dtype) if isinstance(model, Sam) else PlainDecoding(model)


def _above(scores: Tensor, threshold: float | None) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool) if threshold is None else scores > threshold
