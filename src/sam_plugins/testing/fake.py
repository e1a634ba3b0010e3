"""A segmenter without a model, and pictures to show it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from sam_plugins.errors import EmbeddingError
from sam_plugins.ports import SegmenterInfo
from sam_plugins.transforms import (
    InputPrompt,
    checked_region,
    embedding_key,
    prompt_to_input,
    resize_longest_side,
    window_of,
)
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt

__all__ = ["FakeSegmenter", "sample_image"]


class FakeSegmenter:
    """Answers with plain shapes: a disc around each foreground point, the inside of the box.

    Background points cut discs out again; a mask prompt is added to the rest. Of three answers the
    first is the smallest and scores best, each next one is half a radius wider. Scores depend on
    the picture a little, so that mixed up embeddings show.

    Parameters
    ----------
    radius
        Of the discs, in pixels of the image.
    image_size, low_res_side
        Longest side of the input and side of the logits, pixels.
    """

    def __init__(self, radius: float = 20.0, image_size: int = 256, low_res_side: int = 64) -> None:
        self._radius = radius
        self._info = SegmenterInfo(
            name="fake",
            encoder_id=f"fake-encoder-{image_size}-{low_res_side}",
            model_id=f"fake-model-{image_size}-{low_res_side}-{radius}",
            image_size=image_size,
            low_res_size=(low_res_side, low_res_side),
            numerics="fp32",
            device="cpu",
            engine="numpy",
        )

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities."""
        return self._info

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`; the one feature map is a tiny grey copy of the window."""
        box = checked_region(image, region)
        window, side = window_of(image, box), self._info.image_size
        resized = resize_longest_side(window, side)
        grey = PillowImage.fromarray(resized).convert("L").resize((8, 8))
        return Embedding(
            features={"grey": np.asarray(grey, np.float32)[None]},
            region=box,
            original_size=(image.shape[0], image.shape[1]),
            input_size=(resized.shape[0], resized.shape[1]),
            padded_size=(side, side),
            encoder_id=self._info.encoder_id,
            key=embedding_key(window, self._info.encoder_id),
        )

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`."""
        return (self.encode(image) for image in images)

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """As `Segmenter.decode`."""
        return next(self.decode_many(embedding, [prompt], multimask_output=multimask_output))

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`."""
        if embedding.encoder_id != self._info.encoder_id:
            raise EmbeddingError(
                f"The embedding was made by encoder {embedding.encoder_id}, this model has "
                f"{self._info.encoder_id}: encode the image again."
            )
        size = self._info.low_res_size
        checked = [prompt_to_input(p, embedding, size, multimask_output) for p in prompts]
        answers = (self._answer(embedding, prompt) for prompt in checked)
        return (answer.above(pred_iou_thresh) for answer in answers)

    def _answer(self, embedding: Embedding, prompt: InputPrompt) -> Masks:
        count = 3 if prompt.multimask_output else 1
        scale = embedding.input_size[1] / (embedding.region[2] - embedding.region[0])
        radii = [self._radius * scale * (1 + 0.5 * index) for index in range(count)]
        logits = np.stack([self._shape(prompt, radius, embedding) for radius in radii])
        grey = float(embedding.features["grey"].std()) / 255
        scores = [0.9 - 0.1 * index - 0.05 * grey for index in range(count)]
        return Masks(
            low_res_logits=logits,
            iou_predictions=np.array(scores, np.float32),
            region=embedding.region,
            original_size=embedding.original_size,
            input_size=embedding.input_size,
            padded_size=embedding.padded_size,
        )

    def _shape(
        self, prompt: InputPrompt, radius: float, embedding: Embedding
    ) -> NDArray[np.float32]:
        """(h, w) signed distance to the shape's edge in input pixels, positive inside."""
        height, width = self._info.low_res_size
        y = (np.arange(height)[:, None] + 0.5) * embedding.padded_size[0] / height
        x = (np.arange(width)[None] + 0.5) * embedding.padded_size[1] / width
        shape = np.full((height, width), -float(self._info.image_size))
        if prompt.box is not None:
            x0, y0, x1, y1 = prompt.box.tolist()
            edges = np.minimum(np.minimum(x - x0, x1 - x), np.minimum(y - y0, y1 - y))
            shape = np.maximum(shape, edges)
        if prompt.mask_input is not None:
            shape = np.maximum(shape, prompt.mask_input[0])
        if prompt.point_coords is not None and prompt.point_labels is not None:
            for (at_x, at_y), label in zip(prompt.point_coords, prompt.point_labels, strict=True):
                disc = radius - np.hypot(x - at_x, y - at_y)
                shape = np.maximum(shape, disc) if label else np.minimum(shape, -disc)
        return shape.astype(np.float32)


def sample_image(height: int, width: int, seed: int = 0) -> Image:
    """(H, W, 3) uint8: smooth coloured noise, another for every seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = PillowImage.fromarray(noise).resize((width, height), PillowImage.Resampling.BICUBIC)
    return np.array(picture)
