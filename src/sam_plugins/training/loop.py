"""The training loop: resumable at any step, the same for any number of workers."""

import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sam_plugins.errors import DatasetError
from sam_plugins.training.interaction import first_prompts, next_prompts
from sam_plugins.training.losses import answer_loss, mask_iou
from sam_plugins.training.recipe import Recipe, Stage
from sam_plugins.training.sampler import Batch
from sam_plugins.training.tasks import Task

__all__ = ["Progress", "Trainer"]

GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step gave: loss, IoU of the chosen and of the best first answer."""

    step: int
    steps: int
    loss: float
    chosen_iou: float
    best_iou: float
    seconds: float


class Trainer:
    """Owns model, optimiser and averaged weights; writes checkpoints into a folder.

    Parameters
    ----------
    task
        Holds the model, which is trained in place.
    recipe
        Settings; stored in every checkpoint.
    steps
        Length of the whole run; the learning rate depends on it.
    folder
        Receives ``last.pt`` (resume) and ``log.jsonl``.
    seed
        Decides first weights (by the caller), batches and clicks.
    device
        Torch device.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        *,
        steps: int,
        folder: Path,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.task, self.model = task, task.model
        model = self.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.freeze_encoder:
            for name, parameter in model.named_parameters():
                if name.startswith(task.model.encoder_prefixes):
                    parameter.requires_grad_(False)
        self.recipe, self.steps, self.folder = recipe, steps, folder
        self.seed, self.device, self.step = seed, device, 0
        plain = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
        matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
        )
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        """The file a run resumes from."""
        return self.folder / "last.pt"

    def resume(self) -> bool:
        """Continue from the folder's checkpoint; False if there is none."""
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        try:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise DatasetError(
                f"{self.checkpoint} belongs to another model or version: train into a new folder."
            ) from error
        self.average, self.step = state["average"], int(state["step"])
        return True

    def save(self) -> None:
        """Write the checkpoint so that a kill at any instant leaves the old or the new one."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "step": self.step,
            "recipe": json.dumps(self.recipe.as_dict()),
        }
        partial = self.checkpoint.with_suffix(".part")
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, self.checkpoint)

    def run(self, batches: Iterable[Batch], *, save_every: int = 200) -> Iterator[Progress]:
        """Train to the last step, yielding after each; closing the iterator stops cleanly.

        `batches` begins with the batch of the current step.
        """
        for batch in batches:
            if self.step >= self.steps:
                break
            started = time.perf_counter()
            loss, chosen, best = self._step(batch, self.recipe.stage(self.step / self.steps))
            self.step += 1
            yield self._log(loss, chosen, best, time.perf_counter() - started)
            if self.step % save_every == 0 or self.step == self.steps:
                self.save()

    def _rate(self) -> float:
        share = self.step / self.steps
        warm = min(1.0, (self.step + 1) / self.recipe.warm_up)
        start = self.recipe.decay_start
        fall = max(0.0, (share - start) / (1 - start))
        return self.recipe.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * fall)) + 0.005)

    def _step(self, batch: Batch, stage: Stage) -> tuple[float, float, float]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self._train_mode()
        kind = self.device.split(":")[0]
        with torch.autocast(kind, torch.bfloat16, enabled=self.recipe.bf16 and _fast_bf16(kind)):
            loss, chosen, best = self._forward(batch, stage, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._average()
        return loss.item(), chosen, best

    def _forward(
        self, batch: Batch, stage: Stage, generator: torch.Generator
    ) -> tuple[Tensor, float, float]:
        pixels = torch.from_numpy(batch.pixels).to(self.device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        coverage, index, centres = self._targets(batch)
        targets = coverage >= 0.5
        with torch.set_grad_enabled(not self.recipe.freeze_encoder):
            features = self.task.model.encode_image(pixels)
        kind = pixels.device.type
        labels = torch.from_numpy(batch.labels).to(self.device)
        with torch.autocast(kind, enabled=False):
            extra = self.task.auxiliary(features, labels, self.recipe.anchors, generator)
        span = max(0, self.task.model.image_size - stage.size)
        origin = (torch.rand(2, generator=generator) * span).to(self.device)
        rounds = 1 + int(torch.multinomial(torch.tensor(stage.rounds), 1, generator=generator))
        prompts = first_prompts(targets, centres, self.task.stride, generator)
        total = self.recipe.affinity_weight * extra
        chosen = best = float("nan")
        for number in range(rounds):
            logits, iou = self.task.answer(features, index, prompts, origin)
            logits, iou = logits.float(), iou.float()
            with torch.autocast(kind, enabled=False):
                total = total + answer_loss(logits, iou, coverage, prompts.ambiguous) / rounds
            pick = torch.where(prompts.ambiguous, 1 + iou[:, 1:].argmax(1), 0)
            if number == 0:
                chosen, best = _first_click(logits.detach(), pick, targets, prompts.ambiguous)
            if number < rounds - 1:
                answer = logits.detach()[torch.arange(len(pick), device=pick.device), pick]
                prompts = next_prompts(prompts, targets, answer, self.task.stride, generator)
        return total, chosen, best

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """How much of each cell of the logits a target covers, without those that vanish there."""
        full = torch.from_numpy(batch.targets).to(self.device)[:, None].float()
        small = F.avg_pool2d(full, self.task.stride)[:, 0]
        kept = (small >= 0.5).flatten(1).any(1)
        index = torch.from_numpy(batch.index).to(self.device)
        centres = torch.from_numpy(batch.centres).to(self.device)
        return small[kept], index[kept], centres[kept]

    def _train_mode(self) -> None:
        """Batch statistics move only where they are trained from scratch."""
        self.model.train(not self.recipe.keep_statistics)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    def _log(self, loss: float, chosen: float, best: float, seconds: float) -> Progress:
        progress = Progress(self.step, self.steps, loss, chosen, best, seconds)
        record: dict[str, Any] = {
            "step": self.step,
            "loss": round(loss, 4),
            "chosen_iou": round(chosen, 4),
            "best_iou": round(best, 4),
            "seconds": round(seconds, 3),
        }
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        return progress


def _first_click(
    logits: Tensor, pick: Tensor, targets: Tensor, ambiguous: Tensor
) -> tuple[float, float]:
    """Mean IoU of the chosen and of the best answer to single points; NaN if there were none."""
    if not ambiguous.any():
        return float("nan"), float("nan")
    quality = mask_iou(logits, targets)[ambiguous]
    taken = quality.gather(1, pick[ambiguous][:, None])
    return float(taken.mean()), float(quality[:, 1:].amax(1).mean())


def _fast_bf16(kind: str) -> bool:
    """Whether bf16 arithmetic is native here, so that autocast gains instead of losing."""
    if kind == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return kind == "cuda"
