"""Every `Segmenter` under the one contract."""

import pytest
import torch

from sam_plugins.codec import (
    embedding_from_bytes,
    embedding_to_bytes,
    masks_from_bytes,
    masks_to_bytes,
    prompt_from_bytes,
    prompt_to_bytes,
)
from sam_plugins.predictor import TorchSegmenter
from sam_plugins.stores import CachedSegmenter, DiskStore, MemoryStore
from sam_plugins.testing import (
    FakeSegmenter,
    SegmenterContract,
    sample_image,
    tiny_nano,
    tiny_sam,
    tiny_segmenter,
)


class OverBytes:
    """Sends every value through bytes, as a server and its client would."""

    def __init__(self, segmenter):
        self._segmenter = segmenter

    @property
    def info(self):
        return self._segmenter.info

    def encode(self, image, *, region=None):
        return self._through(self._segmenter.encode(image, region=region))

    def encode_many(self, images):
        return map(self._through, self._segmenter.encode_many(images))

    def decode(self, embedding, prompt, *, multimask_output=None):
        return next(self.decode_many(embedding, [prompt], multimask_output=multimask_output))

    def decode_many(self, embedding, prompts, *, multimask_output=None, pred_iou_thresh=None):
        answers = self._segmenter.decode_many(
            self._through(embedding),
            [prompt_from_bytes(prompt_to_bytes(prompt)) for prompt in prompts],
            multimask_output=multimask_output,
            pred_iou_thresh=pred_iou_thresh,
        )
        return (masks_from_bytes(masks_to_bytes(answer)) for answer in answers)

    @staticmethod
    def _through(embedding):
        return embedding_from_bytes(embedding_to_bytes(embedding))


class TestFake(SegmenterContract):
    def make_segmenter(self):
        return FakeSegmenter()


class TestTorch(SegmenterContract):
    def make_segmenter(self):
        return tiny_segmenter()


class TestNano(SegmenterContract):
    def make_segmenter(self):
        return tiny_segmenter(tiny_nano())


class TestTorchInLargeBatches(SegmenterContract):
    """As on an accelerator, with room for one embedding on the device."""

    def make_segmenter(self):
        return tiny_segmenter(encode_batch_size=3, decode_batch_size=64, max_cached_bytes=5000)


class TestTorchInBf16(SegmenterContract):
    def make_segmenter(self):
        return tiny_segmenter(numerics="bf16")


@pytest.mark.gpu
class TestTorchOnCuda(SegmenterContract):
    def make_segmenter(self):
        return tiny_segmenter(device="cuda")


class TestCached(SegmenterContract):
    def make_segmenter(self):
        return CachedSegmenter(tiny_segmenter(), MemoryStore(20_000))


class TestCachedOnDisk(SegmenterContract):
    """From files alone, rounded to half precision, with several images led together."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path / "embeddings"

    def make_segmenter(self):
        store = DiskStore(self.folder, storage="fp16", min_free_bytes=0)
        return CachedSegmenter(tiny_segmenter(), store, encode_batch_size=3)


class TestOverBytes(SegmenterContract):
    def make_segmenter(self):
        return OverBytes(tiny_segmenter())


class TestCachedFakeOverBytes(SegmenterContract):
    def make_segmenter(self):
        return OverBytes(CachedSegmenter(FakeSegmenter()))


def test_numerics_are_part_of_the_encoder_id():
    exact, quick = tiny_segmenter(), tiny_segmenter(numerics="bf16")
    assert exact.info.encoder_id != quick.info.encoder_id


def test_the_decoder_is_no_part_of_the_encoder_id():
    model = tiny_sam()
    before = TorchSegmenter(model, name="tiny").info
    with torch.no_grad():
        model.mask_decoder.mask_tokens.weight.add_(1)
    after = TorchSegmenter(model, name="tiny").info
    assert before.encoder_id == after.encoder_id
    assert before.model_id != after.model_id
    assert tiny_segmenter(tiny_sam(seed=1)).info.encoder_id != before.encoder_id


@pytest.mark.parametrize("make", [tiny_sam, tiny_nano])
def test_a_tiny_model_is_not_trivial(make):
    """Or bit-equal answers would prove little."""
    embedding = tiny_segmenter(make()).encode(sample_image(40, 50))
    assert all(values.std() > 0.01 for values in embedding.features.values())
