"""What every `Segmenter` does, as tests to inherit."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sam_plugins.errors import EmbeddingError, ImageError, PromptError
from sam_plugins.ports import Segmenter
from sam_plugins.testing.checks import (
    check,
    check_refuses,
    check_same_features,
    check_same_masks,
)
from sam_plugins.testing.fake import sample_image
from sam_plugins.transforms import embedding_key
from sam_plugins.types import Image, Masks, Prompt

__all__ = ["SegmenterContract"]

_THREADS = 8
_TOLERANCE = 1e-5
_ROUNDING = 1e-6
_HEIGHT, _WIDTH = 37, 53


class SegmenterContract:
    """What every `Segmenter` does, whatever is behind it."""

    def make_segmenter(self) -> Segmenter:
        """The segmenter under test; asked for once per test."""
        raise NotImplementedError

    def test_says_what_it_is(self) -> None:
        """Ids are there and do not change; every prompt kind is known."""
        segmenter = self.make_segmenter()
        info = segmenter.info
        check(info == segmenter.info, "info changes")
        check(info.name and info.encoder_id and info.model_id, "an id is empty")
        check(min(*info.low_res_size, info.image_size) > 0, "a size is not positive")
        check({"points", "box", "mask"} <= set(info.prompt_kinds), "a prompt kind is missing")

    def test_an_embedding_describes_its_window(self) -> None:
        """Sizes, ids and content key of the whole image, encoded from an untouched array."""
        segmenter, image = self.make_segmenter(), _picture()
        embedding = segmenter.encode(image)
        np.testing.assert_array_equal(image, _picture())
        side = segmenter.info.image_size
        check(embedding.region == (0, 0, _WIDTH, _HEIGHT), f"region is {embedding.region}")
        check(embedding.original_size == (_HEIGHT, _WIDTH), "original_size is not (H, W)")
        check(max(embedding.input_size) == side, "the longest side is not image_size")
        check(embedding.input_size[0] < embedding.input_size[1], "input_size is not (H, W)")
        check(min(embedding.padded_size) >= side, "padded_size is smaller than the input")
        check(embedding.encoder_id == segmenter.info.encoder_id, "another encoder_id")
        key = embedding_key(image, segmenter.info.encoder_id)
        check(embedding.key == key, "the key is not that of the pixels and the encoder")
        for name, values in embedding.features.items():
            check(values.dtype == np.float32, f"{name} is {values.dtype}")
            check(np.isfinite(values).all(), f"{name} is not finite")

    def test_a_region_is_encoded_as_if_it_were_the_image(self) -> None:
        """Only its place is remembered; nothing around it matters."""
        segmenter, image, (x0, y0, x1, y1) = self.make_segmenter(), _picture(), (7, 3, 40, 30)
        part = segmenter.encode(image, region=(x0, y0, x1, y1))
        alone = segmenter.encode(image[y0:y1, x0:x1])
        check(part.region == (x0, y0, x1, y1), f"region is {part.region}")
        check(part.original_size == (_HEIGHT, _WIDTH), "original_size is not that of the image")
        check(part.key == alone.key, "equal pixels have another key")
        check_same_features(part, alone)
        shifted = Prompt(point_coords=[(20, 11)], point_labels=[1])
        there = segmenter.decode(part, shifted)
        here = segmenter.decode(alone, Prompt(point_coords=[(13, 8)], point_labels=[1]))
        np.testing.assert_array_equal(there.low_res_logits, here.low_res_logits)
        expected = np.zeros(there.masks.shape, bool)
        expected[:, y0:y1, x0:x1] = here.masks
        np.testing.assert_array_equal(there.masks, expected)

    def test_refuses_what_is_no_image(self) -> None:
        """Wrong type, wrong axes, no pixels, a region that is empty or outside."""
        segmenter, image = self.make_segmenter(), _picture()
        wrong: list[Any] = [
            image.astype(np.float32),
            image[..., 0],
            image[..., :2],
            image[:0],
            image.tolist(),
        ]
        for value in wrong:
            check_refuses(ImageError, partial(segmenter.encode, value), "no image")
        for box in [(0, 0, 0, 9), (9, 9, 3, 12), (-1, 0, 9, 9), (0, 0, 9, 99), (0, 0, 54, 37)]:
            check_refuses(ImageError, partial(segmenter.encode, image, region=box), f"region {box}")

    def test_smallest_and_thinnest_images(self) -> None:
        """One pixel, one row and one column are images too."""
        segmenter = self.make_segmenter()
        for height, width in ((1, 1), (1, 300), (300, 1)):
            embedding = segmenter.encode(sample_image(height, width))
            answer = segmenter.decode(embedding, Prompt(point_coords=[(0, 0)], point_labels=[1]))
            check(answer.masks.shape == (3, height, width), f"{answer.masks.shape}")

    def test_encode_many_gives_what_encode_gives(self) -> None:
        """In order, sizes mixed, one image twice."""
        segmenter = self.make_segmenter()
        images = [sample_image(20 + 9 * i, 60 - 8 * i, seed=i % 5) for i in range(6)]
        images.append(images[1])
        together = list(segmenter.encode_many(images))
        check(len(together) == len(images), f"{len(together)} embeddings of {len(images)} images")
        for image, embedding in zip(images, together, strict=True):
            alone = segmenter.encode(image)
            check(alone.key == embedding.key, "images changed places")
            check(alone.original_size == embedding.original_size, "images changed places")
            check_same_features(alone, embedding, _TOLERANCE)
        check(not list(segmenter.encode_many([])), "embeddings of no images")

    def test_answers_have_the_promised_shapes(self) -> None:
        """And three answers for exactly one point, otherwise one, unless asked for."""
        segmenter = self.make_segmenter()
        embedding, size = segmenter.encode(_picture()), segmenter.info.low_res_size
        for prompt in _prompts(segmenter):
            for wish in (None, True, False):
                answer = segmenter.decode(embedding, prompt, multimask_output=wish)
                count = 3 if (prompt.is_ambiguous if wish is None else wish) else 1
                check(len(answer) == count, f"{len(answer)} answers where {count} were due")
                check(answer.low_res_logits.shape == (count, *size), "low_res_logits.shape")
                check(answer.low_res_logits.dtype == np.float32, "low_res_logits.dtype")
                check(answer.iou_predictions.shape == (count,), "iou_predictions.shape")
                check(answer.iou_predictions.dtype == np.float32, "iou_predictions.dtype")
                check(np.isfinite(answer.low_res_logits).all(), "logits are not finite")
                for name in ("region", "original_size", "input_size", "padded_size"):
                    check(getattr(answer, name) == getattr(embedding, name), f"{name} differs")
                check(answer.masks.shape == (count, _HEIGHT, _WIDTH), "masks.shape")
                check(answer.masks.dtype == np.bool_, "masks.dtype")

    def test_the_same_call_twice_is_bit_equal(self) -> None:
        """Encoding and decoding are functions of their arguments."""
        segmenter = self.make_segmenter()
        first, second = segmenter.encode(_picture()), segmenter.encode(_picture())
        check_same_features(first, second)
        for prompt in _prompts(segmenter):
            check_same_masks(segmenter.decode(first, prompt), segmenter.decode(second, prompt))

    def test_decode_many_gives_what_decode_gives(self) -> None:
        """In order, kinds mixed, within 1e-5 in logits; twice the same differs by rounding at most.

        Where a buffer lies in memory decides about last bits on some processors.
        """
        segmenter = self.make_segmenter()
        embedding, prompts = segmenter.encode(_picture()), _prompts(segmenter) * 2
        for wish in (None, True, False):
            together = list(segmenter.decode_many(embedding, prompts, multimask_output=wish))
            again = list(segmenter.decode_many(embedding, prompts, multimask_output=wish))
            check(len(together) == len(prompts), "not one answer per prompt")
            for prompt, answer, repeated in zip(prompts, together, again, strict=True):
                alone = segmenter.decode(embedding, prompt, multimask_output=wish)
                check_same_masks(answer, alone, _TOLERANCE)
                check_same_masks(answer, repeated, _ROUNDING)
        check(not list(segmenter.decode_many(embedding, [])), "answers to no prompts")

    def test_only_answers_above_a_threshold(self) -> None:
        """They are those of the same call without it, and a prompt may have none left."""
        segmenter = self.make_segmenter()
        embedding, prompts = segmenter.encode(_picture()), _prompts(segmenter)
        every = list(segmenter.decode_many(embedding, prompts, multimask_output=True))
        scores = np.concatenate([answer.iou_predictions for answer in every])
        for threshold in (float(np.median(scores)), float(scores.max()), -1e9):
            some = list(
                segmenter.decode_many(
                    embedding, prompts, multimask_output=True, pred_iou_thresh=threshold
                )
            )
            check(len(some) == len(prompts), "not one answer per prompt")
            for answer, whole in zip(some, every, strict=True):
                check_same_masks(answer, whole.above(threshold), _TOLERANCE)
                check(answer.masks.shape == (len(answer), _HEIGHT, _WIDTH), "masks.shape")

    def test_nothing_depends_on_what_was_asked_before(self) -> None:
        """Other images and prompts in between leave no trace."""
        segmenter = self.make_segmenter()
        embedding, prompts = segmenter.encode(_picture()), _prompts(segmenter)
        before = [segmenter.decode(embedding, prompt) for prompt in prompts]
        other = segmenter.encode(sample_image(_HEIGHT, _WIDTH, seed=7))
        differs = False
        for prompt, expected in reversed(list(zip(prompts, before, strict=True))):
            answer = segmenter.decode(other, prompt)
            differs |= not np.array_equal(answer.iou_predictions, expected.iou_predictions)
            check_same_masks(segmenter.decode(embedding, prompt), expected)
        check(differs, "another picture gives the same scores: the embedding is not looked at")
        check_same_features(segmenter.encode(_picture()), embedding)

    def test_threads_share_it(self) -> None:
        """Eight at once, each with its own picture and prompts, get what one alone gets."""
        segmenter = self.make_segmenter()
        images = [sample_image(_HEIGHT + i, _WIDTH, seed=i) for i in range(_THREADS)]
        prompts = _prompts(segmenter)

        def answers(number: int) -> list[Masks]:
            embedding = segmenter.encode(images[number])
            mine = prompts[number % 3 :: 2]
            alone = [segmenter.decode(embedding, prompt) for prompt in mine]
            return alone + list(segmenter.decode_many(embedding, mine))

        expected = [answers(number) for number in range(_THREADS)]
        order = [*range(_THREADS), *reversed(range(_THREADS))]
        with ThreadPoolExecutor(_THREADS) as pool:
            for number, found in zip(order, pool.map(answers, order), strict=True):
                for answer, right in zip(found, expected[number], strict=True):
                    check_same_masks(answer, right)

    def test_padding_never_leaks_into_a_mask(self) -> None:
        """Whatever the logits say below or right of the picture, no pixel shows it."""
        segmenter = self.make_segmenter()
        for height, width in ((12, 60), (60, 12)):
            embedding = segmenter.encode(sample_image(height, width))
            corner = Prompt(point_coords=[(width - 1, height - 1)], point_labels=[1])
            answer = segmenter.decode(embedding, corner)
            logits = answer.low_res_logits.copy()
            seen = [
                int(np.ceil(embedding.input_size[axis] * size / embedding.padded_size[axis])) + 1
                for axis, size in enumerate(segmenter.info.low_res_size)
            ]
            logits[:, seen[0] :], logits[:, :, seen[1] :] = 1e6, 1e6
            flooded = replace(answer, low_res_logits=logits)
            check(not np.array_equal(logits, answer.low_res_logits), "there is no padding")
            check(flooded.masks.shape == (3, height, width), f"{flooded.masks.shape}")
            np.testing.assert_array_equal(flooded.masks, answer.masks)

    def test_refuses_the_embedding_of_another_encoder(self) -> None:
        """At the call, not at the first answer."""
        segmenter = self.make_segmenter()
        foreign = replace(segmenter.encode(_picture()), encoder_id="another encoder")
        prompt = Prompt(box=(1, 2, 30, 20))
        check_refuses(EmbeddingError, partial(segmenter.decode, foreign, prompt), "decode")
        check_refuses(
            EmbeddingError, partial(segmenter.decode_many, foreign, [prompt]), "decode_many"
        )

    def test_refuses_prompts_that_do_not_fit(self) -> None:
        """Points and boxes outside, masks of another size or another window."""
        segmenter = self.make_segmenter()
        embedding, (h, w) = segmenter.encode(_picture()), segmenter.info.low_res_size
        fitting = np.zeros((1, h, w), np.float32)
        wrong = [
            Prompt(point_coords=[(9, 9), (_WIDTH + 1, 9)], point_labels=[1, 1]),
            Prompt(point_coords=[(9, _HEIGHT + 0.5)], point_labels=[0]),
            Prompt(point_coords=[(-1, 9)], point_labels=[1]),
            Prompt(box=(_WIDTH, 0, _WIDTH + 9, 9)),
            Prompt(box=(3, -9, 9, 0)),
            Prompt(mask_input=np.zeros((1, h + 1, w), np.float32)),
            Prompt(mask_input=fitting, mask_region=(0, 0, _WIDTH, _HEIGHT - 1)),
        ]
        for prompt in wrong:
            check_refuses(PromptError, partial(segmenter.decode, embedding, prompt), f"{prompt}")
            many = [Prompt(box=(1, 2, 30, 20)), prompt]
            check_refuses(PromptError, partial(segmenter.decode_many, embedding, many), f"{prompt}")
        segmenter.decode(embedding, Prompt(mask_input=fitting, mask_region=embedding.region))

    def test_a_box_beyond_the_image_is_clipped(self) -> None:
        """Users drag past the border."""
        segmenter = self.make_segmenter()
        embedding = segmenter.encode(_picture())
        beyond = segmenter.decode(embedding, Prompt(box=(20, -30, 999, 30)))
        check_same_masks(beyond, segmenter.decode(embedding, Prompt(box=(20, 0, _WIDTH, 30))))

    def test_values_survive_pickling(self) -> None:
        """A value that went to another process and back is as good as before."""
        segmenter = self.make_segmenter()
        embedding = segmenter.encode(_picture())
        returned = pickle.loads(pickle.dumps(embedding))
        for prompt in _prompts(segmenter):
            answer = segmenter.decode(embedding, prompt)
            check_same_masks(segmenter.decode(returned, pickle.loads(pickle.dumps(prompt))), answer)
            check_same_masks(pickle.loads(pickle.dumps(answer)), answer)

    def test_a_crop_is_the_mask_cut_to_its_box(self) -> None:
        """Also for a window in the middle of the image."""
        segmenter, image = self.make_segmenter(), _picture()
        for region in (None, (9, 4, 49, 30)):
            embedding = segmenter.encode(image, region=region)
            answer = segmenter.decode(embedding, Prompt(point_coords=[(20, 11)], point_labels=[1]))
            for index in range(len(answer)):
                crop, (x0, y0, x1, y1) = answer.crop(index)
                pasted = np.zeros((_HEIGHT, _WIDTH), bool)
                pasted[y0:y1, x0:x1] = crop
                np.testing.assert_array_equal(pasted, answer.mask(index))
                sides = crop[:1], crop[-1:], crop[:, :1], crop[:, -1:]
                check(crop.size == 0 or all(side.any() for side in sides), "an empty margin")

    def test_an_answer_can_be_refined(self) -> None:
        """Its logits go back in as a mask prompt, together with another click."""
        segmenter = self.make_segmenter()
        embedding = segmenter.encode(_picture())
        click: dict[str, Any] = {"point_coords": [(20, 11)], "point_labels": [1]}
        first = segmenter.decode(embedding, Prompt(**click))
        for index in first.ranked:
            logits = first.low_res_logits[[index]]
            again = Prompt(**click, mask_input=logits, mask_region=first.region)
            second = segmenter.decode(embedding, again)
            check(np.isfinite(second.low_res_logits).all(), "logits are not finite")


def _picture() -> Image:
    """The picture of most tests: no side is a multiple of anything."""
    return sample_image(_HEIGHT, _WIDTH)


def _prompts(segmenter: Segmenter) -> list[Prompt]:
    """One of every kind that fits the picture, kinds mixed and repeated."""
    size = segmenter.info.low_res_size
    mask = np.linspace(-8, 8, size[0] * size[1], dtype=np.float32).reshape(1, *size)
    point: dict[str, Any] = {"point_coords": [(20, 11)], "point_labels": [1]}
    pair: dict[str, Any] = {"point_coords": [(20, 11), (40.5, 30.25)], "point_labels": [1, 0]}
    box = (5, 4, 44, 29)
    return [
        Prompt(**point),
        Prompt(box=box),
        Prompt(point_coords=[(_WIDTH - 1, _HEIGHT - 1)], point_labels=[1]),
        Prompt(**pair),
        Prompt(**point, box=box),
        Prompt(mask_input=mask),
        Prompt(point_coords=[(0, 0)], point_labels=[0]),
        Prompt(**pair, box=box, mask_input=-mask),
        Prompt(**point, mask_input=mask),
        Prompt(box=(0.5, 0.5, 20, 36.5)),
        Prompt(point_coords=[(3, 30)], point_labels=[1]),
    ]
