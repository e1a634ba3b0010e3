"""SAM's vision transformer as an OpenVINO graph: the sums of `ImageEncoderViT`."""

from collections.abc import Sequence
from typing import Any

import torch

from sam_plugins.engines.openvino_layers import Layers, Node
from sam_plugins.model.image_encoder import ImageEncoderViT, by_distance

__all__ = ["vit_graph"]

_BIAS_ELEMENTS = 1 << 25
"""Positional biases of a global block held at a time, 128 MB in float32: two heads of SAM's.

Held whole they take more memory than ViT-B and are no faster.
"""


def vit_graph(encoder: ImageEncoderViT) -> Any:
    """An ``openvino.Model`` from (1, 3, S, S) pixels to (1, out_chans, S / 16, S / 16)."""
    make = Layers()
    pixels = make.pixels(encoder.img_size)
    x = make.convolution(pixels, encoder.patch_embed.proj)
    grid, dim = encoder.pos_embed.shape[2:]
    # Tokens lie in one row, not in a map: OpenVINO would take the map for a picture, and turn its
    # channels to the front and back again at every norm, a fifth of the time.
    x = make.transpose(make.reshape(x, 1, dim, grid * grid), 0, 2, 1)
    x = make.add(x, make.weights(encoder.pos_embed.flatten(1, 2)))
    for block in encoder.blocks:
        x = _block(make, x, block, grid)
    x = make.reshape(make.transpose(x, 0, 2, 1), 1, dim, grid, grid)
    return make.model([neck(make, x, encoder.neck)], pixels)


def neck(make: Layers, x: Node, layer: Any) -> Node:
    """Convolution and norm, twice: what brings an encoder's channels to those of the decoder."""
    for convolution, norm in ((layer[0], layer[1]), (layer[2], layer[3])):
        x = make.channel_norm(make.convolution(x, convolution), norm)
    return x


def _block(make: Layers, x: Node, block: Any, grid: int) -> Node:
    """(1, grid * grid, C) to the same."""
    normed = make.layer_norm(x, block.norm1)
    if block.window_size is None:
        attended = _whole(make, normed, block.attn, grid)
    else:
        attended = _windows(make, normed, block.attn, grid, block.window_size)
    x = make.add(x, make.linear(attended, block.attn.proj))
    hidden = make.gelu(make.linear(make.layer_norm(x, block.norm2), block.mlp.lin1))
    return make.add(x, make.linear(hidden, block.mlp.lin2))


def _whole(make: Layers, x: Node, attn: Any, grid: int) -> Node:
    """Attention over the whole map, some heads at a time."""
    heads = attn.num_heads
    qkv = make.reshape(make.linear(x, attn.qkv), 1, grid * grid, 3, heads, -1)
    parts = make.unbind(make.transpose(qkv, 2, 0, 3, 1, 4), 3)
    at_once = max(1, min(heads, _BIAS_ELEMENTS // grid**4))
    while heads % at_once:
        at_once -= 1
    groups = zip(*(make.split(part, 1, heads // at_once) for part in parts), strict=True)
    attended = [_attended(make, group, attn, (1, at_once, grid)) for group in groups]
    together = make.op.concat(attended, 1) if len(attended) > 1 else attended[0]
    return make.reshape(make.transpose(together, 0, 2, 1, 3), 1, grid * grid, -1)


def _windows(make: Layers, x: Node, attn: Any, grid: int, size: int) -> Node:
    """Attention within windows.

    Tokens that fill up windows are zero behind the norm, so that the bias of `qkv`, added after the
    filling, is all that a linear layer would give for them.
    """
    across = -(-grid // size)
    heads, missing = attn.num_heads, across * size - grid
    qkv = make.reshape(make.linear(x, attn.qkv, bias=False), 1, grid, grid, -1)
    qkv = make.padded(qkv, missing, missing)
    qkv = make.add(qkv, make.weights(attn.qkv.bias))
    qkv = make.reshape(qkv, across, size, across, size, 3, heads, -1)
    qkv = make.transpose(qkv, 4, 0, 2, 5, 1, 3, 6)
    qkv = make.reshape(qkv, 3, across * across, heads, size * size, attn.qkv.in_features // heads)
    attended = _attended(make, make.unbind(qkv, 3), attn, (across * across, heads, size))
    merged = make.reshape(attended, across, across, heads, size, size, -1)
    merged = make.transpose(merged, 0, 3, 1, 4, 2, 5)
    merged = make.reshape(merged, 1, across * size, across * size, -1)
    merged = make.cropped(merged, grid, grid) if missing else merged
    return make.reshape(merged, 1, grid * grid, -1)


def _attended(make: Layers, qkv: Sequence[Node], attn: Any, sizes: tuple[int, int, int]) -> Node:
    """Three (B, heads, n * n, d) to the same, with relative positions; `sizes` are B, heads, n."""
    q, k, v = qkv
    batch, heads, side = sizes
    queries = make.reshape(q, batch * heads, side, side, attn.rel_pos_h.shape[1])
    by_row = make.op.matmul(queries, _by_channel(make, attn.rel_pos_h), False, False)
    turned = make.transpose(queries, 0, 2, 1, 3)
    by_column = make.op.matmul(turned, _by_channel(make, attn.rel_pos_w), False, False)
    by_row = make.reshape(by_row, batch, heads, side * side, side, 1)
    by_column = make.transpose(by_column, 0, 2, 1, 3)
    by_column = make.reshape(by_column, batch, heads, side * side, 1, side)
    bias = make.reshape(make.add(by_row, by_column), batch, heads, side * side, side * side)
    return make.attention(q, k, v, bias)


def _by_channel(make: Layers, rel_pos: torch.Tensor) -> Node:
    """(2n - 1, d) vectors by distance -> (n, d, n) by query position, channel, key position."""
    return make.weights(by_distance(rel_pos).transpose(1, 2))
