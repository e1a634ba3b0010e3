"""SAM's vision transformer on a CPU with torch alone: the sums of `ImageEncoderViT`, faster.

Three things differ from the plain path, and none changes a result by more than rounding:

- logits and positional biases are made for one head and some rows of queries at a time, so that
  they are still in the processor's cache when they are used;
- tokens that only fill up windows pass no linear layer: behind a norm they are zero, so that their
  query, key and value are the bias of `qkv`, and what attention gives for them is dropped;
- linear layers hold their weights packed (`sam_plugins.engines.linears`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.device import Numerics
from sam_plugins.engines.linears import (
    Linear,
    packed_linear,
    packed_product,
    packing_works,
    plain_linear,
)
from sam_plugins.model.image_encoder import Block, ImageEncoderViT, by_distance

__all__ = ["TorchViT"]

_LOGITS = 1 << 22
"""Attention logits of a global block held at a time: 16 MB, or 1024 queries of a head of SAM."""

Logits: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchViT:
    """An `ImageEncoder` that computes what `encoder` does.

    Parameters
    ----------
    encoder
        On the CPU. Packing uses it up: each weight is released as soon as its packed copy exists,
        so that a large model is never held twice.
    numerics
        "fp32", or "bf16" for linear layers and attention; norms and the sums along the residual
        path stay float32.
    pack
        Whether to pack where that works. Without it weights are shared with `encoder`.
    """

    def __init__(
        self, encoder: ImageEncoderViT, numerics: Numerics = "fp32", *, pack: bool = True
    ) -> None:
        self._dtype = _DTYPES[numerics]
        self.packed = pack and packing_works(self._dtype)
        self._patch_embed = encoder.patch_embed
        self._pos_embed = encoder.pos_embed.detach()
        self._neck = encoder.neck
        with torch.inference_mode():
            self._blocks = [self._block(block, encoder.pos_embed) for block in encoder.blocks]

    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) float32 to ``{"image_embedding": (B, C, S / 16, S / 16)}`` float32."""
        with torch.inference_mode():
            maps = [self._encode(image[None]) for image in pixels]
            return {"image_embedding": torch.cat(maps).float()}

    def _encode(self, pixels: Tensor) -> Tensor:
        tokens = (self._patch_embed(pixels).float() + self._pos_embed)[0]
        with torch.autocast("cpu", enabled=False):
            for block in self._blocks:
                tokens = block(tokens)
        features: Tensor = self._neck(tokens.permute(2, 0, 1)[None])
        return features

    def _block(self, block: nn.Module, pos_embed: Tensor) -> "_FastBlock":
        if not isinstance(block, Block):
            raise TypeError(f"Expected a block of ImageEncoderViT, found {type(block).__name__}.")
        grid = pos_embed.shape[1]
        attn, mlp, rows = block.attn, block.mlp, grid * grid
        qkv_bias = attn.qkv.bias.detach().to(self._dtype)
        return _FastBlock(
            heads=attn.num_heads,
            packed=self.packed,
            window=block.window_size,
            norm1=block.norm1,
            norm2=block.norm2,
            qkv=self._linear(attn.qkv, rows),
            qkv_bias=qkv_bias,
            proj=self._linear(attn.proj, rows),
            lin1=self._linear(mlp.lin1, rows, gelu=True),
            lin2=self._linear(mlp.lin2, rows),
            along_y=_by_channel(attn.rel_pos_h.detach().to(self._dtype)),
            along_x=_by_channel(attn.rel_pos_w.detach().to(self._dtype)),
        )

    def _linear(self, layer: nn.Linear, rows: int, *, gelu: bool = False) -> Linear:
        if not self.packed:
            return plain_linear(layer, self._dtype, gelu=gelu)
        packed = packed_linear(layer, self._dtype, rows=rows, gelu=gelu)
        layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)
        return packed


