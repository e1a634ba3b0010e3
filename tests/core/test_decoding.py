"""The folded decoder is judged by the plain one."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from sam_plugins.model.decoding import FoldedDecoding, PlainDecoding, PromptTensors, decoding_of
from sam_plugins.model.mask_decoder import MaskDecoder
from sam_plugins.testing import sample_image, tiny_nano, tiny_sam, tiny_segmenter
from sam_plugins.types import Prompt

COUNT = 3
SIDE = 64
KINDS = [(points, box, mask) for points in (0, 1, 4) for box in (0, 1) for mask in (0, 1)][1:]


def prompts(points, box, mask, multimask, seed=0):
    """`COUNT` random prompts of one kind for `tiny_sam`."""
    made = torch.Generator().manual_seed(seed)
    corners = SIDE * torch.rand(COUNT, 2, 2, generator=made)
    return PromptTensors(
        point_coords=SIDE * torch.rand(COUNT, points, 2, generator=made) if points else None,
        point_labels=torch.randint(0, 2, (COUNT, points), generator=made) if points else None,
        boxes=torch.cat((corners.amin(1), corners.amax(1)), 1) if box else None,
        mask_input=4 * torch.randn(COUNT, 1, 16, 16, generator=made) if mask else None,
        multimask_output=multimask,
    )


def features(seed=1):
    made = torch.Generator().manual_seed(seed)
    return {"image_embedding": torch.randn(1, 16, 4, 4, generator=made)}


def answer(decoding, given, threshold=None, maps=None):
    with torch.inference_mode():
        state, size = decoding.prepare(features() if maps is None else maps)
        assert size > 0
        return decoding.answer(state, given, threshold)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_answers_as_the_plain_decoder(kind, multimask, seed):
    model, given = tiny_sam(seed), prompts(*kind, multimask, seed)
    found, expected = (answer(way(model), given) for way in (FoldedDecoding, PlainDecoding))
    assert found.low_res_logits.shape == (COUNT * (3 if multimask else 1), 16, 16)
    spread = expected.low_res_logits.std()
    assert (found.low_res_logits - expected.low_res_logits).abs().max() < 5e-6 * (1 + spread)
    assert (found.iou_predictions - expected.iou_predictions).abs().max() < 5e-6
    assert found.kept.all()


def test_only_answers_above_the_threshold_get_a_mask():
    model, given = tiny_sam(), prompts(1, 0, 0, True)
    everything = answer(PlainDecoding(model), given)
    middle = float(everything.iou_predictions.median())
    for way in (FoldedDecoding, PlainDecoding):
        found = answer(way(model), given, middle)
        assert torch.equal(found.kept, found.iou_predictions > middle)
        assert 0 < found.kept.sum() < found.kept.numel()
        expected = everything.low_res_logits.reshape(COUNT, 3, 16, 16)[found.kept]
        torch.testing.assert_close(found.low_res_logits, expected, rtol=0, atol=5e-6)


def test_hopeless_prompts_are_not_upscaled(monkeypatch):
    model, given = tiny_sam(), prompts(1, 0, 0, True)
    decoding, upscaled = FoldedDecoding(model), []
    masks = decoding._decoder.masks

    def counted(tokens, image, answers):
        upscaled.append(len(tokens))
        return masks(tokens, image, answers)

    monkeypatch.setattr(decoding._decoder, "masks", counted)
    scores = answer(decoding, given).iou_predictions.amax(1).sort().values
    for hopeless in (1, 2, 3):
        answer(decoding, given, float(scores[hopeless - 1]))
    assert upscaled == [3, 2, 1, 0]


def test_no_prompt_changes_what_the_next_one_sees():
    """The image's state is shared: nothing may write into it."""
    decoding = FoldedDecoding(tiny_sam())
    with torch.inference_mode():
        state, _ = decoding.prepare(features())
        before = decoding.answer(state, prompts(1, 0, 0, True), None).low_res_logits
        for kind in KINDS:
            decoding.answer(state, prompts(*kind, True, seed=5), None)
        after = decoding.answer(state, prompts(1, 0, 0, True), None).low_res_logits
    assert torch.equal(before, after)


def test_bf16_is_near_fp32_and_not_equal():
    model, given = tiny_sam(), prompts(4, 1, 0, True)
    exact = answer(FoldedDecoding(model), given)
    rough = answer(FoldedDecoding(model, torch.bfloat16), given)
    assert rough.low_res_logits.dtype == rough.iou_predictions.dtype == torch.float32
    difference = (exact.low_res_logits - rough.low_res_logits).abs().mean()
    assert 0 < difference < 0.03 * exact.low_res_logits.std()


def test_sam_is_folded_and_nano_is_not():
    assert isinstance(decoding_of(tiny_sam()), FoldedDecoding)
    assert isinstance(decoding_of(tiny_nano()), PlainDecoding)


def test_a_segmenter_uses_the_folded_decoder(monkeypatch):
    """And prepares an image once, however often it is asked about."""
    model = tiny_sam()
    monkeypatch.setattr(MaskDecoder, "forward", lambda *_: 1 / 0)
    segmenter = tiny_segmenter(model)
    prepared, prepare = [], segmenter._decoding.prepare

    def counted(maps):
        prepared.append(maps)
        return prepare(maps)

    monkeypatch.setattr(segmenter._decoding, "prepare", counted)
    embedding = segmenter.encode(sample_image(37, 53))
    clicks = [Prompt(point_coords=[(x, 9)], point_labels=[1]) for x in range(5)]
    answers = list(segmenter.decode_many(embedding, clicks))
    assert len({answer.low_res_logits.tobytes() for answer in answers}) == 5
    assert np.isfinite([answer.iou_predictions for answer in answers]).all()
    assert len(prepared) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_nano_answers_the_same_from_what_an_image_shares(kind):
    model = tiny_nano()
    made = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        maps = model.encode_image(torch.randn(1, 3, SIDE, SIDE, generator=made))
    given = prompts(*kind, True)
    if given.mask_input is not None:
        given = replace(given, mask_input=given.mask_input.repeat(1, 1, 2, 2))
    found = answer(PlainDecoding(model), given, maps=maps)
    with torch.inference_mode():
        logits, scores = model.decode_prompts(
            maps, **{field.name: getattr(given, field.name) for field in fields(given)}
        )
    assert torch.equal(found.low_res_logits, logits.flatten(0, 1))
    assert torch.equal(found.iou_predictions, scores)
