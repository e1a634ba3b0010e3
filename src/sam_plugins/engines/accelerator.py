"""What runs a model on a CUDA device: fused attention, programs of fixed shapes, batches."""

from dataclasses import dataclass

import torch

from sam_plugins.device import Numerics
from sam_plugins.engines.compiled import CompiledDecoding, CompiledEncoder
from sam_plugins.engines.fused_vit import AttentionKind, FusedViT
from sam_plugins.model.common import PromptableModel
from sam_plugins.model.decoding import Decoding, FoldedDecoding, PlainDecoding
from sam_plugins.model.image_encoder import ImageEncoderViT
from sam_plugins.model.sam import Sam
from sam_plugins.ports import ImageEncoder

__all__ = ["ATTENTION", "ENCODE_BATCHES", "Accelerated", "accelerated"]

ATTENTION: AttentionKind = "augmented"
"""Runs on the flash attention that PyTorch brings; `python benchmarks/gpu.py` measures both."""

ENCODE_BATCHES = (1, 4)
DECODE_BATCHES = (1, 64)


@dataclass(frozen=True, slots=True)
class Accelerated:
    """What a segmenter on an accelerator is made of."""

    encoder: ImageEncoder
    decoding: Decoding


def accelerated(
    model: PromptableModel, device: str, numerics: Numerics, attention: AttentionKind = ATTENTION
) -> Accelerated:
    """The fastest way this model has on a device that compiles.

    Programs are compiled in the background; until they are ready the same functions run as such.

    Parameters
    ----------
    model
        Already on the device.
    device
        A torch device that `torch.compile` knows: "cuda", "cuda:1".
    numerics
        Of encoder and decoder.
    attention
        How ViT encoders attend.
    """
    encode = model.encode_image
    encoder = getattr(model, "image_encoder", None)
    if isinstance(encoder, ImageEncoderViT):
        encode = FusedViT(encoder, numerics, attention)
    decoding: Decoding = PlainDecoding(model)
    if isinstance(model, Sam):
        dtype = torch.bfloat16 if numerics == "bf16" else torch.float32
        decoding = CompiledDecoding(FoldedDecoding(model, dtype), DECODE_BATCHES, device=device)
    compiled = CompiledEncoder(
        encode, model.image_size, ENCODE_BATCHES, device=device, numerics=numerics
    )
    return Accelerated(compiled, decoding)
