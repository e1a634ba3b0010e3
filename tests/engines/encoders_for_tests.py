"""Small encoders of every family whose every parameter counts."""

import copy

import torch

from sam_plugins.model.image_encoder import ImageEncoderViT
from sam_plugins.model.nano import Nano
from sam_plugins.model.sam import Sam
from sam_plugins.model.tiny_vit import TinyViT


def shaken(model, seed=0, scale=0.05):
    """The model in evaluation mode, with noise on every parameter and statistic."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=generator) * scale)
    return model.eval()


def small_vit(img_size=112, window_size=3, **options):
    """A grid of 7 x 7: windows of 3 need padding, windows of 7 none, and one block is global."""
    settings = {"embed_dim": 32, "depth": 3, "num_heads": 2, "global_attn_indexes": (1,)}
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=img_size, window_size=window_size, out_chans=16, **(settings | options)
    )
    return shaken(encoder, scale=0.2)


def small_tiny_vit(img_size=80):
    torch.manual_seed(0)
    return shaken(
        TinyViT(
            img_size=img_size,
            embed_dims=(8, 16, 24, 32),
            depths=(1, 1, 2, 1),
            num_heads=(1, 2, 3, 4),
            window_sizes=(3, 3, 4, 2),
            out_chans=16,
        )
    )


def small_models():
    """Name -> a model of each family, made anew."""
    torch.manual_seed(0)
    nano = Nano(image_size=64, widths=(6, 8, 16, 24), depths=(1, 1, 2), width=24, groups=2, heads=2)
    sizes = {"embed_dim": 16, "decoder_heads": 2, "decoder_mlp_dim": 16}
    return {
        "vit": Sam(small_vit(), **sizes).eval(),
        "tiny_vit": Sam(small_tiny_vit(), **sizes).eval(),
        "nano": shaken(nano),
    }


def pixels_for(model, count=1, shown=None):
    """(count, 3, S, S) normalised noise, 0 outside the (height, width) that is shown."""
    side = model.img_size if hasattr(model, "img_size") else model.image_size
    pixels = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))
    if shown is not None:
        pixels[:, :, shown[0] :] = 0
        pixels[:, :, :, shown[1] :] = 0
    return pixels


def copy_of(model):
    """For an engine that uses up what it is given."""
    return copy.deepcopy(model)
