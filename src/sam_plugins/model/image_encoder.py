"""The image encoder of SAM: a plain vision transformer with mostly windowed attention.

Segment Anything (Kirillov et al. 2023, appendix A): an MAE-trained ViT (Li et al. 2022, "Exploring
plain vision transformer backbones"), 14 x 14 windows but for four blocks of global attention,
decomposed relative positions (Li et al. 2022, MViTv2), and a neck that maps to 256 channels.
Token maps are (B, H, W, C) throughout.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import LayerNorm2d, MLPBlock

__all__ = ["ImageEncoderViT", "by_distance"]

_BIAS_ELEMENTS = 1 << 23
"""Positional biases held at a time, 32 MB, so that they stay in a processor's cache.

A global block of ViT-B has 24 times as many for one image; held whole it takes twice as long.
"""


class ImageEncoderViT(nn.Module):
    """Pixels to a feature map of one sixteenth of their side.

    Parameters
    ----------
    img_size
        Side S of the square input in pixels, a multiple of `patch_size`.
    embed_dim, depth, num_heads
        Width, number of blocks, heads per block.
    global_attn_indexes
        The blocks whose tokens see the whole image; all others see one window.
    window_size
        Side of a window in tokens.
    patch_size
        Pixels per token and axis.
    mlp_ratio
        Hidden width of a block's MLP over `embed_dim`.
    out_chans
        Channels of the result.
    """

    def __init__(
        self,
        *,
        img_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        global_attn_indexes: tuple[int, ...],
        window_size: int = 14,
        patch_size: int = 16,
        mlp_ratio: float = 4.0,
        out_chans: int = 256,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        grid = img_size // patch_size
        self.patch_embed = PatchEmbed(embed_dim, patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, embed_dim))
        self.blocks = nn.Sequential(
            *(
                Block(
                    embed_dim,
                    num_heads,
                    int(embed_dim * mlp_ratio),
                    grid,
                    None if index in global_attn_indexes else window_size,
                )
                for index in range(depth)
            )
        )
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dim, out_chans, kernel_size=1, bias=False),
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) normalised pixels to (B, out_chans, S / 16, S / 16)."""
        tokens = self.blocks(self.patch_embed(pixels) + self.pos_embed)
        features: Tensor = self.neck(tokens.permute(0, 3, 1, 2))
        return features.contiguous()


class PatchEmbed(nn.Module):
    """One token per patch: (B, 3, S, S) to (B, H, W, C)."""

    def __init__(self, embed_dim: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, H, W, C)."""
        tokens: Tensor = self.proj(pixels)
        return tokens.permute(0, 2, 3, 1)


class Block(nn.Module):
    """Attention and MLP, each behind a norm and around a residual.

    `window_size` None attends over the whole `grid`.
    """

    def __init__(
        self, dim: int, num_heads: int, mlp_dim: int, grid: int, window_size: int | None
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = RelativeAttention(dim, num_heads, window_size or grid)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLPBlock(dim, mlp_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        x = x + self._attend(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result

    def _attend(self, x: Tensor) -> Tensor:
        if self.window_size is None:
            whole: Tensor = self.attn(x)
            return whole
        windows = self.attn(_to_windows(x, self.window_size))
        return _from_windows(windows, x.shape[0], x.shape[1], x.shape[2])


class RelativeAttention(nn.Module):
    """Self-attention over a square token map whose logits depend on the distance along each axis.

    ``logit(i, j) = q_i . k_j / sqrt(d) + q_i . rel_pos_h[y_i - y_j] + q_i . rel_pos_w[x_i - x_j]``;
    the query of the last two terms is not scaled.
    """

    def __init__(self, dim: int, num_heads: int, grid: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid - 1, dim // num_heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid - 1, dim // num_heads))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; rows are taken in groups to bound the memory."""
        batch, height, width, _ = x.shape
        qkv = self.qkv(x).view(batch, height * width, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        row_bias = batch * self.num_heads * width * height * width
        rows = max(1, _BIAS_ELEMENTS // row_bias)
        along_y, along_x = by_distance(self.rel_pos_h), by_distance(self.rel_pos_w)
        parts = []
        groups = zip(torch.split(q, rows * width, 2), torch.split(along_y, rows), strict=True)
        for queries, table in groups:
            grouped = queries.reshape(batch, self.num_heads, -1, width, queries.shape[-1])
            bias = _positional_bias(grouped, table, along_x)
            parts.append(F.scaled_dot_product_attention(queries, k, v, attn_mask=bias))
        out: Tensor = self.proj(torch.cat(parts, 2).transpose(1, 2).reshape(x.shape))
        return out


def by_distance(rel_pos: Tensor) -> Tensor:
    """(2n - 1, d) vectors by distance -> (n, n, d) by query and key position."""
    positions = torch.arange((len(rel_pos) + 1) // 2, device=rel_pos.device)
    return rel_pos[positions[:, None] - positions[None, :] + len(positions) - 1]


def _positional_bias(q: Tensor, along_y: Tensor, along_x: Tensor) -> Tensor:
    """What position adds to the logits of some query rows.

    Parameters
    ----------
    q
        (B, heads, r, W, d), not scaled.
    along_y, along_x
        (r, H, d) and (W, W, d) from `by_distance`.

    Returns
    -------
    (B, heads, r * W, H * W).
    """
    by_row = torch.einsum("bnyxd,ykd->bnyxk", q, along_y)
    by_column = torch.einsum("bnyxd,xkd->bnyxk", q, along_x)
    return (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)


def _to_windows(x: Tensor, size: int) -> Tensor:
    """(B, H, W, C) to (B * windows, size, size, C).

    Zeros fill the bottom and right up to whole windows. They pass through ``qkv`` like any other
    token, so that the published weights expect them among the keys.
    """
    batch, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
    x = x.reshape(batch, x.shape[1] // size, size, x.shape[2] // size, size, channels)
    return x.transpose(2, 3).reshape(-1, size, size, channels)


def _from_windows(windows: Tensor, batch: int, height: int, width: int) -> Tensor:
    """The inverse of `_to_windows`, without the padding: (batch, height, width, C)."""
    size = windows.shape[1]
    across = -(-width // size)
    x = windows.view(batch, -1, across, *windows.shape[1:]).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)[:, :height, :width]
