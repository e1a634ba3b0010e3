"""Compiling in the background, with a stand-in for the compiler."""

import logging
from threading import Event

import pytest
import torch

from sam_plugins.engines.compiled import CompiledCalls, CompiledDecoding, CompiledEncoder
from sam_plugins.model.decoding import FoldedDecoding, PromptTensors
from sam_plugins.testing import sample_image, tiny_sam, tiny_segmenter
from sam_plugins.types import Prompt

SIDE = 64


class Compiler:
    """Marks what it compiled; notes the shapes each program was run with."""

    def __init__(self, gate=None):
        self.gate = gate
        self.shapes = []

    def __call__(self, function):
        def program(*arguments):
            if self.gate is not None:
                self.gate.wait(20)
            self.shapes.append([len(a) for a in arguments if isinstance(a, torch.Tensor)])
            return function(*arguments)

        return program


def points(count, seed=0):
    made = torch.Generator().manual_seed(seed)
    return PromptTensors(
        point_coords=SIDE * torch.rand(count, 1, 2, generator=made),
        point_labels=torch.ones(count, 1, dtype=torch.int32),
        boxes=None,
        mask_input=None,
        multimask_output=True,
    )


def test_nobody_waits_for_the_compiler():
    gate = Event()
    compiler = Compiler(gate)
    encoder = CompiledEncoder(
        tiny_sam().encode_image, SIDE, (1,), device="cpu", numerics="fp32", compile=compiler
    )
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        before = encoder(pixels)["image_embedding"]
        assert not encoder.calls.ready
        gate.set()
        encoder.calls.wait(20)
        assert encoder.calls.ready == {1}
        runs = len(compiler.shapes)
        after = encoder(pixels)["image_embedding"]
    assert len(compiler.shapes) == runs + 1
    assert torch.equal(before, after)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_batches_are_filled_up_to_a_compiled_size(count):
    compiler, model = Compiler(), tiny_sam()
    encoder = CompiledEncoder(
        model.encode_image, SIDE, (1, 4), device="cpu", numerics="fp32", compile=compiler
    )
    encoder.calls.wait(20)
    compiler.shapes.clear()
    pixels = torch.randn(count, 3, SIDE, SIDE)
    with torch.inference_mode():
        found = encoder(pixels)["image_embedding"]
        torch.testing.assert_close(found, model.encode_image(pixels)["image_embedding"])
    assert compiler.shapes == {1: [[1]], 6: []}.get(count, [[4]])


@pytest.mark.parametrize("count", [1, 5, 8, 9])
@pytest.mark.parametrize("threshold", [None, 0.0])
def test_compiled_decoding_answers_as_the_folded_one(count, threshold):
    decoding = FoldedDecoding(tiny_sam())
    compiled = CompiledDecoding(decoding, (1, 8), device="cpu", compile=Compiler())
    with torch.inference_mode():
        state, size = compiled.prepare({"image_embedding": torch.randn(1, 16, 4, 4)})
        compiled.calls.wait(20)
        assert len(compiled.calls.ready) == 4
        assert size == state.nbytes
        found = compiled.answer(state, points(count), threshold)
        expected = decoding.answer(state, points(count), threshold)
    assert torch.equal(found.kept, expected.kept)
    assert threshold is None or not found.kept.all()
    torch.testing.assert_close(found.iou_predictions, expected.iou_predictions)
    torch.testing.assert_close(found.low_res_logits, expected.low_res_logits, rtol=0, atol=1e-5)


def test_a_segmenter_takes_both():
    model = tiny_sam()
    decoding = CompiledDecoding(FoldedDecoding(model), (1, 8), device="cpu", compile=Compiler())
    encoder = CompiledEncoder(
        model.encode_image, SIDE, (1, 4), device="cpu", numerics="fp32", compile=Compiler()
    )
    segmenter = tiny_segmenter(
        model, encoder=encoder, decoding=decoding, encode_batch_size=4, decode_batch_size=8
    )
    plain = tiny_segmenter(tiny_sam())
    images = [sample_image(37, 53, seed) for seed in range(6)]
    clicks = [Prompt(point_coords=[(x, 9)], point_labels=[1]) for x in range(11)]
    for image, embedding in zip(images, segmenter.encode_many(images), strict=True):
        expected = list(plain.decode_many(plain.encode(image), clicks))
        found = list(segmenter.decode_many(embedding, clicks))
        for mine, other in zip(found, expected, strict=True):
            torch.testing.assert_close(
                torch.tensor(mine.low_res_logits),
                torch.tensor(other.low_res_logits),
                rtol=0,
                atol=1e-5,
            )


def test_what_cannot_be_compiled_runs_as_it_is(caplog):
    def broken(function):
        raise RuntimeError("no compiler here\nand a long tail")

    calls = CompiledCalls(lambda x: x + 1, device="cpu", compile=broken)
    with caplog.at_level(logging.WARNING):
        calls.prepare([("one", (torch.zeros(1),))])
        calls.wait(20)
    assert calls("one", 1) == 2
    assert "no compiler here): the model runs uncompiled" in caplog.text
    assert not calls.ready


def test_stopping_ends_the_background_work():
    gate = Event()
    calls = CompiledCalls(lambda x: x, device="cpu", compile=Compiler(gate))
    calls.prepare((number, (torch.zeros(1),)) for number in range(1000))
    calls.stop()
    gate.set()
    calls.wait(20)
    assert len(calls.ready) <= 1


@pytest.mark.slow
def test_the_real_compiler_gives_the_same_numbers():
    """On the CPU, where the same function is compiled to C++."""
    decoding = FoldedDecoding(tiny_sam())
    calls = CompiledCalls(decoding.every_answer, device="cpu")
    with torch.inference_mode():
        state, _ = decoding.prepare({"image_embedding": torch.randn(1, 16, 4, 4)})
        calls.prepare([("points", (state, points(2)))])
        calls.wait(500)
        assert calls.ready == {"points"}
        scores, masks = calls("points", state, points(2, seed=1))
        expected = decoding.every_answer(state, points(2, seed=1))
    torch.testing.assert_close(scores, expected[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(masks, expected[1], rtol=0, atol=1e-5)
