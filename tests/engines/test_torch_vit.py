"""The fast torch path against the plain one."""

import pytest
import torch
from encoders_for_tests import copy_of, pixels_for, small_vit

from sam_plugins.device import precise
from sam_plugins.engines import linears, torch_vit
from sam_plugins.engines.linears import packed_linear, packing_works, plain_linear
from sam_plugins.engines.torch_vit import TorchViT

SHAPES = {
    "windows that need padding": {"window_size": 3},
    "windows that fit": {"window_size": 7},
    "one window larger than the map": {"window_size": 9},
    "a larger map": {"img_size": 176, "window_size": 4},
    "only global": {"global_attn_indexes": (0, 1, 2)},
    "only windows": {"global_attn_indexes": ()},
    "one head": {"num_heads": 1},
}


@pytest.fixture(autouse=True)
def _probe_anew():
    packing_works.cache_clear()
    yield
    packing_works.cache_clear()


def encoded(encoder, pixels, numerics="fp32"):
    with torch.inference_mode(), precise("cpu", numerics):
        found = encoder(pixels)
    return (found["image_embedding"] if isinstance(found, dict) else found).float()


def relative(found, expected):
    return float((found - expected).abs().max() / expected.std())


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_the_plain_path(shape, pack):
    encoder = small_vit(**shape)
    pixels = pixels_for(encoder)
    expected = encoded(encoder, pixels)
    found = encoded(TorchViT(copy_of(encoder), pack=pack), pixels)
    assert found.shape == expected.shape
    assert relative(found, expected) < 2e-5


def test_vit_b_sized_layers_stay_within_rounding():
    torch.manual_seed(0)
    encoder = small_vit(224, 5, embed_dim=768, depth=3, num_heads=12)
    pixels = pixels_for(encoder)
    expected = encoded(encoder, pixels)
    found = encoded(TorchViT(copy_of(encoder)), pixels)
    assert relative(found, expected) < 1e-4


def test_every_image_of_a_batch_is_encoded_as_if_alone():
    encoder = TorchViT(small_vit())
    pixels = pixels_for(small_vit(), count=2)
    together = encoded(encoder, pixels)
    assert torch.equal(together[1], encoded(encoder, pixels[1:])[0])
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("shown", [(112, 5), (5, 112), (1, 1)])
def test_thin_pictures(shown):
    encoder = small_vit()
    pixels = pixels_for(encoder, shown=shown)
    found = encoded(TorchViT(copy_of(encoder)), pixels)
    assert relative(found, encoded(encoder, pixels)) < 2e-5


def test_rows_of_queries_need_not_divide_the_map(monkeypatch):
    encoder = small_vit()
    pixels = pixels_for(encoder)
    expected = encoded(encoder, pixels)
    monkeypatch.setattr(torch_vit, "_LOGITS", 7 * 7 * 7 * 3)
    assert relative(encoded(TorchViT(copy_of(encoder)), pixels), expected) < 2e-5


def test_positions_count():
    """Or an error in the biases would go unseen."""
    encoder = small_vit()
    pixels = pixels_for(encoder)
    before = encoded(TorchViT(copy_of(encoder)), pixels)
    with torch.no_grad():
        for block in encoder.blocks:
            block.attn.rel_pos_h.zero_()
    assert relative(encoded(TorchViT(encoder), pixels), before) > 1e-3


@pytest.mark.parametrize("pack", [True, False])
def test_bf16_is_as_near_to_fp32_as_the_plain_path_in_bf16(pack):
    encoder = small_vit(embed_dim=64, depth=4)
    pixels = pixels_for(encoder)
    exact = encoded(encoder, pixels)
    plain = relative(encoded(encoder, pixels, "bf16"), exact)
    fast = relative(encoded(TorchViT(copy_of(encoder), "bf16", pack=pack), pixels, "bf16"), exact)
    assert 1e-5 < fast < 2 * plain < 0.2


class TestPacking:
    @pytest.fixture
    def here(self):
        if not packing_works(torch.float32):
            pytest.skip("this PyTorch has no packed linear layers")

    def test_uses_up_the_weights_as_it_goes(self, here):
        encoder = small_vit()
        assert TorchViT(encoder).packed
        assert all(block.mlp.lin1.weight.numel() == 0 for block in encoder.blocks)

    def test_shares_the_weights_otherwise(self):
        encoder = small_vit()
        assert not TorchViT(encoder, pack=False).packed
        assert all(block.mlp.lin1.weight.numel() for block in encoder.blocks)

    def test_without_the_operations_it_falls_back(self, monkeypatch):
        def missing(*_arguments, **_options):
            raise AttributeError("_reorder_linear_weight")

        monkeypatch.setattr(linears, "packed_linear", missing)
        self.falls_back()

    def test_when_numbers_differ_it_falls_back_and_says_so(self, monkeypatch, caplog):
        def wrong(layer, dtype, *, rows, gelu=False):
            plain = plain_linear(layer, dtype, gelu=gelu)
            return lambda x: plain(x) * 1.001

        monkeypatch.setattr(linears, "packed_linear", wrong)
        self.falls_back()
        assert "other numbers" in caplog.text

    def falls_back(self):
        encoder = small_vit()
        pixels = pixels_for(encoder)
        engine = TorchViT(copy_of(encoder))
        assert not engine.packed
        assert relative(encoded(engine, pixels), encoded(encoder, pixels)) < 2e-5

    @pytest.mark.parametrize("gelu", [False, True])
    def test_any_number_of_rows_may_come(self, here, gelu):
        layer = torch.nn.Linear(24, 40)
        with torch.inference_mode():
            packed = packed_linear(layer, torch.float32, rows=64, gelu=gelu)
            for rows in (1, 7, 64, 100):
                x = torch.randn(rows, 24)
                expected = plain_linear(layer, torch.float32, gelu=gelu)(x)
                assert torch.allclose(packed(x), expected, atol=1e-5)

    def test_trying_leaves_the_random_numbers_alone(self):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        packing_works(torch.float32)
        assert torch.equal(torch.rand(1), expected)
