"""Ours against the published implementation, with the same random weights."""

import re
import sys
from functools import cache

import numpy as np
import peers
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_plugins.model import image_encoder
from sam_plugins.types import Masks

CONFIGS = (
    peers.Config(),
    peers.Config(
        image_size=192, depth=3, global_attn_indexes=(0, 2), window_size=7, dim=64, decoder_depth=1
    ),
    peers.Config(image_size=256, embed_dim=40, window_size=6, dim=256, decoder_heads=8),
)


@cache
def built(config):
    model, state = peers.ours(config)
    return model, peers.SegmentAnything(config, state)


@st.composite
def encoders(draw):
    depth = draw(st.integers(1, 3))
    heads = draw(st.sampled_from((1, 2, 4)))
    return peers.Config(
        image_size=16 * draw(st.integers(8, 16)),
        embed_dim=heads * draw(st.sampled_from((8, 12, 20))),
        depth=depth,
        num_heads=heads,
        window_size=draw(st.integers(2, 17)),
        global_attn_indexes=tuple(draw(st.sets(st.integers(0, depth - 1)))),
        mlp_ratio=draw(st.sampled_from((1.0, 3.0, 4.0))),
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(config=encoders(), images=st.integers(1, 2))
def test_small_encoders_agree(config, images):
    model, peer = built(config)
    peers.check_encoder(model, peer, images)


def test_tokens_of_hardly_any_variance_agree():
    """There the epsilon of every norm in the encoder decides."""
    model, state = peers.ours(CONFIGS[0])
    faint = r"encoder\.(pos_embed|patch_embed|blocks\.\d\.(attn\.proj|mlp\.lin2)|neck\.[02])"
    state = {k: 0.003 * v if re.search(faint, k) else v for k, v in state.items()}
    model.load_state_dict(state)
    peers.check_encoder(model, peers.SegmentAnything(CONFIGS[0], state))


@pytest.mark.parametrize("biases", [1, 3000, 100_000])
def test_attention_is_the_same_however_many_rows_it_takes_at_a_time(biases, monkeypatch):
    monkeypatch.setattr(image_encoder, "_BIAS_ELEMENTS", biases)
    peers.check_encoder(*built(CONFIGS[1]), images=2)


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kinds", peers.KINDS, ids="+".join)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.image_size}px")
def test_decoders_agree(config, kinds, multimask):
    model, peer = built(config)
    embedding = peers.check_encoder(model, peer)
    prompt = peers.prompts(kinds, 3, config.image_size)
    peers.check_decoder(model, peer, embedding, prompt, multimask)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    kinds=st.sampled_from(peers.KINDS),
    count=st.integers(1, 5),
    points=st.integers(0, 3),
    multimask=st.booleans(),
)
def test_decoders_agree_on_any_prompts(seed, kinds, count, points, multimask):
    model, peer = built(CONFIGS[0])
    embedding = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(seed))
    prompt = peers.prompts(kinds, count, 128, seed)
    prompt |= {k: v[:, :points] for k, v in prompt.items() if k.startswith("point")}
    peers.check_decoder(model, peer, embedding, prompt, multimask)


@pytest.mark.parametrize("kinds", peers.KINDS, ids="+".join)
def test_prompts_asked_together_are_answered_as_alone(kinds):
    model, _ = peers.ours(CONFIGS[0])
    prompt = dict.fromkeys(("point_coords", "point_labels", "boxes", "mask_input"))
    prompt |= peers.prompts(kinds, 4, 128)
    features = {"image_embedding": torch.randn(1, 32, 8, 8)}
    with torch.inference_mode():
        together = model.decode_prompts(features, **prompt, multimask_output=True)
        for i in range(4):
            one = {k: None if v is None else v[i : i + 1] for k, v in prompt.items()}
            alone = model.decode_prompts(features, **one, multimask_output=True)
            for ours, other in zip(alone, together, strict=True):
                torch.testing.assert_close(ours[0], other[i], rtol=0, atol=1e-5)


@pytest.mark.parametrize("original_size", [(97, 130), (128, 128), (1, 77), (301, 40), (640, 511)])
def test_masks_of_odd_sizes_agree(original_size):
    _, peer = built(CONFIGS[0])
    scale = 128 / max(original_size)
    input_size = tuple(int(side * scale + 0.5) for side in original_size)
    logits = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = peer.model.postprocess_masks(logits, input_size, original_size)[:, 0].numpy()
    height, width = original_size
    masks = Masks(
        low_res_logits=logits[:, 0].numpy(),
        iou_predictions=np.zeros(3, np.float32),
        region=(0, 0, width, height),
        original_size=original_size,
        input_size=input_size,
        padded_size=(128, 128),
    )
    differing = masks.masks != (expected > 0)
    assert np.abs(expected[differing]).max(initial=0) <= 1e-5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_vit_b_at_full_size():
    model, state = peers.ours(peers.VIT_B)
    peer = peers.SegmentAnything(peers.VIT_B, state)
    embedding = peers.check_encoder(model, peer)
    for kinds in peers.KINDS:
        for multimask in (True, False):
            prompt = peers.prompts(kinds, 2, 1024)
            peers.check_decoder(model, peer, embedding, prompt, multimask)


@pytest.mark.parametrize("variant", ["vit_b", "vit_l", "vit_h"])
def test_the_committed_lists_are_those_of_the_package(variant, request):
    package = peers.require("segment_anything")
    with torch.device("meta"):
        state = package.sam_model_registry[variant]().state_dict()
    path = request.path.parents[1] / "data" / "published_keys" / f"{variant}.txt"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == [f"{name} {'x'.join(map(str, v.shape))}" for name, v in state.items()]


def test_the_stand_in_for_torchvision_is_gone_after_the_import():
    before = {name for name in sys.modules if name.startswith("torchvision.")}
    peers.require("segment_anything")
    assert {name for name in sys.modules if name.startswith("torchvision.")} == before


def test_a_missing_peer_is_a_skip_unless_it_is_required(monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_REQUIRE", "other, no_such_peer")
    with pytest.raises(pytest.fail.Exception, match="no_such_peer"):
        peers.require("no_such_peer")
    monkeypatch.setenv("SAM_PLUGINS_REQUIRE", "other")
    with pytest.raises(pytest.skip.Exception):
        peers.require("no_such_peer")
