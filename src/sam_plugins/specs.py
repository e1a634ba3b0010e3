"""One line of data per model variant, and the function that builds a model from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sam_plugins.errors import ModelError

if TYPE_CHECKING:
    import torch

    from sam_plugins.model.common import PromptableModel

__all__ = ["SPECS", "Family", "ModelSpec", "build_model", "spec_named"]

Family: TypeAlias = Literal["vit", "tiny_vit", "nano"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What has to be known to build a model, its weights apart.

    Parameters
    ----------
    name
        The word users choose it by.
    family
        Which classes it is built from.
    image_size
        Side in pixels of the square, padded input of the encoder.
    options
        Keyword arguments of the image encoder ("vit", "tiny_vit") or of the model ("nano").
    """

    name: str
    family: Family
    image_size: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


# fmt: off
SPECS: Mapping[str, ModelSpec] = {spec.name: spec for spec in (
    ModelSpec("nano", "nano", 384),
    ModelSpec("vit_t", "tiny_vit", 1024, {"embed_dims": (64, 128, 160, 320), "depths": (2, 2, 6, 2), "num_heads": (2, 4, 5, 10), "window_sizes": (7, 7, 14, 7)}),  # noqa: E501
    ModelSpec("vit_b", "vit", 1024, {"embed_dim": 768, "depth": 12, "num_heads": 12, "global_attn_indexes": (2, 5, 8, 11)}),  # noqa: E501
    ModelSpec("vit_l", "vit", 1024, {"embed_dim": 1024, "depth": 24, "num_heads": 16, "global_attn_indexes": (5, 11, 17, 23)}),  # noqa: E501
    ModelSpec("vit_h", "vit", 1024, {"embed_dim": 1280, "depth": 32, "num_heads": 16, "global_attn_indexes": (7, 15, 23, 31)}),  # noqa: E501
)}
# fmt: on
"""Every variant by name, smallest first."""


def spec_named(name: str) -> ModelSpec:
    """The variant called `name`.

    Raises
    ------
    ModelError
        If there is none; the message lists those that there are.
    """
    if name in SPECS:
        return SPECS[name]
    close = get_close_matches(name.lower(), SPECS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ModelError(f"Expected a model name among {', '.join(SPECS)}, found {name!r}.{hint}")


def build_model(
    spec: ModelSpec | str, *, device: "torch.device | str" = "cpu"
) -> "PromptableModel":
    """A model in evaluation mode, its parameters still random.

    Parameters
    ----------
    spec
        A variant or its name.
    device
        Where the parameters are made. On "meta" they take neither time nor memory:
        ``load_state_dict(weights, assign=True)`` then puts the weights in their place.

    Raises
    ------
    ModelError
        If no variant has that name.
    """
    import torch

    if isinstance(spec, str):
        spec = spec_named(spec)
    with torch.device(device) as place:
        if place.type != "meta":
            return _build(spec).eval()
        from sam_plugins.model.undrawn import Undrawn

        with Undrawn():
            return _build(spec).eval()


def _build(spec: ModelSpec) -> "PromptableModel":
    from sam_plugins.model.sam import Sam

    if spec.family == "nano":
        from sam_plugins.model.nano import Nano

        return Nano(image_size=spec.image_size, **spec.options)
    if spec.family == "tiny_vit":
        from sam_plugins.model.tiny_vit import TinyViT

        return Sam(TinyViT(img_size=spec.image_size, **spec.options))

    from sam_plugins.model.image_encoder import ImageEncoderViT

    return Sam(ImageEncoderViT(img_size=spec.image_size, **spec.options))
