"""What the training loop asks of a model: nano's own way, and any promptable model's."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from sam_plugins.model.common import PromptableModel
from sam_plugins.model.nano import Nano
from sam_plugins.training.interaction import Prompts
from sam_plugins.training.losses import affinity_loss

__all__ = ["NanoTask", "PromptableTask", "Task", "task_for"]

Features = Mapping[str, Tensor]


class Task(Protocol):
    """One model under training."""

    @property
    def model(self) -> PromptableModel:
        """What is trained."""
        ...

    @property
    def stride(self) -> int:
        """Input pixels per pixel of the logits."""
        ...

    def answer(
        self, features: Features, index: Tensor, prompts: Prompts, origin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(N, 4, h, w) logits and (N, 4) IoU for N prompts of B images, the single answer first."""
        ...

    def auxiliary(
        self, features: Features, labels: Tensor, anchors: int, generator: torch.Generator
    ) -> Tensor:
        """A loss on the features alone, given (B, S, S) instances; 0 where there is none."""
        ...


class NanoTask:
    """`nano`: all prompts of a batch at once, and the affinity loss."""

    stride = 2

    def __init__(self, model: Nano) -> None:
        self.model = model

    def answer(
        self, features: Features, index: Tensor, prompts: Prompts, origin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Task.answer`."""
        return self.model.decode_indexed(
            features, index, prompts.points, prompts.labels, prompts.boxes, prompts.mask, origin
        )

    def auxiliary(
        self, features: Features, labels: Tensor, anchors: int, generator: torch.Generator
    ) -> Tensor:
        """See `Task.auxiliary`."""
        coarse = labels[:, 2::4, 2::4].contiguous()
        flat = coarse.flatten(1)
        noise = torch.rand(flat.shape, generator=generator).to(flat.device)
        chosen = (noise * (flat > 0)).topk(anchors, 1).indices
        unit = self.model.painter.unit(features["affinity"])
        return affinity_loss(unit, self.model.painter.gain, coarse, chosen)


class PromptableTask:
    """Any `PromptableModel`, one image after another through its published interface."""

    def __init__(self, model: PromptableModel) -> None:
        self.model = model

    @property
    def stride(self) -> int:
        """See `Task.stride`."""
        return self.model.image_size // self.model.low_res_size[0]

    def answer(
        self, features: Features, index: Tensor, prompts: Prompts, origin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Task.answer`; prompts with and without a box are decoded apart."""
        logits = torch.zeros(len(index), 4, *self.model.low_res_size, device=index.device)
        scores = torch.zeros(len(index), 4, device=index.device)
        boxed = torch.isfinite(prompts.boxes).all(1)
        for image in torch.unique(index).tolist():
            one = {name: value[image : image + 1] for name, value in features.items()}
            for with_box in (False, True):
                rows = torch.nonzero((index == image) & (boxed == with_box))[:, 0]
                if len(rows):
                    found, quality = self._group(one, prompts, rows, with_box)
                    logits = logits.index_copy(0, rows, found.to(logits.dtype))
                    scores = scores.index_copy(0, rows, quality.to(scores.dtype))
        return logits, scores

    def _group(
        self, features: Features, prompts: Prompts, rows: Tensor, with_box: bool
    ) -> tuple[Tensor, Tensor]:
        labels = prompts.labels[rows]
        pointed = bool((labels >= 0).any())
        mask = None if prompts.mask is None else prompts.mask[rows]
        parts = [
            self.model.decode_prompts(
                features,
                point_coords=prompts.points[rows] if pointed else None,
                point_labels=labels if pointed else None,
                boxes=prompts.boxes[rows] if with_box else None,
                mask_input=mask,
                multimask_output=several,
            )
            for several in (False, True)
        ]
        return torch.cat([p[0] for p in parts], 1), torch.cat([p[1] for p in parts], 1)

    def auxiliary(
        self, features: Features, labels: Tensor, anchors: int, generator: torch.Generator
    ) -> Tensor:
        """See `Task.auxiliary`; the published procedure has none."""
        return labels.new_zeros((), dtype=torch.float32)


def task_for(model: PromptableModel) -> Task:
    """The task that fits a model."""
    return NanoTask(model) if isinstance(model, Nano) else PromptableTask(model)
