"""Two independent implementations of SAM, built with the same random weights as ours.

Both are dependencies of the tests only: `segment_anything` 1.0 (Apache-2.0) and
`transformers.SamModel` (Apache-2.0). `transformers` calls the tensors by other names.
"""

import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Protocol

import pytest
import torch
import torchvision_stub
from torch import Tensor, nn

from sam_plugins.model.decoding import Decoding, FoldedDecoding, PlainDecoding, PromptTensors
from sam_plugins.model.image_encoder import ImageEncoderViT
from sam_plugins.model.sam import Sam

State = dict[str, Tensor]
Answer = tuple[Tensor, Tensor]


def require(name: str) -> ModuleType:
    """Import a test-only dependency, or skip the test.

    Where the environment variable SAM_PLUGINS_REQUIRE names it (comma separated), its absence is
    a failure: a machine that promises to run everything must not skip.
    """
    try:
        if name != "segment_anything":
            return importlib.import_module(name)
        if importlib.util.find_spec("transformers"):
            importlib.import_module("transformers")
        with torchvision_stub.installed():
            return importlib.import_module(name)
    except ImportError as error:
        if name in os.environ.get("SAM_PLUGINS_REQUIRE", "").replace(" ", "").split(","):
            pytest.fail(f"SAM_PLUGINS_REQUIRE names {name}, which cannot be imported: {error}")
        pytest.skip(f"needs {name}: {error}")