@dataclass(frozen=True, slots=True)
class _FastBlock:
    """One block: (H, W, C) float32 tokens to the same.

    `along_y` and `along_x` are (n, d, n): the vector between query and key position, by axis.
    """

    heads: int
    packed: bool
    window: int | None
    norm1: nn.LayerNorm
    norm2: nn.LayerNorm
    qkv: Linear
    qkv_bias: Tensor
    proj: Linear
    lin1: Linear
    lin2: Linear
    along_y: Tensor
    along_x: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        qkv = self.qkv(self.norm1(flat)).view(*x.shape[:2], -1)
        attended = self._whole(qkv) if self.window is None else self._windows(qkv, self.window)
        flat = flat + self.proj(attended.reshape(flat.shape))
        flat = flat + self.lin2(self.lin1(self.norm2(flat)))
        return flat.view(x.shape)

    def _windows(self, qkv: Tensor, size: int) -> Tensor:
        """Attention in windows of `size` tokens a side, one row of windows at a time."""
        height, width, _ = qkv.shape
        across = -(-width // size)
        out = qkv.new_empty(height, width, qkv.shape[2] // 3)
        strip = self.qkv_bias.repeat(size, across * size, 1)
        for top in range(0, height, size):
            part = qkv[top : top + size]
            strip[: len(part), :width] = part
            strip[len(part) :, :width] = self.qkv_bias
            by_window = strip.view(size, across, size, 3, self.heads, -1).permute(3, 1, 4, 0, 2, 5)
            q, k, v = by_window.reshape(3, across * self.heads, size, size, -1)
            bias = (self._by_row(q)[..., :, None] + self._by_column(q)[..., None, :]).flatten(3)
            attended = _attention(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), bias)
            merged = attended.view(across, self.heads, size, size, -1).permute(2, 0, 3, 1, 4)
            merged = merged.reshape(size, across * size, -1)
            out[top : top + size] = merged[: len(part), :width]
        return out

    def _whole(self, qkv: Tensor) -> Tensor:
        """Attention over the whole map, a head and some rows of queries at a time.

        Written out: PyTorch's own kernel takes twice as long, in bfloat16 three times.
        """
        height, width, _ = qkv.shape
        q, k, v = qkv.view(height, width, 3, self.heads, -1).permute(2, 3, 0, 1, 4).contiguous()
        by_row, by_column = self._by_row(q), self._by_column(q)
        queries = (q * q.shape[-1] ** -0.5).flatten(1, 2)
        out = torch.empty_like(queries)
        rows = max(1, min(height, _LOGITS // (width * height * width)))
        for head in range(self.heads):
            keys, values = k[head].flatten(0, 1), v[head].flatten(0, 1)
            logits_of, mixed = self._products(keys, values, rows * width)
            for top in range(0, height, rows):
                part = slice(top, min(top + rows, height))
                tokens = slice(part.start * width, part.stop * width)
                logits = logits_of(
                    queries[head, tokens],
                    by_row[head, part, :, :, None],
                    by_column[head, part, :, None, :],
                )
                out[head, tokens] = mixed(torch.softmax(logits, -1))
        return out.transpose(0, 1)

    def _products(self, keys: Tensor, values: Tensor, rows: int) -> tuple[Logits, Linear]:
        """Queries and their two biases to logits, and the softmax of these to mixed values.

        In bfloat16 the biases are part of the product, so that the sum is rounded once.
        """
        if not self.packed or keys.dtype != torch.float32:

            def added(q: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
                return (by_row + by_column).view(len(q), -1).addmm_(q, keys.t())

            return added, lambda weights: weights @ values

        product = packed_product(keys, rows=rows)

        def multiplied(q: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
            logits = product(q)
            shape = (*by_row.shape[:3], by_column.shape[-1])
            logits.view(shape).add_(by_row).add_(by_column)
            return logits

        return multiplied, packed_product(values.t().contiguous(), rows=rows)

    def _by_row(self, q: Tensor) -> Tensor:
        """(M, H, W, d) queries to (M, H, W, H): what the rows of the keys add to the logits."""
        products = torch.matmul(q.transpose(0, 1).flatten(1, 2), self.along_y)
        return products.view(q.shape[1], q.shape[0], q.shape[2], -1).transpose(0, 1)

    def _by_column(self, q: Tensor) -> Tensor:
        """(M, H, W, d) queries to (M, H, W, W): what the columns of the keys add."""
        products = torch.matmul(q.permute(2, 0, 1, 3).flatten(1, 2), self.along_x)
        return products.view(q.shape[2], q.shape[0], q.shape[1], -1).permute(1, 2, 0, 3)


def _attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """(M, Q, d), (M, K, d) twice and a bias of M * Q * K numbers to (M, Q, d)."""
    mask = bias.reshape(1, q.shape[0], q.shape[1], k.shape[1])
    return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0]


def _by_channel(rel_pos: Tensor) -> Tensor:
    """(2n - 1, d) vectors by distance -> (n, d, n) by query position, channel, key position."""
    return by_distance(rel_pos).transpose(1, 2).contiguous()
