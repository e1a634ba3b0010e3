"""MobileSAM's encoder: published names, and numbers equal to a separate NumPy forward."""

import math
from pathlib import Path

import numpy as np
import pytest
import tiny_vit_numpy
import torch

from sam_plugins.model.tiny_vit import UNUSED_TENSORS, TinyViT
from sam_plugins.specs import build_model

PUBLISHED = Path(__file__).parents[1] / "data" / "published_keys" / "vit_t.txt"
UNUSED = {f"image_encoder.{name}" for name in UNUSED_TENSORS}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "gaussian_matrix")

SMALL = {"embed_dims": (16, 32, 48, 64), "depths": (1, 2, 2, 1), "num_heads": (1, 2, 3, 4)}
CONFIGURATIONS = {
    "published windows, all padded": ({**SMALL, "img_size": 128}, (128, 128)),
    "windows that divide the maps": (
        {**SMALL, "img_size": 128, "window_sizes": (1, 8, 4, 2)},
        (128, 128),
    ),
    "one window is the whole map": (
        {**SMALL, "img_size": 64, "window_sizes": (1, 8, 4, 4)},
        (64, 64),
    ),
    "windows larger than the maps": ({**SMALL, "img_size": 32}, (32, 32)),
    "padded on one side only": (
        {**SMALL, "img_size": 96, "window_sizes": (1, 4, 3, 4)},
        (64, 96),
    ),
    "other widths and depths": (
        {
            "img_size": 64,
            "embed_dims": (8, 12, 20, 24),
            "depths": (2, 1, 3, 2),
            "num_heads": (1, 3, 2, 6),
            "window_sizes": (7, 5, 3, 2),
            "out_chans": 16,
        },
        (64, 64),
    ),
    "published widths": ({"img_size": 176}, (176, 176)),
}


def published_shapes():
    lines = [line for line in PUBLISHED.read_text().splitlines() if not line.startswith("#")]
    shapes = {}
    for name, shape in (line.split() for line in lines):
        assert name not in shapes
        shapes[name] = () if shape == "scalar" else tuple(map(int, shape.split("x")))
    return shapes


def shapes_of(module):
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def random_arrays(shapes, seed):
    """Values for every tensor, so that none is at a value that hides a mistake (0 or 1)."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            arrays[name] = np.array(rng.integers(1, 1000))
        elif name.endswith("running_var"):
            arrays[name] = rng.uniform(0.3, 3, shape)
        elif name.endswith("attention_biases"):
            arrays[name] = rng.normal(0, 1.5, shape)
        elif len(shape) > 1:
            arrays[name] = rng.normal(0, 1.2 / math.sqrt(math.prod(shape[1:])), shape)
        elif name.endswith("weight"):
            arrays[name] = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
        else:
            arrays[name] = rng.normal(0, 0.5, shape)
    return {
        name: value if name.endswith("tracked") else value.astype(np.float32)
        for name, value in arrays.items()
    }


def as_tensors(arrays):
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


@pytest.fixture(scope="module")
def full_size():
    return build_model("vit_t", device="meta")


def test_names_and_shapes_are_the_published_ones(full_size):
    published = {name: s for name, s in published_shapes().items() if name not in UNUSED}
    assert shapes_of(full_size) == published


def test_the_published_tensors_load_without_conversion(full_size):
    published = {n: torch.empty(s, device="meta") for n, s in published_shapes().items()}
    full_size.load_state_dict(published, strict=True, assign=True)
    assert published.keys() >= UNUSED


def test_the_published_list_counts_as_published():
    shapes = published_shapes()
    parameters = {n: math.prod(s) for n, s in shapes.items() if not n.endswith(BUFFERS)}
    assert sum(parameters.values()) == 10_130_092
    assert set(shapes) >= UNUSED
    assert sum(name.startswith("image_encoder.") for name in shapes) == 302


def test_embedding_is_a_sixteenth_of_the_image(full_size):
    assert full_size.image_size == 1024
    features = full_size.encode_image(torch.empty(2, 3, 1024, 1024, device="meta"))
    assert {name: value.shape for name, value in features.items()} == {
        "image_embedding": (2, 256, 64, 64)
    }


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_equals_the_numpy_forward(name):
    options, size = CONFIGURATIONS[name]
    with torch.device("meta"):
        encoder = TinyViT(**options).eval()
    arrays = random_arrays(shapes_of(encoder), seed=len(name))
    encoder.load_state_dict(as_tensors(arrays), assign=True)
    image = np.random.default_rng(5).normal(size=(3, *size)).astype(np.float32)

    expected = tiny_vit_numpy.encode(arrays, image)
    with torch.inference_mode():
        found = encoder(torch.from_numpy(image)[None])[0].numpy()

    assert found.shape == expected.shape == (options.get("out_chans", 256), *np.array(size) // 16)
    assert np.abs(found - expected).max() < 3e-5 * expected.std()


def test_images_of_one_batch_do_not_touch_each_other():
    encoder = TinyViT(**SMALL, img_size=64).eval()
    encoder.load_state_dict(as_tensors(random_arrays(shapes_of(encoder), seed=1)))
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        together = encoder(images)
        alone = torch.cat([encoder(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


def test_weights_loaded_after_eval_are_the_ones_used():
    # The published module keeps a copy of the biases from the moment of eval().
    encoder = TinyViT(**SMALL, img_size=64).eval()
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        before = encoder(image)
    biases = {
        name: torch.randn(value.shape, generator=torch.Generator().manual_seed(3))
        for name, value in encoder.state_dict().items()
        if name.endswith("attention_biases")
    }
    encoder.load_state_dict(biases, strict=False)
    with torch.inference_mode():
        assert not torch.allclose(before, encoder(image), atol=1e-2)


def test_the_published_classifier_is_passed_over_and_nothing_else():
    encoder = TinyViT(**SMALL, img_size=64)
    weights = as_tensors(random_arrays(shapes_of(encoder), seed=1))
    classifier = {name: torch.zeros(1) for name in UNUSED_TENSORS}
    published = {**weights, **classifier}

    encoder.load_state_dict(published, strict=True)
    assert set(published) == {*weights, *classifier}

    with pytest.raises(RuntimeError, match=r"head\.scale"):
        encoder.load_state_dict({**published, "head.scale": torch.zeros(1)}, strict=True)
