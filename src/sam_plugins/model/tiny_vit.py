"""The image encoder of MobileSAM (``vit_t``): convolutions first, then windowed attention.

Sources: Zhang et al., *Faster Segment Anything* (arXiv 2306.14289); Wu et al., *TinyViT* (ECCV
2022). Tensor names and shapes are those of the published ``mobile_sam.pt``, so that the file loads
without conversion.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import LayerNorm2d

__all__ = ["UNUSED_TENSORS", "TinyViT"]

UNUSED_TENSORS = ("norm_head.weight", "norm_head.bias", "head.weight", "head.bias")
"""Tensors of the published encoder that no forward pass reads: the ImageNet classifier that it was
pre-trained with. `TinyViT` does not hold them and passes over them when they are loaded."""


class TinyViT(nn.Module):
    """Pixels to an image embedding at 1/16 of their size.

    The patch embedding halves the size twice, the merges after stages 0 and 1 once each, and the
    merge after stage 2 keeps it. Stage 0 is convolutional; 1 to 3 attend within windows.

    Parameters
    ----------
    img_size
        Side in pixels of the square model input, a multiple of 16. The weights do not depend on it.
    embed_dims, depths
        Channels and blocks of the four stages.
    num_heads, window_sizes
        Attention heads and side of the windows, one number per stage; the first is published and
        not used.
    out_chans
        Channels of the embedding.
    """

    def __init__(
        self,
        *,
        img_size: int = 1024,
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (2, 4, 5, 10),
        window_sizes: Sequence[int] = (7, 7, 14, 7),
        out_chans: int = 256,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        self.patch_embed = _PatchEmbed(embed_dims[0])
        stages = []
        for i, (dim, depth) in enumerate(zip(embed_dims, depths, strict=True)):
            blocks: list[nn.Module] = [
                _MBConv(dim) if i == 0 else _AttentionBlock(dim, num_heads[i], window_sizes[i])
                for _ in range(depth)
            ]
            merge = None
            if i + 1 < len(embed_dims):
                merge = _PatchMerging(dim, embed_dims[i + 1], stride=1 if i == 2 else 2)
            stages.append(_Stage(blocks, merge))
        self.layers = nn.ModuleList(stages)
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dims[-1], out_chans, 1, bias=False),
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )
        self.register_load_state_dict_pre_hook(_drop_unused)  # type: ignore[no-untyped-call]

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) normalised RGB, sides multiples of 16, to (B, out_chans, H/16, W/16)."""
        x = self.patch_embed(pixels)
        for stage in self.layers:
            x = stage(x)
        embedding: Tensor = self.neck(x)
        return embedding.contiguous()


def _drop_unused(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    for name in UNUSED_TENSORS:
        state_dict.pop(prefix + name, None)


class _ConvBN(nn.Module):
    """A convolution without bias that divides the size by `stride`, and its BatchNorm."""

    def __init__(
        self, in_chans: int, out_chans: int, kernel_size: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(
            in_chans, out_chans, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_chans)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.bn(self.c(x))
        return normalised


class _PatchEmbed(nn.Module):
    """(B, 3, H, W) to (B, dim, H/4, W/4)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            _ConvBN(3, dim // 2, 3, stride=2), nn.GELU(), _ConvBN(dim // 2, dim, 3, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        patches: Tensor = self.seq(x)
        return patches


class _MBConv(nn.Module):
    """An inverted bottleneck: four times wider, depthwise, narrow again; the sum is activated."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = _ConvBN(dim, 4 * dim)
        self.conv2 = _ConvBN(4 * dim, 4 * dim, 3, groups=4 * dim)
        self.conv3 = _ConvBN(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.conv1(x))
        hidden = F.gelu(self.conv2(hidden))
        return F.gelu(x + self.conv3(hidden))


class _PatchMerging(nn.Module):
    """Changes the number of channels between two stages, and the size by `stride`."""

    def __init__(self, dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _ConvBN(dim, out_dim)
        self.conv2 = _ConvBN(out_dim, out_dim, 3, stride=stride, groups=out_dim)
        self.conv3 = _ConvBN(out_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        merged: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return merged


class _Stage(nn.Module):
    """Blocks of one size, then the merge that leads to the next stage."""

    def __init__(self, blocks: list[nn.Module], downsample: _PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        if self.downsample is not None:
            x = self.downsample(x)
        return x


class _AttentionBlock(nn.Module):
    """Attention within windows, a depthwise convolution across them, and a perceptron."""

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.window_size = window_size
        self.attn = _Attention(dim, num_heads, window_size)
        self.mlp = _Mlp(dim)
        self.local_conv = _ConvBN(dim, dim, 3, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = x + self._attend(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        tokens: Tensor = self.local_conv(x).permute(0, 2, 3, 1)
        tokens = tokens + self.mlp(tokens)
        return tokens.permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        # Zeros fill the windows at the bottom and right. They are normalised like any token, so
        # that they become the bias of the norm, and every token of the window attends to them.
        batch, height, width, channels = x.shape
        side = self.window_size
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        windows = x.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
        windows = self.attn(windows.reshape(-1, side * side, channels))
        x = windows.reshape(batch, rows, columns, side, side, channels).transpose(2, 3)
        x = x.reshape(batch, rows * side, columns * side, channels)
        return x[:, :height, :width]


class _Attention(nn.Module):
    """Multi-head attention with one learnt bias per head and distance (|dy|, |dx|)."""

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window_size**2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, window_size ** 2, dim) to the same shape."""
        batch, tokens, dim = x.shape
        # Each head's query, key and value lie side by side in the output of `qkv`.
        qkv = self.qkv(self.norm(x)).view(batch, tokens, self.num_heads, 3, -1)
        query, key, value = qkv.permute(3, 0, 2, 1, 4)
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=self._bias())
        projected: Tensor = self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))
        return projected

    def _bias(self) -> Tensor:
        """(num_heads, tokens, tokens): column ``|dy| * window_size + |dx|`` of the table."""
        axis = torch.arange(self.window_size, device=self.attention_biases.device)
        distance = (axis[:, None] - axis).abs()
        index = distance[:, None, :, None] * self.window_size + distance[None, :, None, :]
        bias: Tensor = self.attention_biases[:, index.flatten(2).flatten(0, 1)]
        return bias


class _Mlp(nn.Module):
    """Norm, four times wider, GELU, back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same shape."""
        projected: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return projected
