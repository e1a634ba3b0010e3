"""The real model, so small that it is built and run in milliseconds."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam_plugins.model.sam import Sam
    from sam_plugins.predictor import TorchSegmenter

__all__ = ["tiny_sam", "tiny_segmenter"]


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
        model = Sam(encoder, embed_dim=16, decoder_heads=2, decoder_mlp_dim=16)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()


def tiny_segmenter(seed: int = 0, **options: Any) -> "TorchSegmenter":
    """A `TorchSegmenter` around `tiny_sam`; `options` are its keyword arguments."""
    from sam_plugins.predictor import TorchSegmenter

    return TorchSegmenter(tiny_sam(seed), name="tiny", **options)
