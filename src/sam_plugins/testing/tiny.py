"""The real model, so small that it is built and run in milliseconds."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sam_plugins.model.common import PromptableModel
    from sam_plugins.model.nano import Nano
    from sam_plugins.model.sam import Sam
    from sam_plugins.predictor import TorchSegmenter

__all__ = ["tiny_nano", "tiny_sam", "tiny_segmenter"]

_Model = TypeVar("_Model", bound="PromptableModel")


def tiny_sam(seed: int = 0) -> "Sam":
    """SAM for images of 64 pixels, with random weights, none of them zero.

    Its answers mean nothing; they depend on every prompt and pixel as those of a large one do.
    """
    import torch

    from sam_plugins.model.image_encoder import ImageEncoderViT
    from sam_plugins.model.sam import Sam

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = ImageEncoderViT(
            img_size=64,
            embed_dim=16,
            depth=2,
            num_heads=2,
            global_attn_indexes=(1,),
            window_size=3,
            out_chans=16,
        )
        return _shaken(Sam(encoder, embed_dim=16, decoder_heads=2, decoder_mlp_dim=16))


def tiny_nano(seed: int = 0) -> "Nano":
    """`nano` for images of 64 pixels, as small and as random as `tiny_sam`."""
    import torch

    from sam_plugins.model.nano import Nano

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Nano(
            image_size=64,
            widths=(6, 8, 16, 24),
            depths=(1, 1, 1),
            width=24,
            affinity=12,
            groups=2,
            heads=2,
        )
        return _shaken(model)


def tiny_segmenter(model: "PromptableModel | None" = None, **options: Any) -> "TorchSegmenter":
    """A `TorchSegmenter` around a model, `tiny_sam` by default; `options` are its own."""
    from sam_plugins.predictor import TorchSegmenter

    return TorchSegmenter(tiny_sam() if model is None else model, **{"name": "tiny"} | options)


def _shaken(model: _Model) -> _Model:
    """The model with noise on every parameter, so that none keeps the zero it starts from."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()
