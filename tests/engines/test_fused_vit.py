"""The encoder for accelerators, judged by the plain one; it runs on any device."""

import pytest
import torch

from sam_plugins.engines.fused_vit import ATTENTIONS, FusedViT
from sam_plugins.model.image_encoder import ImageEncoderViT


def encoder(side=96, window=4, seed=0):
    """Six tokens a side: windows of 4 need filling up, windows of 3 do not."""
    torch.manual_seed(seed)
    made = ImageEncoderViT(
        img_size=side,
        embed_dim=32,
        depth=3,
        num_heads=2,
        global_attn_indexes=(1,),
        window_size=window,
        out_chans=16,
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return made.eval()


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("window", [3, 4, 5])
@pytest.mark.parametrize("images", [1, 3])
def test_the_same_features_as_the_plain_encoder(attention, window, images):
    plain, pixels = encoder(window=window), torch.randn(images, 3, 96, 96)
    with torch.inference_mode():
        expected = plain(pixels)
        found = FusedViT(plain, attention=attention)(pixels)["image_embedding"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * float(expected.std()))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_relative_positions_are_seen(attention):
    plain, pixels = encoder(), torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        before = FusedViT(plain, attention=attention)(pixels)["image_embedding"]
        for block in plain.blocks:
            block.attn.rel_pos_w.mul_(-1)
        after = FusedViT(plain, attention=attention)(pixels)["image_embedding"]
    assert (before - after).abs().max() > 0.01 * before.std()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_bf16_is_near_fp32_and_not_equal(attention):
    plain, pixels = encoder(), torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        exact = plain(pixels)
        rough = FusedViT(plain, "bf16", attention)(pixels)["image_embedding"]
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().mean() < 0.03 * exact.std()


@pytest.mark.gpu
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("numerics", ["fp32", "bf16"])
def test_on_a_gpu_too(attention, numerics):
    plain, pixels = encoder(), torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        expected = plain(pixels)
        fused = FusedViT(plain.cuda(), numerics, attention)
        found = torch.compile(fused, dynamic=False)(pixels.cuda())["image_embedding"].cpu()
    tolerance = 1e-3 if numerics == "fp32" else 0.2
    assert (found - expected).abs().max() < tolerance * expected.std()
