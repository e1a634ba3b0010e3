"""Pictures with a known truth, and a segmenter that answers with the truth of what it is shown."""

import numpy as np
from scipy import ndimage

from sam_plugins.ports import SegmenterInfo
from sam_plugins.transforms import (
    checked_region,
    embedding_key,
    prompt_to_input,
    resize_longest_side,
    window_of,
)
from sam_plugins.types import Embedding, Masks


def discs(height, width, centres, radii):
    """(H, W, 3) uint8: discs, each of its own shade, on black."""
    image = np.zeros((height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    for number, ((cx, cy), radius) in enumerate(zip(centres, radii, strict=True)):
        image[np.hypot(x - cx, y - cy) <= radius] = (number % 250 + 5, 200, 80)
    return image


class Bright:
    """Answers a click or box with the bright piece under it, as far as its window shows it.

    Its input is `image_size` pixels, so that windows of that size lose nothing. With `filled` the
    holes of a piece belong to it, so that masks overlap.
    """

    def __init__(self, image_size=256, filled=False):
        self._filled = filled
        self.encoded, self.asked = [], 0
        self.info = SegmenterInfo(
            name="bright",
            encoder_id=f"bright-{image_size}",
            model_id="bright",
            image_size=image_size,
            low_res_size=(image_size, image_size),
            numerics="fp32",
            device="cpu",
            engine="numpy",
        )

    def encode(self, image, *, region=None):
        box = checked_region(image, region)
        window = window_of(image, box)
        resized = resize_longest_side(window, self.info.image_size)
        self.encoded.append(window.shape[:2])
        return Embedding(
            features={"bright": (resized.max(2) > 0).astype(np.float32)[None]},
            region=box,
            original_size=image.shape[:2],
            input_size=resized.shape[:2],
            padded_size=(self.info.image_size,) * 2,
            encoder_id=self.info.encoder_id,
            key=embedding_key(window, self.info.encoder_id),
        )

    def encode_many(self, images):
        return (self.encode(image) for image in images)

    def decode(self, embedding, prompt, *, multimask_output=None):
        return next(self.decode_many(embedding, [prompt], multimask_output=multimask_output))

    def decode_many(self, embedding, prompts, *, multimask_output=None, pred_iou_thresh=None):
        size = self.info.low_res_size
        checked = [prompt_to_input(p, embedding, size, multimask_output) for p in prompts]
        pieces, _ = ndimage.label(embedding.features["bright"][0], structure=np.ones((3, 3)))
        for prompt in checked:
            self.asked += 1
            if prompt.point_coords is not None:
                x, y = prompt.point_coords[0]
            elif prompt.box is not None:
                x, y = prompt.box[:2] / 2 + prompt.box[2:] / 2
            else:
                y, x = np.unravel_index(np.argmax(prompt.mask_input[0]), size)
            row = min(int(y), pieces.shape[0] - 1)
            column = min(int(x), pieces.shape[1] - 1)
            name = pieces[row, column]
            logits = np.full((1, *size), -8, np.float32)
            if name:
                mask = pieces == name
                if self._filled:
                    mask = ndimage.binary_fill_holes(mask)
                logits[0, : pieces.shape[0], : pieces.shape[1]][mask] = 8
            count = 3 if prompt.multimask_output else 1
            yield Masks(
                low_res_logits=np.repeat(logits, count, axis=0),
                iou_predictions=np.linspace(0.95, 0.9, count, dtype=np.float32),
                region=embedding.region,
                original_size=embedding.original_size,
                input_size=embedding.input_size,
                padded_size=embedding.padded_size,
            ).above(pred_iou_thresh)


class Counting:
    """A source that notes how many pixels are read at once and in all."""

    def __init__(self, image):
        self._image = image
        self.shape = (1, *image.shape[:2])
        self.most, self.total, self.reads = 0, 0, 0

    def read(self, index, region=None):
        x0, y0, x1, y1 = region or (0, 0, self.shape[2], self.shape[1])
        assert 0 <= x0 < x1 <= self.shape[2]
        assert 0 <= y0 < y1 <= self.shape[1]
        self.reads += 1
        self.total += (x1 - x0) * (y1 - y0)
        self.most = max(self.most, (x1 - x0) * (y1 - y0))
        return np.ascontiguousarray(self._image[y0:y1, x0:x1])
