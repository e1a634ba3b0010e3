"""Losses of promptable training: focal and dice 20:1, squared error on the IoU."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["affinity_loss", "answer_loss", "mask_iou"]

FOCAL_WEIGHT = 20.0
FOREGROUND_WEIGHT = 0.75
"""Share of the focal loss that foreground pixels carry: small objects vanish at the usual 0.25."""

OTHERS_WEIGHT = 0.05
"""Weight of the answers that were not the best: without it they drift and cannot be ranked."""


RANKING_WEIGHT = 4.0
"""Weight of the IoU error of ambiguous answers: a good mask that is not chosen helps nobody."""


def mask_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """(N, C, h, w) logits against (N, h, w) bool -> (N, C) IoU; two empty masks agree."""
    mask, truth = logits > 0, targets[:, None]
    overlap = (mask & truth).sum((2, 3)).float()
    union = (mask | truth).sum((2, 3)).float()
    return torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(union))


def _per_mask(logits: Tensor, coverage: Tensor) -> Tensor:
    """(N, C) focal and dice loss of each answer."""
    truth = coverage[:, None].expand_as(logits)
    chance = logits.sigmoid()
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    right = chance * truth + (1 - chance) * (1 - truth)
    weight = FOREGROUND_WEIGHT * truth + (1 - FOREGROUND_WEIGHT) * (1 - truth)
    focal = ((1 - right) ** 2 * cross * weight).mean((2, 3))
    overlap = 2 * (chance * truth).sum((2, 3)) + 1
    dice = 1 - overlap / (chance.sum((2, 3)) + truth.sum((2, 3)) + 1)
    return FOCAL_WEIGHT * focal + dice


def answer_loss(logits: Tensor, iou: Tensor, coverage: Tensor, ambiguous: Tensor) -> Tensor:
    """Loss of one round.

    Only the best of the three answers to an ambiguous prompt is trained fully; otherwise only
    the single answer is. The single answer to an ambiguous prompt has a small weight, since a
    user may ask for one.

    Parameters
    ----------
    logits, iou
        (N, 4, h, w) and (N, 4), the single answer first.
    coverage
        (N, h, w) float, how much of each cell the object covers, 0..1: a hard target would shift
        every border by part of a cell.
    ambiguous
        (N,) bool.
    """
    loss = _per_mask(logits, coverage)
    error = (iou - mask_iou(logits.detach(), coverage >= 0.5)) ** 2
    single, several = loss[:, 0], loss[:, 1:]
    three = several.min(1).values + OTHERS_WEIGHT * several.mean(1) + 0.25 * single
    ranked = RANKING_WEIGHT * error[:, 1:].mean(1) + 0.25 * error[:, 0]
    return torch.where(ambiguous, three + ranked, single + error[:, 0]).mean()


def affinity_loss(unit: Tensor, gain: Tensor, labels: Tensor, anchors: Tensor) -> Tensor:
    """Make pixels of one object alike and others not, for many anchors per picture at once.

    Parameters
    ----------
    unit
        (B, G, A, h, w) features at stride 4, each group of unit length.
    gain
        (G,) weight of each group.
    labels
        (B, h, w) int instances at stride 4, 0 background, -1 unknown.
    anchors
        (B, K) flat positions of pixels inside objects.
    """
    count = anchors.shape[1]
    flat = unit.flatten(3)
    picked = flat.gather(
        3, anchors[:, None, None, :].expand(-1, flat.shape[1], flat.shape[2], count)
    )
    alike = torch.einsum("bgcn,bgck->bkgn", flat, picked)
    logits = (torch.einsum("bkgn,g->bkn", alike, gain) / gain.abs().sum().clamp(min=1) - 0.5) * 8
    own = labels.flatten(1)
    same = (own[:, None, :] == own.gather(1, anchors)[:, :, None]).float()
    known = (own[:, None, :] >= 0).float() * (own.gather(1, anchors) > 0)[:, :, None]
    cross = F.binary_cross_entropy_with_logits(logits, same, reduction="none") * known
    inside = (cross * same).sum(2) / ((same * known).sum(2) + 1)
    outside = (cross * (1 - same)).sum(2) / (((1 - same) * known).sum(2) + 1)
    chance = logits.sigmoid() * known
    dice = 1 - (2 * (chance * same).sum(2) + 1) / (chance.sum(2) + (same * known).sum(2) + 1)
    used = (own.gather(1, anchors) > 0).float()
    return ((inside + outside + dice) * used).sum() / used.sum().clamp(min=1)