def random_state(module: nn.Module, seed: int) -> State:
    """Random values for every tensor of a model; `module` may be on "meta" and is not changed.

    Nothing is zero, relative positions least of all; activations stay near unit scale and logits
    roughly between 0.1 and 1, so that an absolute tolerance on them means something.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, like in module.state_dict().items():
        noise = torch.randn(like.shape, generator=generator)
        if not like.is_floating_point():
            state[name] = torch.zeros(like.shape, dtype=like.dtype)
        elif name.endswith("running_var"):
            state[name] = 0.5 + noise.abs()
        elif like.ndim == 1:
            state[name] = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif "gaussian_matrix" in name:
            state[name] = noise
        else:
            state[name] = noise * _scale(name, like)
    return state


def _scale(name: str, like: Tensor) -> float:
    if re.search(
        r"rel_pos|pos_embed|attention_biases|(_embed|embeddings\.\d|_tokens?)\.weight", name
    ):
        return 0.5
    fan_in = like.shape[0] if "output_upscaling" in name else like[0].numel()
    gain = 0.7 if re.search(r"hypernetworks.*layers\.2", name) else 1.0
    return float(gain * fan_in**-0.5)


@dataclass(frozen=True)
class Config:
    """One small or full-size SAM, in words that all three implementations can be built from."""

    image_size: int = 128
    embed_dim: int = 32
    depth: int = 2
    num_heads: int = 2
    global_attn_indexes: tuple[int, ...] = (1,)
    window_size: int = 5
    mlp_ratio: float = 2.0
    dim: int = 32
    mask_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 4
    decoder_mlp_dim: int = 64


VIT_B = Config(1024, 768, 12, 12, (2, 5, 8, 11), 14, 4.0, 256, 16, 2, 8, 2048)


def ours(config: Config, seed: int = 0) -> tuple[Sam, State]:
    """Our model with random weights, and these."""
    with torch.device("meta"):
        encoder = ImageEncoderViT(
            img_size=config.image_size,
            embed_dim=config.embed_dim,
            depth=config.depth,
            num_heads=config.num_heads,
            global_attn_indexes=config.global_attn_indexes,
            window_size=config.window_size,
            mlp_ratio=config.mlp_ratio,
            out_chans=config.dim,
        )
        model = Sam(
            encoder,
            embed_dim=config.dim,
            mask_channels=config.mask_channels,
            decoder_depth=config.decoder_depth,
            decoder_heads=config.decoder_heads,
            decoder_mlp_dim=config.decoder_mlp_dim,
        )
    state = random_state(model, seed)
    model.load_state_dict(state, assign=True)
    return model.eval(), state


class Peer(Protocol):
    """Another implementation with the weights of ours."""

    def encode(self, pixels: Tensor) -> Tensor: ...

    def decode(self, embedding: Tensor, prompt: Mapping[str, Tensor], multimask: bool) -> Answer:
        """(B, C, h, w) logits and (B, C) predicted IoUs of B prompts on one embedding."""
        ...


class SegmentAnything:
    """The published implementation."""

    def __init__(self, config: Config, state: State) -> None:
        require("segment_anything")
        modeling = importlib.import_module("segment_anything.modeling")
        grid = config.image_size // 16
        with torch.device("meta"):
            self.model = modeling.Sam(
                image_encoder=modeling.ImageEncoderViT(
                    img_size=config.image_size,
                    embed_dim=config.embed_dim,
                    depth=config.depth,
                    num_heads=config.num_heads,
                    mlp_ratio=config.mlp_ratio,
                    out_chans=config.dim,
                    norm_layer=partial(nn.LayerNorm, eps=1e-6),
                    use_rel_pos=True,
                    window_size=config.window_size,
                    global_attn_indexes=config.global_attn_indexes,
                ),
                prompt_encoder=modeling.PromptEncoder(
                    embed_dim=config.dim,
                    image_embedding_size=(grid, grid),
                    input_image_size=(config.image_size, config.image_size),
                    mask_in_chans=config.mask_channels,
                ),
                mask_decoder=modeling.MaskDecoder(
                    transformer_dim=config.dim,
                    transformer=modeling.TwoWayTransformer(
                        depth=config.decoder_depth,
                        embedding_dim=config.dim,
                        num_heads=config.decoder_heads,
                        mlp_dim=config.decoder_mlp_dim,
                    ),
                ),
            )
        self.model.load_state_dict(state, assign=True)
        self.model.eval()

    def encode(self, pixels: Tensor) -> Tensor:
        return self.model.image_encoder(pixels)

    def decode(self, embedding: Tensor, prompt: Mapping[str, Tensor], multimask: bool) -> Answer:
        points = None
        if "point_coords" in prompt:
            points = (prompt["point_coords"], prompt["point_labels"])
        sparse, dense = self.model.prompt_encoder(
            points, prompt.get("boxes"), prompt.get("mask_input")
        )
        return self.model.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )


class Transformers:
    """`transformers.SamModel`.

    Its decoder norms default to an epsilon of 1e-6, the published ones have 1e-5: set here.
    """

    def __init__(self, config: Config, state: State) -> None:
        transformers = require("transformers")
        settings = transformers.SamConfig(
            vision_config={
                "hidden_size": config.embed_dim,
                "output_channels": config.dim,
                "num_hidden_layers": config.depth,
                "num_attention_heads": config.num_heads,
                "image_size": config.image_size,
                "mlp_ratio": config.mlp_ratio,
                "mlp_dim": int(config.embed_dim * config.mlp_ratio),
                "window_size": config.window_size,
                "global_attn_indexes": list(config.global_attn_indexes),
                "num_pos_feats": config.dim // 2,
            },
            prompt_encoder_config={
                "hidden_size": config.dim,
                "image_size": config.image_size,
                "mask_input_channels": config.mask_channels,
            },
            mask_decoder_config={
                "hidden_size": config.dim,
                "mlp_dim": config.decoder_mlp_dim,
                "num_hidden_layers": config.decoder_depth,
                "num_attention_heads": config.decoder_heads,
                "layer_norm_eps": 1e-5,
            },
        )
        settings._attn_implementation = "sdpa"
        with torch.device("meta"):
            self.model = transformers.SamModel(settings)
        self.model.load_state_dict(as_transformers(state), assign=True)
        self.model.eval()

    def encode(self, pixels: Tensor) -> Tensor:
        return self.model.get_image_embeddings(pixels)

    def decode(self, embedding: Tensor, prompt: Mapping[str, Tensor], multimask: bool) -> Answer:
        """A mask belongs to an image there: with masks, each prompt gets its own image."""
        names = {
            "point_coords": "input_points",
            "point_labels": "input_labels",
            "boxes": "input_boxes",
        }
        per_image = "mask_input" in prompt
        given = {
            names[k]: v[:, None] if per_image else v[None] for k, v in prompt.items() if k in names
        }
        if per_image:
            given["input_masks"] = prompt["mask_input"]
            embedding = embedding.expand(len(prompt["mask_input"]), -1, -1, -1)
        answer = self.model(image_embeddings=embedding, multimask_output=multimask, **given)
        return answer.pred_masks.flatten(0, 1), answer.iou_scores.flatten(0, 1)


KINDS = (
    ("points",),
    ("box",),
    ("points", "box"),
    ("mask",),
    ("points", "mask"),
    ("box", "mask"),
    ("points", "box", "mask"),
)


def prompts(kinds: tuple[str, ...], count: int, size: int, seed: int = 0) -> dict[str, Tensor]:
    """`count` random prompts of these kinds on a model input of side `size`.

    Three points each, of both signs; the last prompt's third point is padding. Boxes and points
    may lie in any part of the input.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (count, 3), generator=generator)
    labels[-1, -1] = -1
    corners = size * torch.rand(count, 2, 2, generator=generator)
    given = {
        "point_coords": size * torch.rand(count, 3, 2, generator=generator),
        "point_labels": labels,
        "boxes": torch.cat((corners.amin(1), corners.amax(1)), dim=1),
        "mask_input": 3 * torch.randn(count, 1, size // 4, size // 4, generator=generator),
    }
    stems = [kind.removesuffix("s") for kind in kinds]
    return {name: value for name, value in given.items() if any(stem in name for stem in stems)}


def check_encoder(model: Sam, peer: Peer, images: int = 1) -> Tensor:
    """Both embed the same random images; the peer's embedding is given back."""
    generator = torch.Generator().manual_seed(images)
    pixels = torch.randn(images, 3, model.image_size, model.image_size, generator=generator)
    with torch.inference_mode():
        found = model.encode_image(pixels)["image_embedding"]
        expected = peer.encode(pixels)
    assert found.shape == expected.shape
    deviation = ((found - expected).abs().max() / expected.std()).item()
    assert deviation <= 7e-5, f"embedding is {deviation:.1e} standard deviations off"
    return expected


def check_decoder(
    model: Sam, peer: Peer, embedding: Tensor, prompt: dict[str, Tensor], multimask: bool
) -> None:
    """Both answer the same prompts on the same embedding; ours by each of its decodings."""
    with torch.inference_mode():
        expected_logits, expected_scores = peer.decode(embedding, prompt, multimask)
    spread = expected_logits.std().item()
    assert 0.05 < spread < 1.5, f"logits of standard deviation {spread:.2g} say little"
    # The folded decoder sums in another order than both peers, which round alike.
    for decoding, tolerance in ((PlainDecoding(model), 5e-6), (FoldedDecoding(model), 1e-5)):
        logits, scores = decoded(decoding, embedding, prompt, multimask)
        compare(logits, scores, expected_logits, expected_scores, tolerance)


def decoded(
    decoding: Decoding, embedding: Tensor, prompt: dict[str, Tensor], multimask: bool
) -> Answer:
    """What one decoding answers."""
    absent = dict.fromkeys(("point_coords", "point_labels", "boxes", "mask_input"))
    given = PromptTensors(**(absent | prompt), multimask_output=multimask)
    with torch.inference_mode():
        state, _ = decoding.prepare({"image_embedding": embedding})
        found = decoding.answer(state, given, None)
    scores = found.iou_predictions
    return found.low_res_logits.unflatten(0, scores.shape), scores


def compare(
    logits: Tensor,
    scores: Tensor,
    expected_logits: Tensor,
    expected_scores: Tensor,
    tolerance: float,
) -> None:
    """Fail unless both answers are equal but for rounding."""
    assert logits.shape == expected_logits.shape
    assert scores.shape == expected_scores.shape
    spread = expected_logits.std().item()
    deviation = (logits - expected_logits).abs().max().item()
    assert deviation <= tolerance, (
        f"logits are {deviation:.1e} off, standard deviation {spread:.2f}"
    )
    deviation = (scores - expected_scores).abs().max().item()
    assert deviation <= 5e-6, f"predicted IoUs are {deviation:.1e} off"


_RENAMED = (
    (r"^image_encoder\.neck\.0", "vision_encoder.neck.conv1"),
    (r"^image_encoder\.neck\.1", "vision_encoder.neck.layer_norm1"),
    (r"^image_encoder\.neck\.2", "vision_encoder.neck.conv2"),
    (r"^image_encoder\.neck\.3", "vision_encoder.neck.layer_norm2"),
    (r"^image_encoder\.patch_embed\.proj", "vision_encoder.patch_embed.projection"),
    (r"^image_encoder\.blocks", "vision_encoder.layers"),
    (r"^image_encoder", "vision_encoder"),
    (r"mask_downscaling\.0", "mask_embed.conv1"),
    (r"mask_downscaling\.1", "mask_embed.layer_norm1"),
    (r"mask_downscaling\.3", "mask_embed.conv2"),
    (r"mask_downscaling\.4", "mask_embed.layer_norm2"),
    (r"mask_downscaling\.6", "mask_embed.conv3"),
    (r"point_embeddings", "point_embed"),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"output_upscaling\.0", "upscale_conv1"),
    (r"output_upscaling\.1", "upscale_layer_norm"),
    (r"output_upscaling\.3", "upscale_conv2"),
    (r"norm_final_attn", "layer_norm_final_attn"),
    (r"\.norm(\d)", r".layer_norm\1"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.0", r"\1.proj_in"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.1", r"\1.layers.0"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.2", r"\1.proj_out"),
)


def as_transformers(state: Mapping[str, Tensor]) -> State:
    """Published names to those of `transformers`, which keeps the frequencies twice."""
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    frequencies = renamed["prompt_encoder.shared_embedding.positional_embedding"]
    return renamed | {"shared_image_embedding.positional_embedding": frequencies}
