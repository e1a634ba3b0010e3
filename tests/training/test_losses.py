"""Losses reward what they should."""

import torch
from torch.nn import functional as F

from sam_plugins.training.losses import affinity_loss, answer_loss, mask_iou


def _square() -> torch.Tensor:
    target = torch.zeros(1, 16, 16, dtype=torch.bool)
    target[:, 4:10, 4:10] = True
    return target


def test_iou_of_known_masks() -> None:
    target = _square()
    logits = torch.full((1, 3, 16, 16), -1.0)
    logits[:, 0] = torch.where(target, 1.0, -1.0)
    logits[:, 1, 4:10, 4:7] = 1.0
    assert mask_iou(logits, target)[0].tolist() == [1.0, 0.5, 0.0]
    empty = torch.zeros(1, 16, 16, dtype=torch.bool)
    assert mask_iou(logits, empty)[0].tolist() == [0.0, 0.0, 1.0]


def test_only_the_best_ambiguous_answer_is_pulled_hard() -> None:
    target = _square()
    logits = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    logits[:, 2] += torch.where(target, 3.0, -3.0)[0]
    logits.requires_grad_(True)
    answer_loss(logits, torch.zeros(1, 4), target.float(), torch.tensor([True])).backward()
    pull = logits.grad.abs().sum((2, 3))[0]
    assert pull[2] < pull[0]
    logits.grad = None
    answer_loss(logits, torch.zeros(1, 4), target.float(), torch.tensor([False])).backward()
    pull = logits.grad.abs().sum((2, 3))[0]
    assert pull[0] > 0
    assert pull[1:].sum() == 0


def test_predicted_iou_is_trained_towards_the_true_one() -> None:
    target = _square()
    logits = torch.where(target, 4.0, -4.0)[:, None].repeat(1, 4, 1, 1)
    right, wrong, truth = torch.ones(1, 4), torch.zeros(1, 4), target.float()
    for ambiguous in (True, False):
        flag = torch.tensor([ambiguous])
        assert answer_loss(logits, right, truth, flag) < answer_loss(logits, wrong, truth, flag)


def test_affinity_prefers_features_that_separate_objects() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int32)
    labels[:, :, 4:] = 1
    labels[:, :2, :2] = -1
    good = F.normalize(torch.stack([labels == 1, labels != 1], 1).float(), dim=1)[:, None]
    bad = torch.ones_like(good) / 2**0.5
    anchors = torch.tensor([[4, 13]])
    gain = torch.ones(1)
    assert affinity_loss(good, gain, labels, anchors) < affinity_loss(bad, gain, labels, anchors)
