"""The parts for GPUs put together; everything here but one test runs without one."""

import numpy as np
import pytest

from sam_plugins.engines import accelerator, compiled
from sam_plugins.engines.accelerator import accelerated
from sam_plugins.engines.compiled import CompiledDecoding
from sam_plugins.engines.fused_vit import FusedViT
from sam_plugins.model.decoding import PlainDecoding
from sam_plugins.testing import (
    SegmenterContract,
    sample_image,
    tiny_nano,
    tiny_sam,
    tiny_segmenter,
)
from sam_plugins.types import Prompt


@pytest.fixture(autouse=True)
def _no_compiler(request, monkeypatch):
    """On a CPU the compiler takes minutes and proves nothing about a GPU."""
    if not request.node.get_closest_marker("gpu"):
        wrapped = compiled.CompiledCalls.__init__

        def without(self, function, **options):
            wrapped(self, function, **options | {"compile": lambda f: f})

        monkeypatch.setattr(compiled.CompiledCalls, "__init__", without)


def segmenter(model, numerics="fp32", device="cpu"):
    parts = accelerated(model.to(device), device, numerics)
    made = tiny_segmenter(
        model,
        device=device,
        numerics=numerics,
        encoder=parts.encoder,
        decoding=parts.decoding,
        encode_batch_size=accelerator.ENCODE_BATCHES[-1],
        decode_batch_size=parts.decoding.batch_size,
    )
    parts.encoder.calls.wait(300)
    return made, parts


class TestSamForAccelerators(SegmenterContract):
    def make_segmenter(self):
        return segmenter(tiny_sam())[0]


class TestNanoForAccelerators(SegmenterContract):
    def make_segmenter(self):
        return segmenter(tiny_nano())[0]


@pytest.mark.gpu
class TestSamOnCuda(SegmenterContract):
    def make_segmenter(self):
        return segmenter(tiny_sam(), device="cuda")[0]


def test_sam_gets_fused_attention_and_a_compiled_decoder():
    _, parts = segmenter(tiny_sam())
    assert isinstance(parts.encoder.calls._function, FusedViT)
    assert isinstance(parts.decoding, CompiledDecoding)
    assert isinstance(segmenter(tiny_nano())[1].decoding, PlainDecoding)


def test_the_same_masks_as_on_a_cpu():
    ours, theirs = segmenter(tiny_sam())[0], tiny_segmenter(tiny_sam())
    image = sample_image(37, 53)
    clicks = [Prompt(point_coords=[(x, 9)], point_labels=[1]) for x in range(0, 50, 2)]
    found = ours.decode_many(ours.encode(image), clicks)
    expected = theirs.decode_many(theirs.encode(image), clicks)
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.low_res_logits, other.low_res_logits, rtol=0, atol=1e-4)


def test_bf16_is_near():
    ours, theirs = segmenter(tiny_sam(), "bf16")[0], tiny_segmenter(tiny_sam())
    click = Prompt(point_coords=[(20, 9)], point_labels=[1])
    image = sample_image(37, 53)
    mine, other = (s.decode(s.encode(image), click).low_res_logits for s in (ours, theirs))
    assert 0 < np.abs(mine - other).mean() < 0.05 * other.std()
