"""Simulated clicks fall where a user would click."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam_plugins.training.interaction import first_prompts, next_prompts


def _targets(generator: torch.Generator, count: int = 16, size: int = 24) -> Tensor:
    targets = torch.zeros(count, size, size, dtype=torch.bool)
    for mask in targets:
        x0, y0 = torch.randint(0, size - 4, (2,), generator=generator).tolist()
        w, h = torch.randint(1, 12, (2,), generator=generator).tolist()
        mask[y0 : y0 + h, x0 : x0 + w] = True
    return targets


def _at(points: Tensor, masks: Tensor, stride: int) -> Tensor:
    cells = (points / stride).long()
    return masks[torch.arange(len(masks)), cells[:, 1], cells[:, 0]]


@given(seed=st.integers(0, 10_000), stride=st.sampled_from([2, 4]))
@settings(max_examples=30, deadline=None)
def test_first_prompts_are_inside_points_or_surrounding_boxes(seed: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = _targets(generator)
    flat = targets.flatten(1).float().argmax(1)
    centres = torch.stack([flat % 24, flat // 24], 1).float() * stride
    prompts = first_prompts(targets, centres, stride, generator)
    pointed = prompts.labels[:, 0] == 1
    assert torch.equal(pointed, prompts.ambiguous)
    assert torch.equal(pointed, ~torch.isfinite(prompts.boxes).all(1))
    assert _at(prompts.points[:, 0], targets, stride)[pointed].all()
    for box, mask in zip(prompts.boxes[~pointed], targets[~pointed], strict=True):
        ys, xs = torch.nonzero(mask, as_tuple=True)
        true = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float() * stride
        assert (box - true).abs().max() <= 21
        assert box[2] > box[0]
        assert box[3] > box[1]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_next_click_corrects_an_error_with_the_right_sign(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = _targets(generator)
    before = first_prompts(targets, torch.zeros(16, 2), 2, generator)
    logits = torch.randn(targets.shape, generator=generator)
    logits[0] = torch.where(targets[0], 5.0, -5.0)
    after = next_prompts(before, targets, logits, 2, generator)
    assert after.points.shape == (16, 2, 2)
    assert torch.equal(after.mask, logits[:, None])
    assert not after.ambiguous.any()
    assert after.labels[0, 1] == -1
    wrong = (logits > 0) != targets
    assert _at(after.points[1:, 1], wrong[1:], 2).all()
    truth = _at(after.points[1:, 1], targets[1:], 2)
    assert torch.equal(after.labels[1:, 1] == 1, truth)
