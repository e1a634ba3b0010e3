"""Every kind of file that holds a model, and what is said of its names, shapes and content."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import SamConfig, SamModel

from sam_plugins.errors import CheckpointError, ModelError
from sam_plugins.specs import SPECS, ModelSpec, build_model
from sam_plugins.weights import (
    LoadedModel,
    encoder_and_model_hash,
    encoder_hash,
    load_model,
    model_hash,
)
from sam_plugins.weights.naming import published_names, unwrapped
from sam_plugins.weights.torch_file import open_torch_file

VIT = ModelSpec(
    "small_vit",
    "vit",
    64,
    {"embed_dim": 16, "depth": 2, "num_heads": 2, "global_attn_indexes": (1,), "window_size": 3},
)
TINY_VIT = ModelSpec(
    "small_tiny_vit",
    "tiny_vit",
    64,
    {
        "embed_dims": (16, 16, 32, 32),
        "depths": (1, 1, 1, 1),
        "num_heads": (1, 1, 2, 2),
        "window_sizes": (2, 2, 3, 2),
    },
)
SMALL = {spec.name: spec for spec in (TINY_VIT, VIT)}

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(1)
    model = build_model(VIT)
    return {name: torch.randn_like(value) / 10 for name, value in model.state_dict().items()}


def same(loaded: LoadedModel, state: State) -> bool:
    found = loaded.model.state_dict()
    return found.keys() == state.keys() and all(torch.equal(found[k], state[k]) for k in state)


def saved(tmp_path: Path, content: object, name: str = "weights.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


WRAPPINGS = {
    "plain": lambda s: s,
    "parameters": lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
    "micro-sam trainer": lambda s: {
        "model_state": {f"sam.{k}": v for k, v in s.items()},
        "decoder_state": {"out.weight": torch.ones(2)},
    },
    "micro-sam export": lambda s: {"model_state": s, "decoder_state": {"out": torch.ones(2)}},
    "lightning": lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}, "epoch": 3},
    "data parallel": lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
    "compiled": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "with constants": lambda s: s | {"pixel_mean": torch.ones(3, 1, 1), "pixel_std": torch.ones(3)},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_file_loads_however_it_is_wrapped(tmp_path: Path, state: State, wrapping: str) -> None:
    path = saved(tmp_path, WRAPPINGS[wrapping](state))
    loaded = load_model(path, specs=SMALL)
    assert same(loaded, state)
    assert loaded.variant == VIT.name
    assert loaded.path == path
    assert not loaded.model.training
    assert not any(value.is_meta for value in loaded.model.state_dict().values())


def test_what_is_not_used_is_named(tmp_path: Path, state: State) -> None:
    loaded = load_model(saved(tmp_path, WRAPPINGS["micro-sam trainer"](state)), specs=SMALL)
    assert loaded.unused == ("decoder_state",)
    assert loaded.notes == ("Not used from the file: decoder_state.",)
    assert load_model(saved(tmp_path, state), specs=SMALL).notes == ()


class Dataset:
    """Something a trainer pickles beside the weights."""


def test_a_trainer_checkpoint_loads_and_its_objects_are_never_built(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    content = {"init": {"train_dataset": Dataset()}, "model_state": state, "metric": 0.5}
    path = saved(tmp_path, content)
    monkeypatch.setattr(Dataset, "__setstate__", lambda *_: built.append(1), raising=False)
    monkeypatch.setattr(Dataset, "__new__", lambda *_: built.append(1))
    loaded = load_model(path, specs=SMALL)
    assert same(loaded, state)
    assert loaded.unused == ("init", "metric")
    assert built == []


def test_safetensors_and_half_precision_load_as_float32(tmp_path: Path, state: State) -> None:
    path = tmp_path / "weights.safetensors"
    half = {name: value.half() for name, value in state.items()}
    save_file(half, path)
    loaded = load_model(path, specs=SMALL)
    assert same(loaded, {name: value.float() for name, value in half.items()})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_torch_files_of_other_floats_load_as_float32(
    tmp_path: Path, state: State, dtype: torch.dtype
) -> None:
    other = {name: value.to(dtype) for name, value in state.items()}
    loaded = load_model(saved(tmp_path, other), specs=SMALL)
    assert same(loaded, {name: value.float() for name, value in other.items()})


def test_the_model_does_not_share_memory_with_the_file(tmp_path: Path, state: State) -> None:
    for path in (tmp_path / "a.pth", tmp_path / "b.safetensors"):
        torch.save(state, path) if path.suffix == ".pth" else save_file(state, path)
        loaded = load_model(path, specs=SMALL)
        with open(path, "r+b") as file:
            file.write(bytes(path.stat().st_size))
        assert same(loaded, state)


def test_mobile_sam_loads_with_its_classifier_head(tmp_path: Path) -> None:
    state = build_model(TINY_VIT).state_dict()
    head = {
        "image_encoder.norm_head.weight": torch.ones(32),
        "image_encoder.norm_head.bias": torch.ones(32),
        "image_encoder.head.weight": torch.ones(1000, 32),
        "image_encoder.head.bias": torch.ones(1000),
    }
    loaded = load_model(saved(tmp_path, {**state, **head}), specs=SMALL)
    assert loaded.variant == TINY_VIT.name
    assert same(loaded, state)


@pytest.fixture(scope="module")
def hugging_face() -> SamModel:
    torch.manual_seed(2)
    config = SamConfig(
        vision_config={
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "window_size": 3,
            "global_attn_indexes": [1],
            "mlp_dim": 64,
        },
        prompt_encoder_config={"image_size": 64, "image_embedding_size": 4},
    )
    model = SamModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.05)
    return model


@pytest.mark.parametrize("form", ["folder", "state dict"])
def test_hugging_face_names_are_translated(
    tmp_path: Path, hugging_face: SamModel, form: str
) -> None:
    if form == "folder":
        hugging_face.save_pretrained(tmp_path / "sam")
        path = tmp_path / "sam"
    else:
        path = saved(tmp_path, hugging_face.state_dict())
    loaded = load_model(path, specs=SMALL)
    assert loaded.notes == ("Hugging Face names were translated.",)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        want = hugging_face.get_image_embeddings(pixels)
        found = loaded.model.encode_image(pixels)["image_embedding"]
        answer, scores = loaded.model.decode_prompts(
            {"image_embedding": found},
            point_coords=torch.tensor([[[20.5, 30.5]]]),
            point_labels=torch.tensor([[1]]),
            boxes=None,
            mask_input=None,
            multimask_output=True,
        )
        theirs = hugging_face(
            image_embeddings=want,
            input_points=torch.tensor([[[[20.5, 30.5]]]]),
            input_labels=torch.tensor([[[1]]]),
            multimask_output=True,
        )
    assert torch.allclose(found, want, atol=1e-4)
    assert torch.allclose(scores, theirs.iou_scores[0], atol=1e-4)
    assert answer.shape == theirs.pred_masks[0].shape


@pytest.mark.parametrize("tied", ["shared_image_embedding", "prompt_encoder.shared_embedding"])
def test_one_of_the_tied_positions_is_enough(
    tmp_path: Path, hugging_face: SamModel, tied: str
) -> None:
    state = hugging_face.state_dict()
    names = [name for name in state if name.endswith("shared_embedding.positional_embedding")]
    names += ["shared_image_embedding.positional_embedding"]
    kept = {k: v for k, v in state.items() if k not in names or k.startswith(tied)}
    kept[f"{tied}.positional_embedding"] = state["shared_image_embedding.positional_embedding"]
    loaded = load_model(saved(tmp_path, kept), specs=SMALL)
    positions = loaded.model.state_dict()[
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    ]
    assert torch.equal(positions, state["shared_image_embedding.positional_embedding"])


def test_the_published_size_has_the_same_names_at_hugging_face() -> None:
    with torch.device("meta"):
        theirs = SamModel(SamConfig()).state_dict()
    named = published_names(*unwrapped(theirs))
    ours = build_model(SPECS["vit_b"], device="meta").state_dict()
    assert {k: v.shape for k, v in named.tensors.items()} == {k: v.shape for k, v in ours.items()}


def test_another_variant_than_asked_is_refused(tmp_path: Path, state: State) -> None:
    path = saved(tmp_path, state)
    assert load_model(path, variant=VIT.name, specs=SMALL).variant == VIT.name
    message = f"Expected the weights of '{TINY_VIT.name}', found those of '{VIT.name}'"
    with pytest.raises(CheckpointError, match=message):
        load_model(path, variant=TINY_VIT.name, specs=SMALL)


def test_a_known_name_fixes_the_variant(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "mobile_sam.pt")
    specs = {"vit_t": TINY_VIT, "vit_b": VIT}
    specs = {name: ModelSpec(name, s.family, s.image_size, s.options) for name, s in specs.items()}
    with pytest.raises(CheckpointError, match="Expected the weights of 'vit_t', found those of"):
        load_model("vit_t", cache_dir=tmp_path, specs=specs)


def test_an_unknown_variant_is_a_model_error(tmp_path: Path, state: State) -> None:
    with pytest.raises(ModelError, match="vit_x"):
        load_model(saved(tmp_path, state), variant="vit_x")


def test_the_closest_variant_is_named_with_the_differences(tmp_path: Path, state: State) -> None:
    fewer = {k: v for k, v in state.items() if k != "mask_decoder.iou_token.weight"}
    with pytest.raises(CheckpointError, match=rf"of {VIT.name}, found 1 missing \('mask_decoder"):
        load_model(saved(tmp_path, fewer), specs=SMALL)


SHAPES = st.lists(st.integers(1, 4), max_size=4).map(tuple)
DTYPES = st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])


@settings(max_examples=25, deadline=None)
@given(
    entries=st.lists(st.tuples(SHAPES, DTYPES, st.integers(0, 3)), min_size=1, max_size=5),
    protocol=st.integers(2, 5),
)
def test_the_reader_agrees_with_torch(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple[tuple[int, ...], torch.dtype, int]],
    protocol: int,
) -> None:
    """`torch.load` is the independent reader; views of a shared storage are among the tensors."""
    content = {}
    for index, (shape, dtype, view) in enumerate(entries):
        base = torch.randn(3, *shape).to(dtype)
        tensor = base[1] if view == 1 else base.transpose(0, -1) if view == 2 else base.clone()
        content[f"t{index}"] = (
            torch.nn.Parameter(base) if view == 3 and base.is_floating_point() else tensor
        )
    path = tmp_path_factory.getbasetemp() / "oracle.pth"
    torch.save(content, path, pickle_protocol=protocol)
    wanted = torch.load(path, weights_only=protocol == 2)
    with open_torch_file(path) as file:
        assert list(file.tree) == list(wanted)
        for name, declared in file.tree.items():
            file.check(name, declared)
            found = file.read(declared)
            assert found.dtype == wanted[name].dtype
            assert torch.equal(found, wanted[name])


def test_hashes_follow_the_numbers_and_nothing_else(tmp_path: Path, state: State) -> None:
    first = load_model(saved(tmp_path, state), specs=SMALL).model
    save_file(state, tmp_path / "b.safetensors")
    second = load_model(tmp_path / "b.safetensors", specs=SMALL).model
    assert encoder_hash(first) == encoder_hash(second)
    assert model_hash(first) == model_hash(second)
    assert len({encoder_hash(first), model_hash(first)}) == 2
    encoder, whole = encoder_and_model_hash(first)
    assert (encoder, whole) == (encoder_hash(first), model_hash(first))
    with torch.no_grad():
        first.get_parameter("mask_decoder.iou_token.weight")[0, 0] += 1
    assert encoder_hash(first) == encoder
    assert model_hash(first) != whole
    with torch.no_grad():
        first.get_parameter("image_encoder.pos_embed")[0, 0, 0, 0] += 1
    assert encoder_hash(first) != encoder


def test_hashes_see_names_shapes_and_number_types() -> None:
    from hostile_checkpoints import TinyModel

    torch.manual_seed(0)
    model = TinyModel()
    seen = [model_hash(model)]
    model.image_encoder.pos_embed.data = model.image_encoder.pos_embed.data.reshape(1, 4, 8, 4)
    seen.append(model_hash(model))
    model.mask_decoder.hat = model.mask_decoder.iou_token
    del model.mask_decoder.iou_token
    seen.append(model_hash(model))
    model.image_size = 128
    seen.append(model_hash(model))
    seen.append(model_hash(model.bfloat16()))
    assert len(set(seen)) == 5


def test_importing_weights_loads_neither_torch_nor_a_network() -> None:
    code = "import sys, sam_plugins.weights; print({'torch', 'requests'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
