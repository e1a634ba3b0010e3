"""SAM's vision transformer for accelerators: stock fused attention, no bias ever written out.

The published form adds a matrix of positional biases to the logits of attention: 800 MB for each
global block of ViT-B and one image, which is why fused kernels that take no bias cannot be used.
Two ways around it, both exact:

- "augmented": what a query adds for each row and column of keys is appended to the query, and to
  each key two ones in the places of its row and column. Their product is the sum of both, and any
  flash-attention kernel does it.
- "flex": PyTorch's FlexAttention reads the two small tables while it computes a block of logits.

Windows of all images of a batch go through one call. Tokens that only fill up windows pass no
linear layer: behind a norm they are zero, so that their query, key and value are the bias.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.device import Numerics
from sam_plugins.model.image_encoder import Block, ImageEncoderViT, by_distance

__all__ = ["ATTENTIONS", "AttentionKind", "FusedViT"]

AttentionKind: TypeAlias = Literal["augmented", "flex"]

_DTYPES: Mapping[Numerics, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
_MULTIPLE = 8
"""Flash attention takes heads of a multiple of so many channels."""


class FusedViT(nn.Module):
    """What `ImageEncoderViT` computes, as an `ImageEncoder`.

    Parameters
    ----------
    encoder
        On its device. Weights are copied in another number type and shared in the same one.
    numerics
        "bf16": products and attention in bfloat16, norms and the residual path in float32.
    attention
        Which of `ATTENTIONS`.
    """

    def __init__(
        self,
        encoder: ImageEncoderViT,
        numerics: Numerics = "fp32",
        attention: AttentionKind = "augmented",
    ) -> None:
        super().__init__()
        self._patch_embed = encoder.patch_embed
        self._pos_embed = encoder.pos_embed
        self._neck = encoder.neck
        self._blocks = [
            _FusedBlock(cast("Block", block), _DTYPES[numerics], ATTENTIONS[attention])
            for block in encoder.blocks
        ]

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) float32 to ``{"image_embedding": (B, C, S / 16, S / 16)}`` float32."""
        tokens = self._patch_embed(pixels).float() + self._pos_embed
        for block in self._blocks:
            tokens = block(tokens)
        features: Tensor = self._neck(tokens.permute(0, 3, 1, 2))
        return {"image_embedding": features.float().contiguous()}


class _FusedBlock:
    """One block: (B, H, W, C) float32 tokens to the same."""

    def __init__(self, block: Block, dtype: torch.dtype, attention: "_Attention") -> None:
        attn, mlp = block.attn, block.mlp
        self._heads = attn.num_heads
        self._window = block.window_size
        self._attention = attention
        self._dtype = dtype
        self._norms = (block.norm1, block.norm2)
        self._qkv, self._proj, self._lin1, self._lin2 = (
            (layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))
            for layer in (attn.qkv, attn.proj, mlp.lin1, mlp.lin2)
        )
        self._along_y = by_distance(attn.rel_pos_h.detach().to(dtype))
        self._along_x = by_distance(attn.rel_pos_w.detach().to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        first, second = self._norms
        qkv = F.linear(first(x).to(self._dtype), *self._qkv)
        seen = self._attend(qkv) if self._window is None else self._in_windows(qkv, self._window)
        x = x + F.linear(seen, *self._proj).float()
        hidden = F.gelu(F.linear(second(x).to(self._dtype), *self._lin1))
        return x + F.linear(hidden, *self._lin2).float()

    def _in_windows(self, qkv: Tensor, size: int) -> Tensor:
        batch, height, width, channels = qkv.shape
        down, across = -(-height // size), -(-width // size)
        if height % size or width % size:
            padded = self._qkv[1].expand(batch, down * size, across * size, channels).clone()
            padded[:, :height, :width] = qkv
        else:
            padded = qkv
        windows = padded.view(batch, down, size, across, size, channels).transpose(2, 3)
        seen = self._attend(windows.reshape(-1, size, size, channels))
        merged = seen.view(batch, down, across, size, size, -1).transpose(2, 3)
        return merged.reshape(batch, down * size, across * size, -1)[:, :height, :width]

    def _attend(self, qkv: Tensor) -> Tensor:
        """(M, H, W, 3C) to (M, H, W, C): every token of a map sees all of it."""
        batch, height, width, _ = qkv.shape
        split = qkv.view(batch, height, width, 3, self._heads, -1)
        q, k, v = split.permute(3, 0, 4, 1, 2, 5)
        by_row = torch.einsum("mnyxd,ykd->mnyxk", q, self._along_y).flatten(2, 3)
        by_column = torch.einsum("mnyxd,xkd->mnyxk", q, self._along_x).flatten(2, 3)
        q, k, v = q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3)
        seen = self._attention(q, k, v, by_row, by_column)
        return seen.transpose(1, 2).reshape(batch, height, width, -1)


_Attention: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""q, k, v (M, heads, N, d) and what position adds by row (M, heads, N, H) and column of keys."""


def _augmented(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    rows, columns, width = by_row.shape[-1], by_column.shape[-1], q.shape[-1]
    places = torch.arange(rows * columns, device=q.device)
    marks = torch.cat((F.one_hot(places // columns, rows), F.one_hot(places % columns, columns)), 1)
    fill = -(width + rows + columns) % _MULTIPLE
    queries = F.pad(torch.cat((q * float(width**-0.5), by_row, by_column), -1), (0, fill))
    keys = torch.cat((k, marks.to(k.dtype).expand(*k.shape[:2], -1, -1)), -1)
    keys, values = F.pad(keys, (0, fill)), F.pad(v, (0, rows + columns + fill))
    return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)[..., :width]


def _flex(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    by_row, by_column, columns = by_row.contiguous(), by_column.contiguous(), by_column.shape[-1]

    def placed(score: Tensor, image: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        row, column = key // columns, key % columns
        added = by_row[image, head, query, row] + by_column[image, head, query, column]
        return score + added

    run: Any = flex_attention
    seen: Tensor = run(q, k, v, score_mod=placed)
    return seen


ATTENTIONS: Mapping[AttentionKind, _Attention] = {"augmented": _augmented, "flex": _flex}
"""The exact forms of attention with relative positions; a GPU says which is faster."""
