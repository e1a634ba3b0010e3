"""The encoder of `nano` as an OpenVINO graph: the sums of `NanoEncoder`."""

from typing import Any

import numpy as np

from sam_plugins.engines.openvino_layers import Layers, Node
from sam_plugins.model.nano import NanoEncoder

__all__ = ["NANO_OUTPUTS", "nano_graph"]

NANO_OUTPUTS = ("image_embedding", "affinity", "detail4", "detail2")
"""Names of the graph's outputs, in order."""


def nano_graph(encoder: NanoEncoder, side: int) -> Any:
    """An ``openvino.Model`` from (1, 3, side, side) pixels to the maps of `NANO_OUTPUTS`."""
    make = Layers()
    pixels = make.pixels(side)
    both = make.op.concat([pixels, _standardised(make, pixels)], 1)
    x2 = _conv_norm(make, both, encoder.stem)
    x4 = _stage(make, x2, encoder.stage4)
    x8 = _stage(make, x4, encoder.stage8)
    x16 = _conv_norm(make, x8, encoder.stage16[0])
    for block in list(encoder.stage16)[1:]:
        x16 = _attention_block(make, x16, block, side // 16)
    upper = _double(make, make.convolution(x16, encoder.lateral16))
    p8 = _conv_block(make, make.add(make.convolution(x8, encoder.lateral8), upper), encoder.merge8)
    upper = _double(make, make.convolution(p8, encoder.top4))
    p4 = _conv_block(make, make.add(x4, upper), encoder.merge4)
    maps = {
        "image_embedding": make.channel_norm(p8, encoder.embed),
        "affinity": make.convolution(p4, encoder.affinity),
        "detail4": make.convolution(p4, encoder.detail4),
        "detail2": make.convolution(x2, encoder.detail2),
    }
    return make.model([maps[name] for name in NANO_OUTPUTS], pixels)


def _standardised(make: Layers, pixels: Node) -> Node:
    """The pixels with the picture's own mean and deviation removed, padding left at 0."""
    op = make.op
    channels, places = make.integers(1), make.integers(2, 3)
    is_shown = op.not_equal(pixels, np.float32(0))
    shown = op.convert(op.reduce_logical_or(is_shown, channels, True), np.float32)
    count = op.maximum(op.reduce_sum(shown, places, True), np.float32(1))
    grey = op.reduce_mean(pixels, channels, True)
    mean = op.divide(op.reduce_sum(op.multiply(grey, shown), places, True), count)
    away = op.subtract(grey, mean)
    squares = op.multiply(op.multiply(away, away), shown)
    spread = op.sqrt(op.divide(op.reduce_sum(squares, places, True), count))
    scaled = op.divide(op.subtract(pixels, mean), op.add(spread, np.float32(0.02)))
    return op.clamp(op.multiply(scaled, shown), -5.0, 5.0)


def _double(make: Layers, x: Node) -> Node:
    scales = make.constant(np.array([2, 2], np.float32))
    return make.op.interpolate(
        x, scales, "linear_onnx", "scales", coordinate_transformation_mode="half_pixel",
        axes=make.integers(2, 3),
    )  # fmt: skip


def _conv_norm(make: Layers, x: Node, layer: Any) -> Node:
    return make.gelu(make.batch_norm(make.convolution(x, layer[0]), layer[1]))


def _conv_block(make: Layers, x: Node, block: Any) -> Node:
    normed = make.batch_norm(make.convolution(x, block.depthwise), block.norm)
    hidden = make.gelu(make.convolution(normed, block.expand))
    return make.add(x, make.convolution(hidden, block.project))


def _stage(make: Layers, x: Node, stage: Any) -> Node:
    first, *blocks = stage
    x = _conv_norm(make, x, first)
    for block in blocks:
        x = _conv_block(make, x, block)
    return x


def _attention_block(make: Layers, x: Node, block: Any, side: int) -> Node:
    x = make.add(x, make.convolution(x, block.position))
    channels = block.qkv.in_features
    flat = make.transpose(make.reshape(x, 1, channels, side * side), 0, 2, 1)
    qkv = make.linear(make.layer_norm(flat, block.norm), block.qkv)
    qkv = make.transpose(make.reshape(qkv, 1, side * side, 3, block.heads, -1), 2, 0, 3, 1, 4)
    query, key, value = make.unbind(qkv, 3)
    mixed = make.transpose(make.attention(query, key, value), 0, 2, 1, 3)
    mixed = make.reshape(mixed, 1, side * side, channels)
    flat = make.add(flat, make.linear(mixed, block.out))
    whole = make.reshape(make.transpose(flat, 0, 2, 1), 1, channels, side, side)
    return _conv_block(make, whole, block.block)
