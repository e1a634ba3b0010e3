"""What only `TorchSegmenter` promises; the rest is in its contract."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch

from sam_plugins.model.decoding import PlainDecoding
from sam_plugins.predictor import TorchSegmenter
from sam_plugins.testing import sample_image, tiny_sam, tiny_segmenter
from sam_plugins.transforms import normalised, resize_longest_side
from sam_plugins.types import Prompt

POINT = Prompt(point_coords=[(20, 11)], point_labels=[1])
PAIR = Prompt(point_coords=[(20, 11), (40, 30)], point_labels=[1, 0])
BOX = Prompt(box=(5, 4, 44, 29))


@pytest.fixture
def image():
    return sample_image(37, 53)


class Watched:
    """A tiny model that notes the sizes of its batches."""

    def __init__(self, monkeypatch):
        self.model = tiny_sam()
        self.encoded, self.decoded = [], []
        encode, decode = self.model.encode_image, self.model.decode_prompts

        def encode_image(pixels):
            self.encoded.append(len(pixels))
            return encode(pixels)

        def decode_prompts(features, **prompt):
            logits, scores = decode(features, **prompt)
            self.decoded.append(len(logits))
            self.features = features
            return logits, scores

        monkeypatch.setattr(self.model, "encode_image", encode_image)
        monkeypatch.setattr(self.model, "decode_prompts", decode_prompts)

    def segmenter(self, **options):
        plain = PlainDecoding(self.model)
        alone = {"decode_workers": 1}
        return TorchSegmenter(self.model, name="tiny", decoding=plain, **alone | options)


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


def test_the_model_sees_what_the_published_predictor_shows_it(image):
    """Resized, normalised, padded pixels; prompts scaled per axis; nothing in between."""
    model = tiny_sam()
    segmenter = TorchSegmenter(model, name="tiny", decoding=PlainDecoding(model))
    embedding = segmenter.encode(image)
    small = resize_longest_side(image, 64)
    pixels = torch.from_numpy(normalised(small, 64, model.pixel_mean, model.pixel_std))[None]
    scale = torch.tensor([64 / 53, small.shape[0] / 37], dtype=torch.float64)
    with torch.inference_mode():
        features = model.encode_image(pixels)
        logits, scores = model.decode_prompts(
            features,
            point_coords=(
                torch.tensor([[[20.0, 11], [40, 30]]], dtype=torch.float64) * scale
            ).float(),
            point_labels=torch.tensor([[1, 0]]),
            boxes=None,
            mask_input=None,
            multimask_output=False,
        )
    answer = segmenter.decode(embedding, PAIR)
    assert embedding.features.keys() == features.keys()
    for name, value in features.items():
        assert np.array_equal(embedding.features[name], value[0].numpy())
    assert np.array_equal(answer.low_res_logits, logits[0].numpy())
    assert np.array_equal(answer.iou_predictions, scores[0].numpy())
    assert answer.mask_threshold == model.mask_threshold


def test_images_are_encoded_one_by_one_on_a_cpu(watched):
    images = [sample_image(20, 30, seed) for seed in range(3)]
    assert len(list(watched.segmenter().encode_many(images))) == 3
    assert watched.encoded == [1, 1, 1]


def test_images_are_encoded_in_batches_where_asked(watched):
    images = [sample_image(20 + seed, 30, seed) for seed in range(5)]
    embeddings = watched.segmenter(encode_batch_size=2).encode_many(images)
    assert [embedding.original_size[0] for embedding in embeddings] == [20, 21, 22, 23, 24]
    assert watched.encoded == [2, 2, 1]


def test_an_image_is_not_looked_at_before_its_turn(watched):
    def images():
        yield sample_image(20, 30)
        raise AssertionError("looked ahead")

    embeddings = watched.segmenter().encode_many(images())
    assert next(embeddings).original_size == (20, 30)


def test_prompts_of_one_kind_share_a_forward_pass(watched, image):
    segmenter = watched.segmenter(decode_batch_size=4)
    embedding = segmenter.encode(image)
    prompts = [POINT, BOX] * 6 + [PAIR]
    assert len(list(segmenter.decode_many(embedding, prompts))) == 13
    assert Counter(watched.decoded) == {4: 2, 2: 2, 1: 1}


def test_prompts_are_answered_no_sooner_than_needed(watched, image):
    segmenter = watched.segmenter(decode_batch_size=2)
    embedding = segmenter.encode(image)
    answers = segmenter.decode_many(embedding, [POINT, BOX, POINT, POINT])
    assert watched.decoded == []
    next(answers)
    assert watched.decoded == [2]
    next(answers)
    assert watched.decoded == [2, 1]
    next(answers)
    assert watched.decoded == [2, 1]


def test_features_go_to_the_device_once(watched, image):
    segmenter = watched.segmenter()
    embedding = segmenter.encode(image)
    segmenter.decode(embedding, POINT)
    first = watched.features["image_embedding"]
    segmenter.decode(replace(embedding, region=(0, 0, 53, 37)), BOX)
    assert watched.features["image_embedding"] is first


def test_features_that_differ_under_one_key_are_not_confused(image):
    """A store that keeps less precision gives other features under the same key."""
    segmenter = tiny_segmenter()
    exact = segmenter.encode(image)
    rough = replace(
        exact, features={name: np.round(value, 1) for name, value in exact.features.items()}
    )
    expected = tiny_segmenter().decode(rough, POINT)
    before = segmenter.decode(exact, POINT)
    assert np.array_equal(segmenter.decode(rough, POINT).low_res_logits, expected.low_res_logits)
    assert np.array_equal(segmenter.decode(exact, POINT).low_res_logits, before.low_res_logits)
    assert not np.array_equal(before.low_res_logits, expected.low_res_logits)


@pytest.mark.parametrize("room", [0, 1, 2, 100])
def test_device_memory_is_bounded(watched, room):
    segmenter = watched.segmenter()
    embeddings = [segmenter.encode(sample_image(20, 30, seed)) for seed in range(4)]
    segmenter = watched.segmenter(max_cached_bytes=2 * room * embeddings[0].nbytes)
    seen = {}
    for turn in range(2):
        for index, embedding in enumerate(embeddings):
            segmenter.decode(embedding, POINT)
            kept = watched.features["image_embedding"]
            assert (seen.get(index) is kept) == (turn == 1 and room >= 4)
            seen[index] = kept
    segmenter.decode(embeddings[-1], POINT)
    assert (watched.features["image_embedding"] is seen[3]) == (room >= 1)


def test_another_engine_takes_the_place_of_the_encoder(image):
    model = tiny_sam()
    seen = []

    def engine(pixels):
        seen.append((tuple(pixels.shape), pixels.dtype))
        return {"image_embedding": torch.ones(len(pixels), 16, 4, 4, dtype=torch.float64)}

    segmenter = TorchSegmenter(model, name="tiny", encoder=engine, engine="mine")
    embedding = segmenter.encode(image)
    assert segmenter.info.engine == "mine"
    assert seen == [((1, 3, 64, 64), torch.float32)]
    assert embedding.features["image_embedding"].dtype == np.float32
    assert (embedding.features["image_embedding"] == 1).all()
    assert len(segmenter.decode(embedding, POINT)) == 3


def test_bf16_is_near_fp32_and_not_equal(image):
    exact, quick = tiny_segmenter(), tiny_segmenter(numerics="bf16")
    ours, theirs = exact.encode(image), quick.encode(image)
    assert ours.key != theirs.key
    for name, value in ours.features.items():
        difference = np.abs(value - theirs.features[name])
        assert 0 < difference.mean() < 0.02 * value.std()


def test_the_decoder_computes_in_fp32_under_somebody_elses_autocast(image):
    segmenter = tiny_segmenter()
    embedding = segmenter.encode(image)
    expected = segmenter.decode(embedding, POINT)
    with torch.autocast("cpu", torch.bfloat16):
        found = segmenter.decode(segmenter.encode(image), POINT)
    assert np.array_equal(found.low_res_logits, expected.low_res_logits)


def test_nothing_of_torch_comes_out(image):
    segmenter = tiny_segmenter()
    embedding = segmenter.encode(image)
    answer = segmenter.decode(embedding, POINT)
    arrays = [*embedding.features.values(), answer.low_res_logits, answer.iou_predictions]
    assert all(type(array) is np.ndarray and array.flags.owndata for array in arrays)


def test_a_failure_inside_the_model_does_not_block_the_next_call(monkeypatch, image):
    segmenter = tiny_segmenter()
    embedding = segmenter.encode(image)
    with monkeypatch.context() as broken:
        broken.setattr(segmenter._decoding, "answer", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            segmenter.decode(embedding, POINT)
    assert len(segmenter.decode(embedding, POINT)) == 3


def test_gradients_are_not_kept(watched, image):
    segmenter = watched.segmenter()
    with torch.enable_grad():
        segmenter.decode(segmenter.encode(image), POINT)
    assert not watched.features["image_embedding"].requires_grad
    assert all(parameter.grad is None for parameter in watched.model.parameters())


def test_batches_are_answered_by_several_workers_in_order(image):
    alone, shared = tiny_segmenter(decode_workers=1), tiny_segmenter(decode_workers=3)
    embedding = alone.encode(image)
    prompts = [Prompt(point_coords=[(x, 11)], point_labels=[1]) for x in range(23)] + [BOX, PAIR]
    expected, found = (list(s.decode_many(embedding, prompts)) for s in (alone, shared))
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.low_res_logits, other.low_res_logits, rtol=0, atol=1e-5)


def test_a_click_does_not_wait_for_the_encoding_of_another_picture(image):
    begun, finish = Event(), Event()

    def slow(pixels):
        begun.set()
        assert finish.wait(60)
        return {"image_embedding": torch.ones(len(pixels), 16, 4, 4)}

    segmenter = tiny_segmenter(encoder=slow)
    embedding = replace(tiny_segmenter().encode(image), encoder_id=segmenter.info.encoder_id)
    with ThreadPoolExecutor(1) as pool:
        encoding = pool.submit(segmenter.encode, image)
        assert begun.wait(60)
        assert len(segmenter.decode(embedding, POINT)) == 3
        assert not encoding.done()
        finish.set()
        assert encoding.result().key


def test_the_number_of_threads_is_the_callers_own_again(image):
    before = torch.get_num_threads()
    segmenter = tiny_segmenter(decode_workers=2)
    embedding = segmenter.encode(image)
    list(segmenter.decode_many(embedding, [POINT] * 9))
    assert torch.get_num_threads() == before
