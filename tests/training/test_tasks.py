"""Training asks a model the same way prediction does."""

import torch
from scenes_for_tests import small_nano

from sam_plugins.model.image_encoder import ImageEncoderViT
from sam_plugins.model.sam import Sam
from sam_plugins.training.interaction import Prompts
from sam_plugins.training.tasks import NanoTask, PromptableTask, task_for


def _prompts() -> Prompts:
    nan = float("nan")
    return Prompts(
        torch.tensor([[[10.0, 12.0]], [[0.0, 0.0]], [[40.0, 20.0]]]),
        torch.tensor([[1], [-1], [1]]),
        torch.tensor([[nan] * 4, [8.0, 9.0, 40.0, 50.0], [nan] * 4]),
        None,
        torch.tensor([True, False, True]),
    )


def test_sam_answers_each_prompt_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=64, embed_dim=16, depth=2, num_heads=2, global_attn_indexes=(1,)
    )
    task = PromptableTask(Sam(encoder).eval())
    assert task.stride == 4
    with torch.no_grad():
        features = task.model.encode_image(torch.randn(2, 3, 64, 64))
        index = torch.tensor([0, 1, 1])
        prompts = _prompts()
        logits, scores = task.answer(features, index, prompts, torch.zeros(2))
        assert logits.shape == (3, 4, 16, 16)
        for row in range(3):
            boxed = row == 1
            one = {k: v[index[row]][None] for k, v in features.items()}
            for several, columns in ((False, slice(0, 1)), (True, slice(1, 4))):
                expected, quality = task.model.decode_prompts(
                    one,
                    point_coords=None if boxed else prompts.points[row : row + 1],
                    point_labels=None if boxed else prompts.labels[row : row + 1],
                    boxes=prompts.boxes[row : row + 1] if boxed else None,
                    mask_input=None,
                    multimask_output=several,
                )
                torch.testing.assert_close(logits[row : row + 1, columns], expected)
                torch.testing.assert_close(scores[row : row + 1, columns], quality)


def test_nano_answers_a_mixed_batch_as_it_answers_one_image() -> None:
    task = task_for(small_nano().eval())
    assert isinstance(task, NanoTask)
    with torch.no_grad():
        features = task.model.encode_image(torch.randn(2, 3, 64, 64))
        index = torch.tensor([0, 1, 1])
        prompts = _prompts()
        logits, _ = task.answer(features, index, prompts, torch.zeros(2))
        one = {k: v[1:2] for k, v in features.items()}
        box_only, _ = task.model.decode_prompts(
            one,
            point_coords=None,
            point_labels=None,
            boxes=prompts.boxes[1:2],
            mask_input=None,
            multimask_output=True,
        )
        point_only, _ = task.model.decode_prompts(
            one,
            point_coords=prompts.points[2:3],
            point_labels=prompts.labels[2:3],
            boxes=None,
            mask_input=None,
            multimask_output=False,
        )
    torch.testing.assert_close(logits[1:2, 1:], box_only, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits[2:3, :1], point_only, rtol=1e-4, atol=1e-4)
