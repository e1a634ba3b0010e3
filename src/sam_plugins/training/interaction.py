"""Simulated users: first prompts, then clicks where the answer is wrong.

The procedure of the paper (appendix A, "Training algorithm"): a first prompt is a foreground point
or a noised box with equal chance; each further click is uniform over the error region and its sign
is the kind of error; the previous unthresholded logits go in as the mask prompt.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Prompts", "first_prompts", "next_prompts"]

MAX_NOISE = 20.0
NOISE_SHARE = 0.1
CENTRE_CHANCE = 0.5
EXACT_BOX_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class Prompts:
    """N prompts for one round.

    Parameters
    ----------
    points, labels
        (N, P, 2) xy pixels; (N, P) 1, 0 or -1 where there is no point.
    boxes
        (N, 4) xyxy pixels, NaN where there is no box.
    mask
        (N, 1, h, w) logits of the round before, or None.
    ambiguous
        (N,) bool, True where a single point is all there is.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor
    mask: Tensor | None
    ambiguous: Tensor


def first_prompts(
    targets: Tensor, centres: Tensor, stride: int, generator: torch.Generator
) -> Prompts:
    """A point or a box for each of (N, h, w) bool targets at 1 / `stride` of the resolution.

    Half of the points are the centre of the object (the usual click and the usual metric), half
    are uniform; half of the boxes are exact, half noised by 10 % of the side, at most 20 px.
    """
    count = len(targets)

    def chance(share: float) -> Tensor:
        return (torch.rand(count, generator=generator) < share).to(targets.device)

    as_point = chance(0.5)
    uniform, _ = _pick(targets, stride, generator)
    points = torch.where(chance(CENTRE_CHANCE)[:, None], centres, uniform)
    boxes = _boxes(targets, stride)
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn(count, 4, generator=generator).to(targets.device) * sides * NOISE_SHARE
    noise = noise.clamp(-MAX_NOISE, MAX_NOISE) * (~chance(EXACT_BOX_CHANCE))[:, None]
    noised = boxes + noise
    ordered = torch.cat([noised[:, :2], torch.maximum(noised[:, 2:], noised[:, :2] + 1)], 1)
    boxes = torch.where(as_point[:, None], torch.full_like(boxes, torch.nan), ordered)
    labels = torch.where(as_point, 1, -1)[:, None]
    return Prompts(points[:, None], labels, boxes, None, as_point)


def next_prompts(
    before: Prompts, targets: Tensor, logits: Tensor, stride: int, generator: torch.Generator
) -> Prompts:
    """Add a click in the error region of (N, h, w) logits, and the logits themselves."""
    wrong = (logits > 0) != targets
    click, flat = _pick(wrong, stride, generator)
    sign = targets.flatten(1).gather(1, flat[:, None])[:, 0].long()
    label = torch.where(wrong.flatten(1).any(1), sign, torch.full_like(sign, -1))
    return Prompts(
        torch.cat([before.points, click[:, None]], 1),
        torch.cat([before.labels, label[:, None]], 1),
        before.boxes,
        logits[:, None],
        torch.zeros_like(before.ambiguous),
    )


def _pick(mask: Tensor, stride: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One pixel of each (N, h, w) mask, uniformly: xy at full resolution and its flat index."""
    count, height, width = mask.shape
    noise = torch.rand(count, height * width, generator=generator).to(mask.device)
    flat = (noise * mask.flatten(1)).argmax(1)
    y, x = flat // width, flat % width
    inside = torch.rand(count, 2, generator=generator).to(mask.device) * (stride - 1)
    return torch.stack([x, y], 1) * stride + inside, flat


def _boxes(targets: Tensor, stride: int) -> Tensor:
    """(N, h, w) bool -> (N, 4) xyxy in input pixels, edges exclusive."""
    height, width = targets.shape[-2:]
    rows, columns = targets.any(2), targets.any(1)
    x0 = columns.float().argmax(1)
    y0 = rows.float().argmax(1)
    x1 = width - columns.flip(1).float().argmax(1)
    y1 = height - rows.flip(1).float().argmax(1)
    return torch.stack([x0, y0, x1, y1], 1).float() * stride
