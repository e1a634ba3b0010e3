import subprocess
import sys

import pytest
import torch

from sam_plugins.errors import ModelError
from sam_plugins.model.common import PromptableModel
from sam_plugins.model.sam import Sam
from sam_plugins.specs import SPECS, ModelSpec, build_model, spec_named

SMALL = {
    "vit": ModelSpec(
        "small",
        "vit",
        64,
        {
            "embed_dim": 32,
            "depth": 2,
            "num_heads": 2,
            "global_attn_indexes": (1,),
            "window_size": 3,
        },
    ),
    "tiny_vit": ModelSpec(
        "small",
        "tiny_vit",
        64,
        {
            "embed_dims": (16, 16, 32, 32),
            "depths": (1, 1, 1, 1),
            "num_heads": (1, 1, 2, 2),
            "window_sizes": (2, 2, 3, 2),
        },
    ),
    "nano": ModelSpec("small", "nano", 64),
}


def test_importing_the_table_does_not_import_torch():
    code = "import sys, sam_plugins.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_documented_variants_are_there():
    assert set(SPECS) == {"nano", "vit_t", "vit_b", "vit_l", "vit_h"}
    assert all(spec.name == name for name, spec in SPECS.items())


@pytest.mark.parametrize(
    ("typed", "meant"), [("vit_B", "vit_b"), ("vitb", "vit_b"), ("nan", "nano")]
)
def test_an_unknown_name_lists_the_known_ones_and_suggests_the_closest(typed, meant):
    with pytest.raises(ModelError, match=f"Did you mean '{meant}'") as caught:
        spec_named(typed)
    assert all(name in str(caught.value) for name in SPECS)


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(ModelError) as caught:
        build_model("efficientnet")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", SPECS)
def test_a_model_on_meta_is_complete_after_its_weights_are_assigned(name):
    model = build_model(name, device="meta")
    assert isinstance(model, PromptableModel)
    assert not model.training
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    assert {value.device.type for value in tensors.values()} == {"meta"}
    assert set(tensors) == set(model.state_dict())
    assert model.image_size == SPECS[name].image_size
    assert any(key.startswith(model.encoder_prefixes) for key in tensors)


@pytest.mark.parametrize("family", SMALL)
def test_every_family_answers_prompts_in_the_promised_shapes(family):
    built = build_model(SMALL[family])
    model = build_model(SMALL[family], device="meta")
    model.load_state_dict(built.state_dict(), assign=True)
    h, w = model.low_res_size
    with torch.inference_mode():
        features = model.encode_image(torch.zeros(1, 3, 64, 64))
        for multimask, answers in ((True, 3), (False, 1)):
            logits, scores = model.decode_prompts(
                features,
                point_coords=torch.tensor([[[10.0, 20.0]], [[30.0, 5.0]]]),
                point_labels=torch.tensor([[1], [0]]),
                boxes=None,
                mask_input=torch.zeros(2, 1, h, w),
                multimask_output=multimask,
            )
            assert logits.shape == (2, answers, h, w)
            assert scores.shape == (2, answers)
            assert torch.isfinite(logits).all()


def test_points_without_labels_are_refused():
    model = build_model(SMALL["vit"])
    with pytest.raises(ValueError, match="together"):
        model.decode_prompts(
            {"image_embedding": torch.zeros(1, 256, 4, 4)},
            point_coords=torch.zeros(1, 1, 2),
            point_labels=None,
            boxes=None,
            mask_input=None,
            multimask_output=True,
        )


def test_the_options_of_a_spec_reach_the_encoder():
    model = build_model(SMALL["vit"])
    assert isinstance(model, Sam)
    state = model.state_dict()
    assert state["image_encoder.blocks.0.attn.rel_pos_h"].shape == (5, 16)
    assert state["image_encoder.blocks.1.attn.rel_pos_w"].shape == (7, 16)
    assert model.low_res_size == (16, 16)


BUILD_ON_META = """
import sys, torch
from sam_plugins.specs import SPECS, build_model
for spec in SPECS.values():
    model = build_model(spec, device="meta")
    if not all(tensor.is_meta for tensor in model.state_dict().values()):
        sys.exit(f"{spec.name} has numbers")
sys.exit("a compiler was imported" if "torch._dynamo" in sys.modules else 0)
"""


def test_a_model_without_numbers_is_built_without_importing_a_compiler():
    """Which takes more than a second at every start."""
    result = subprocess.run(
        [sys.executable, "-c", BUILD_ON_META], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
