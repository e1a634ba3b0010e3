"""From the names in a file to the published names, as steps that are each a line of data.

Fine-tuned descendants wrap the published tensors in dicts and prefixes, training frameworks add
theirs, and Hugging Face's `SamModel` renames the layers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam_plugins.errors import CheckpointError
from sam_plugins.weights.declared import Foreign, shown

__all__ = ["Named", "published_names", "unwrapped"]

WRAPPERS = ("model_state", "model_state_dict", "state_dict", "model")
"""Keys under which others keep the weights, the most telling first."""

MAX_WRAPPERS = 4
MAX_TENSORS = 20_000
MAX_NAME = 200

PREFIXES = ("module.", "_orig_mod.", "model.", "sam.")
"""Put before every name by DataParallel, torch.compile, Lightning and micro-sam."""

HUGGING_FACE_MARK = "vision_encoder."
HUGGING_FACE = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^vision_encoder\.", "image_encoder."),
        (r"^image_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
        (r"^image_encoder\.layers\.(\d+)\.layer_norm", r"image_encoder.blocks.\1.norm"),
        (r"^image_encoder\.layers\.", "image_encoder.blocks."),
        (r"^image_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
        (r"^image_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
        (r"^image_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
        (r"^image_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
        (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
        (
            r"^prompt_encoder\.shared_embedding\.positional_embedding$",
            "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        ),
        (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
        (r"^(mask_decoder\.transformer\..*)layer_norm(\d)\.", r"\1norm\2."),
        (r"^(mask_decoder\.transformer\.)layer_norm_final_attn\.", r"\1norm_final_attn."),
        (r"^(mask_decoder\..*(?:mlps\.\d|head))\.layers\.0\.", r"\1.layers.1."),
        (r"^(mask_decoder\..*(?:mlps\.\d|head))\.proj_in\.", r"\1.layers.0."),
        (r"^(mask_decoder\..*(?:mlps\.\d|head))\.proj_out\.", r"\1.layers.2."),
    )
)
TIED_POSITIONS = "shared_image_embedding.positional_embedding"
POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"

TOLERATED = re.compile(
    r"pixel_mean|pixel_std"  # constants here
    r"|shared_image_embedding\.positional_embedding"  # tied to the prompt encoder's
    r"|image_encoder\.(norm_head|head)\.(weight|bias)"  # MobileSAM's ImageNet classifier
    r"|image_encoder\..*\.attention_bias_idxs"  # indices, computed here
)
"""Names that carry no information for us; dropped without a word."""


@dataclass(frozen=True, slots=True)
class Named:
    """Tensors under their published names, and what else the file holds.

    Parameters
    ----------
    tensors
        Published name -> declared tensor.
    unused
        Parts of the file that the model does not need, such as "decoder_state".
    notes
        What was done to the names, one sentence each.
    """

    tensors: Mapping[str, Any]
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def unwrapped(tree: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The dict of tensors inside a saved object, and the names of everything beside it.

    Raises
    ------
    CheckpointError
        If there is none, or if it holds other Python objects than tensors.
    """
    unused: list[str] = []
    for _ in range(MAX_WRAPPERS):
        if not isinstance(tree, dict):
            break
        wrapper = next((key for key in WRAPPERS if isinstance(tree.get(key), dict)), None)
        if wrapper is None:
            break
        unused += [_label(key) for key in tree if key != wrapper]
        tree = tree[wrapper]
    if isinstance(tree, Foreign):
        raise CheckpointError(
            f"Expected tensors by name, found a Python object {shown(tree.name)}, which is never "
            "unpickled: load it where it was made and save its state_dict(), best as safetensors."
        )
    if not isinstance(tree, dict) or not tree:
        raise CheckpointError(
            f"Expected tensors by name, found {type(tree).__name__}"
            f"{'' if tree else ' without content'}: save model.state_dict(), best as safetensors."
        )
    if len(tree) > MAX_TENSORS:
        raise CheckpointError(
            f"Expected some hundred tensors, found {len(tree)}: this is no Segment Anything file."
        )
    tensors = {}
    for key, value in tree.items():
        if isinstance(value, Foreign):
            raise CheckpointError(
                f"Expected nothing but tensors, found a Python object {shown(value.name)} at "
                f"{shown(key)}, which is never unpickled: save the state dict alone."
            )
        if len(key) <= MAX_NAME and hasattr(value, "shape"):
            tensors[key] = value
        else:
            unused.append(_label(key))
    if not tensors:
        raise CheckpointError(
            f"Expected tensors by name, found no tensor but {shown(', '.join(unused[:6]))}: save "
            "model.state_dict(), best as safetensors."
        )
    return tensors, tuple(unused)


def _label(key: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in key[:MAX_NAME])


def published_names(tensors: Mapping[str, Any], unused: tuple[str, ...]) -> Named:
    """Strip prefixes, translate Hugging Face's names and drop what carries nothing.

    Raises
    ------
    CheckpointError
        If two tensors end up under one name.
    """
    notes: list[str] = []
    renamed: dict[str, Any] = {}
    hugging_face = any(name.startswith(HUGGING_FACE_MARK) for name in tensors)
    for name, tensor in tensors.items():
        short = name
        while prefix := next((prefix for prefix in PREFIXES if short.startswith(prefix)), None):
            short = short.removeprefix(prefix)
        if hugging_face:
            for pattern, replacement in HUGGING_FACE:
                short = pattern.sub(replacement, short)
        if short in renamed:
            raise CheckpointError(
                f"Expected each tensor once, found {shown(short)} twice (as {shown(name)} and "
                "without its prefix): keep one of them in the file."
            )
        renamed[short] = tensor
    if hugging_face:
        notes.append("Hugging Face names were translated.")
        if POSITIONS not in renamed and TIED_POSITIONS in renamed:
            renamed[POSITIONS] = renamed[TIED_POSITIONS]
    kept = {name: tensor for name, tensor in renamed.items() if not TOLERATED.fullmatch(name)}
    return Named(kept, unused, tuple(notes))
