"""Ours against `transformers.SamModel`, with the same random weights under its names."""

from functools import cache

import peers
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

CONFIGS = (
    peers.Config(image_size=160, window_size=4),
    peers.Config(image_size=208, embed_dim=48, depth=3, num_heads=4, dim=256, decoder_heads=8),
)


@cache
def built(config):
    model, state = peers.ours(config, seed=7)
    return model, peers.Transformers(config, state)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    grid=st.integers(8, 16),
    window=st.integers(2, 17),
    depth=st.integers(1, 3),
    images=st.integers(1, 2),
)
def test_small_encoders_agree(grid, window, depth, images):
    config = peers.Config(
        image_size=16 * grid,
        window_size=window,
        depth=depth,
        global_attn_indexes=(depth - 1,),
        mlp_ratio=3.0,
    )
    peers.check_encoder(*built(config), images)


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kinds", peers.KINDS, ids="+".join)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.image_size}px")
def test_decoders_agree(config, kinds, multimask):
    model, peer = built(config)
    embedding = peers.check_encoder(model, peer)
    prompt = peers.prompts(kinds, 3, config.image_size)
    peers.check_decoder(model, peer, embedding, prompt, multimask)


def test_the_renamed_weights_are_all_of_its_weights():
    _, state = peers.ours(CONFIGS[0])
    renamed = peers.as_transformers(state)
    assert set(renamed) == set(built(CONFIGS[0])[1].model.state_dict())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_vit_b_at_full_size():
    model, state = peers.ours(peers.VIT_B, seed=7)
    peer = peers.Transformers(peers.VIT_B, state)
    embedding = peers.check_encoder(model, peer)
    for kinds in peers.KINDS:
        peers.check_decoder(model, peer, embedding, peers.prompts(kinds, 2, 1024), True)
    assert torch.isfinite(embedding).all()
