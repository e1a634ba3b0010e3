"""OpenVINO's graphs against the plain forward pass."""

import gc

import pytest
import torch
from encoders_for_tests import copy_of, pixels_for, shaken, small_models, small_tiny_vit, small_vit

from sam_plugins.engines.openvino_encoder import OpenVinoEncoder
from sam_plugins.model.sam import Sam

FAMILIES = ("vit", "tiny_vit", "nano")


@pytest.fixture(autouse=True)
def _openvino(require):
    require("openvino")


def sam(encoder):
    return Sam(encoder, embed_dim=16, decoder_heads=2, decoder_mlp_dim=16).eval()


def maps_of(model, pixels):
    with torch.inference_mode():
        return model.encode_image(pixels)


def deviation(found, expected):
    assert found.keys() == expected.keys()
    assert all(found[name].shape == expected[name].shape for name in expected)
    assert all(found[name].dtype == torch.float32 for name in found)
    return max(
        float((found[name] - expected[name]).abs().max() / expected[name].std())
        for name in expected
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_fp32_equals_the_plain_path(family):
    model = small_models()[family]
    pixels = pixels_for(model, count=2, shown=(50, 40))
    expected = maps_of(model, pixels)
    assert deviation(OpenVinoEncoder(model)(pixels), expected) < 5e-5


@pytest.mark.parametrize(
    "shape",
    [
        {"window_size": 7},
        {"window_size": 9},
        {"img_size": 176, "window_size": 4},
        {"global_attn_indexes": (0, 1, 2)},
        {"num_heads": 1},
    ],
    ids=str,
)
def test_other_shapes_of_the_vision_transformer(shape):
    model = sam(small_vit(**shape))
    pixels = pixels_for(model)
    assert deviation(OpenVinoEncoder(model)(pixels), maps_of(model, pixels)) < 5e-5


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_heads_in_groups_of_any_number(at_once, monkeypatch):
    monkeypatch.setattr("sam_plugins.engines.openvino_vit._BIAS_ELEMENTS", at_once * 7**4)
    model = sam(small_vit(num_heads=4))
    pixels = pixels_for(model)
    assert deviation(OpenVinoEncoder(model)(pixels), maps_of(model, pixels)) < 5e-5


@pytest.mark.parametrize("side", [64, 112])
def test_other_sizes_of_the_tiny_one(side):
    model = sam(small_tiny_vit(side))
    pixels = pixels_for(model)
    assert deviation(OpenVinoEncoder(model)(pixels), maps_of(model, pixels)) < 5e-5


@pytest.mark.parametrize("shown", [(64, 1), (3, 64), (0, 0)])
def test_thin_and_empty_pictures_with_nano(shown):
    model = small_models()["nano"]
    pixels = pixels_for(model, shown=shown)
    assert deviation(OpenVinoEncoder(model)(pixels), maps_of(model, pixels)) < 5e-5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("numerics", "told"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_the_precision_is_never_left_to_openvino(family, numerics, told):
    compiled = OpenVinoEncoder(small_models()[family], numerics).compiled
    assert told in str(compiled.get_property("INFERENCE_PRECISION_HINT"))


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_is_near_fp32(family, require):
    require("bf16", "BF16" in capabilities())
    model = small_models()[family]
    pixels = pixels_for(model)
    found = deviation(OpenVinoEncoder(model, "bf16")(pixels), maps_of(model, pixels))
    assert 1e-5 < found < 0.3


def capabilities():
    import openvino

    return openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_keeps_to_the_thread_budget(monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_THREADS", "1")
    compiled = OpenVinoEncoder(small_models()["vit"]).compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_needs_nothing_of_the_model_afterwards(family):
    model = small_models()[family]
    pixels = pixels_for(model)
    expected = maps_of(copy_of(model), pixels)
    engine = OpenVinoEncoder(model)
    del model
    gc.collect()
    clutter = [torch.full((n,), 7.0) for n in range(1, 3000)]
    assert deviation(engine(pixels), expected) < 5e-5
    assert clutter


def test_answers_do_not_change_when_the_next_image_comes():
    model = small_models()["nano"]
    engine, pixels = OpenVinoEncoder(model), pixels_for(model)
    first = engine(pixels)
    kept = {name: value.clone() for name, value in first.items()}
    engine(-pixels)
    assert all(torch.equal(first[name], kept[name]) for name in first)


def test_progress_is_told_in_order():
    told = []
    OpenVinoEncoder(small_models()["vit"], progress=lambda *step: told.append(step))
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)
    assert len(told) >= 2


def test_an_unknown_encoder_is_named():
    stranger = sam(small_vit())
    stranger.image_encoder = torch.nn.Identity()
    with pytest.raises(RuntimeError, match="Identity"):
        OpenVinoEncoder(shaken(stranger))
