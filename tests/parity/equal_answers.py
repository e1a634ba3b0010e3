"""The same made-up decoder answers for the published generator and for ours.

An answer depends only on how many were asked before, and both programs ask in the same order: crop
by crop, point by point. Every predicted IoU is another number, so that a record can be traced to
its logits.
"""

import importlib
from functools import cache

import numpy as np
import torch
from torch import nn

from sam_plugins.ports import SegmenterInfo
from sam_plugins.transforms import checked_region, resize_longest_side, window_of
from sam_plugins.types import Embedding, Masks


class Answers:
    """Star shapes with rough edges, islands and holes; some of them unstable or doubtful.

    Parameters
    ----------
    image_size
        Side of the model's input; logits have a quarter of it.
    shapes
        So many different ones, each seen by several points with small differences: duplicates.
    """

    def __init__(self, image_size=256, shapes=250, seed=0):
        self.image_size, self.side = image_size, image_size // 4
        rng = np.random.default_rng(seed)
        self.centres = rng.uniform(0, 1, (shapes, 2))
        self.radii = rng.uniform(0.03, 0.2, shapes) * self.side
        self.seed = seed

    @cache  # noqa: B019 (one object per test)
    def __call__(self, number):
        """(3, h, w) logits and (3,) predicted IoUs of the answer with this number."""
        rng = np.random.default_rng((self.seed, number))
        shape = int(rng.integers(len(self.centres)))
        y, x = np.mgrid[: self.side, : self.side].astype(np.float64)
        cy, cx = self.centres[shape] * self.side + rng.normal(0, 0.3, 2)
        angle, distance = np.arctan2(y - cy, x - cx), np.hypot(y - cy, x - cx)
        logits = []
        for size in (0.5, 1.0, 1.4):
            edge = self.radii[shape] * size * (1 + 0.2 * np.sin(5 * angle + shape))
            steep = rng.choice([0.4, 4.0, 12.0], p=[0.2, 0.4, 0.4])
            found = steep * (edge - distance) + rng.normal(0, 0.6, x.shape)
            found[(rng.random(x.shape) < 0.02) & (distance < 1.2 * edge)] *= -1
            logits.append(np.clip(found, -30, 30))
        # Steps of the golden ratio: spread evenly, and no two alike.
        scores = 0.5 + 0.5 * ((3 * number + np.arange(3)) * 0.6180339887498949 % 1)
        return np.array(logits, np.float32), scores.astype(np.float32)


class OurSegmenter:
    """A `Segmenter` that gives these answers."""

    def __init__(self, answers):
        self.answers, self.asked = answers, 0
        self.given = {}
        self.info = SegmenterInfo(
            name="equal",
            encoder_id="equal",
            model_id="equal",
            image_size=answers.image_size,
            low_res_size=(answers.side, answers.side),
            numerics="fp32",
            device="cpu",
            engine="numpy",
        )

    def encode(self, image, *, region=None):
        box = checked_region(image, region)
        side = self.answers.image_size
        return Embedding(
            features={"none": np.zeros((1, 1, 1), np.float32)},
            region=box,
            original_size=image.shape[:2],
            input_size=resize_longest_side(window_of(image, box), side).shape[:2],
            padded_size=(side, side),
            encoder_id="equal",
            key=str(box),
        )

    def decode_many(self, embedding, prompts, *, multimask_output=None, pred_iou_thresh=None):
        assert multimask_output
        for _ in prompts:
            logits, scores = self.answers(self.asked)
            self.asked += 1
            masks = Masks(
                low_res_logits=logits,
                iou_predictions=scores,
                region=embedding.region,
                original_size=embedding.original_size,
                input_size=embedding.input_size,
                padded_size=embedding.padded_size,
            )
            for index, score in enumerate(scores.tolist()):
                assert score not in self.given
                self.given[score] = masks, index
            yield masks.above(pred_iou_thresh)


class _NoEncoder(nn.Module):
    def __init__(self, image_size):
        super().__init__()
        self.img_size = image_size

    def forward(self, pixels):
        return torch.zeros(1, 8, self.img_size // 16, self.img_size // 16)


class _Decoder(nn.Module):
    def __init__(self, answers):
        super().__init__()
        self.answers, self.asked = answers, 0

    def forward(self, *, sparse_prompt_embeddings, multimask_output, **_others):
        assert multimask_output
        first = self.asked
        self.asked += len(sparse_prompt_embeddings)
        found = [self.answers(number) for number in range(first, self.asked)]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))


def published_model(answers):
    """A published `Sam` with a real prompt encoder, whose decoder gives these answers."""
    modeling = importlib.import_module("segment_anything.modeling")
    grid, side = answers.image_size // 16, answers.image_size
    prompts = modeling.PromptEncoder(
        embed_dim=8,
        image_embedding_size=(grid, grid),
        input_image_size=(side, side),
        mask_in_chans=4,
    )
    model = modeling.Sam(
        image_encoder=_NoEncoder(side), prompt_encoder=prompts, mask_decoder=_Decoder(answers)
    )
    return model.eval()
