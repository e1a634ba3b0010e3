"""Our parameter names and shapes are those of the published checkpoints."""

import math
from pathlib import Path

import pytest

from sam_plugins.specs import build_model

LISTS = Path(__file__).parents[1] / "data" / "published_keys"
VARIANTS = {"vit_b": (314, 93.7), "vit_l": (482, 312.3), "vit_h": (594, 641.1)}


def published(variant: str) -> dict[str, tuple[int, ...]]:
    lines = (LISTS / f"{variant}.txt").read_text().splitlines()
    pairs = [line.split() for line in lines if not line.startswith("#")]
    return {name: tuple(int(n) for n in shape.split("x")) for name, shape in pairs}


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_shapes_are_the_published_ones(variant):
    state = build_model(variant, device="meta").state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == published(variant)


@pytest.mark.parametrize(("variant", "expected"), VARIANTS.items())
def test_the_lists_have_the_size_that_was_reported_of_the_files(variant, expected):
    shapes = published(variant)
    numbers = sum(math.prod(shape) for shape in shapes.values())
    assert (len(shapes), round(numbers / 1e6, 1)) == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_lists_name_their_source(variant):
    header = (LISTS / f"{variant}.txt").read_text()
    assert "Source: the package segment-anything 1.0" in header


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_image_encoder_counts_as_encoder(variant):
    model = build_model(variant, device="meta")
    outside = {
        n.split(".")[0] for n in published(variant) if not n.startswith(model.encoder_prefixes)
    }
    assert outside == {"prompt_encoder", "mask_decoder"}
