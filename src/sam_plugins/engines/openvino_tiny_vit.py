"""MobileSAM's encoder as an OpenVINO graph: the sums of `TinyViT`."""

from typing import Any

from torch import nn

from sam_plugins.engines.openvino_layers import Layers, Node
from sam_plugins.engines.openvino_vit import neck
from sam_plugins.model.tiny_vit import TinyViT

__all__ = ["tiny_vit_graph"]


def tiny_vit_graph(encoder: TinyViT) -> Any:
    """An ``openvino.Model`` from (1, 3, S, S) pixels to (1, out_chans, S / 16, S / 16)."""
    make, side = Layers(), encoder.img_size
    pixels = make.pixels(side)
    first, _, second = encoder.patch_embed.seq
    x = _conv_bn(make, make.gelu(_conv_bn(make, pixels, first)), second)
    side //= 4
    stage: Any
    for stage in encoder.layers:
        for block in stage.blocks:
            x = _attention(make, x, block, side) if hasattr(block, "attn") else _mb(make, x, block)
        if stage.downsample is not None:
            x = _merge(make, x, stage.downsample)
            side = -(-side // stage.downsample.conv2.c.stride[0])
    return make.model([neck(make, x, encoder.neck)], pixels)


def _conv_bn(make: Layers, x: Node, layer: Any) -> Node:
    return make.batch_norm(make.convolution(x, layer.c), layer.bn)


def _merge(make: Layers, x: Node, merge: Any) -> Node:
    x = make.gelu(_conv_bn(make, x, merge.conv1))
    x = make.gelu(_conv_bn(make, x, merge.conv2))
    return _conv_bn(make, x, merge.conv3)


def _mb(make: Layers, x: Node, block: Any) -> Node:
    return make.gelu(make.add(x, _merge(make, x, block)))


def _attention(make: Layers, x: Node, block: Any, side: int) -> Node:
    """(1, C, side, side) to the same; norms see rows of tokens (see `openvino_vit`)."""
    dim = block.attn.qkv.in_features
    attended = _windows(make, make.transpose(x, 0, 2, 3, 1), block.attn, side, block.window_size)
    x = make.add(x, make.transpose(attended, 0, 3, 1, 2))
    tokens = make.reshape(_conv_bn(make, x, block.local_conv), 1, dim, side * side)
    tokens = make.transpose(tokens, 0, 2, 1)
    hidden = make.linear(make.layer_norm(tokens, block.mlp.norm), block.mlp.fc1)
    tokens = make.add(tokens, make.linear(make.gelu(hidden), block.mlp.fc2))
    return make.reshape(make.transpose(tokens, 0, 2, 1), 1, dim, side, side)


def _windows(make: Layers, x: Node, attn: Any, side: int, size: int) -> Node:
    """Attention within windows, (1, side, side, C) to the same; zeros before the norm fill up."""
    across = -(-side // size)
    missing, heads = across * size - side, attn.num_heads
    linear: nn.Linear = attn.qkv
    filled = make.padded(x, missing, missing)
    x = make.layer_norm(make.reshape(filled, 1, (across * size) ** 2, -1), attn.norm)
    qkv = make.reshape(make.linear(x, linear), across, size, across, size, heads, 3, -1)
    qkv = make.transpose(qkv, 5, 0, 2, 4, 1, 3, 6)
    qkv = make.reshape(qkv, 3, across * across, heads, size * size, linear.in_features // heads)
    query, key, value = make.unbind(qkv, 3)
    attended = make.attention(query, key, value, make.weights(attn._bias()[None]))
    merged = make.reshape(attended, across, across, heads, size, size, -1)
    merged = make.transpose(merged, 0, 3, 1, 4, 2, 5)
    merged = make.linear(make.reshape(merged, 1, across * size, across * size, -1), attn.proj)
    return make.cropped(merged, side, side) if missing else merged
