"""Layers of a torch module as nodes of an OpenVINO graph that share the module's weights.

Graphs are built from the weights directly. Tracing the torch model instead takes seconds to minutes
in which Python stands still; building takes a fraction of a second and leaves only the compiler.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Layers", "Node"]

Node: TypeAlias = Any
"""A node of an OpenVINO graph with one output. OpenVINO is optional and has no usable types."""


class Layers:
    """Makes nodes. Parameters named `layer` are the torch modules whose sums they stand for."""

    def __init__(self) -> None:
        self.op: Any = import_module("openvino.opset13")

    def model(self, outputs: Sequence[Node], pixels: Node) -> Any:
        """The whole graph as an ``openvino.Model`` with these outputs, in order."""
        model: Any = import_module("openvino").Model
        return model([self.op.result(output) for output in outputs], [pixels], "image_encoder")

    def pixels(self, side: int) -> Node:
        """The input, (1, 3, side, side) float32."""
        return self.op.parameter([1, 3, side, side], np.float32, name="pixels")

    def weights(self, tensor: Tensor) -> Node:
        """A constant that shares the tensor's memory where it is contiguous, as parameters are."""
        return self.constant(tensor.detach().float().contiguous().numpy())

    def constant(self, values: NDArray[Any]) -> Node:
        """A constant that shares the array's memory and keeps the array alive."""
        return self.op.constant(values, shared_memory=True)

    def integers(self, *values: int) -> Node:
        """A constant (n,) of int64."""
        return self.op.constant(np.array(values, np.int64))

    def convolution(self, x: Node, layer: nn.Conv2d) -> Node:
        """(1, C, H, W) to (1, D, h, w), plain or depthwise, with its bias if it has one."""
        stride, padding = list(layer.stride), [int(side) for side in layer.padding]
        weight, common = layer.weight, (stride, padding, padding, [1, 1])
        if layer.groups == 1:
            y = self.op.convolution(x, self.weights(weight), *common)
        else:
            grouped = weight.view(layer.groups, -1, *weight.shape[1:])
            y = self.op.group_convolution(x, self.weights(grouped), *common)
        if layer.bias is None:
            return y
        return self.op.add(y, self.weights(layer.bias.view(1, -1, 1, 1)))

    def linear(self, x: Node, layer: nn.Linear, *, bias: bool = True) -> Node:
        """(..., C) to (..., D); `bias` False leaves it to the caller."""
        y = self.op.matmul(x, self.weights(layer.weight), False, True)
        return self.op.add(y, self.weights(layer.bias)) if bias else y

    def layer_norm(self, x: Node, layer: nn.LayerNorm) -> Node:
        """Over the last axis of (..., C)."""
        y = self.op.mvn(x, self.integers(-1), True, layer.eps, "inside_sqrt")
        return self.op.add(
            self.op.multiply(y, self.weights(layer.weight)), self.weights(layer.bias)
        )

    def channel_norm(self, x: Node, layer: Any) -> Node:
        """`LayerNorm2d`: over the channels of (1, C, H, W)."""
        y = self.op.mvn(x, self.integers(1), True, layer.eps, "inside_sqrt")
        weight, bias = (self.weights(t.view(1, -1, 1, 1)) for t in (layer.weight, layer.bias))
        return self.op.add(self.op.multiply(y, weight), bias)

    def batch_norm(self, x: Node, layer: nn.BatchNorm2d) -> Node:
        """With the running statistics, over (1, C, H, W)."""
        parts = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        return self.op.batch_norm_inference(
            x, *(self.weights(part) for part in parts if part is not None), layer.eps
        )

    def gelu(self, x: Node) -> Node:
        """The exact GELU."""
        return self.op.gelu(x, "ERF")

    def add(self, x: Node, y: Node) -> Node:
        """Sum, broadcast as in NumPy."""
        return self.op.add(x, y)

    def reshape(self, x: Node, *shape: int) -> Node:
        """The same numbers in another shape; no side is 0."""
        return self.op.reshape(x, self.integers(*shape), False)

    def transpose(self, x: Node, *order: int) -> Node:
        """Axes in another order."""
        return self.op.transpose(x, self.integers(*order))

    def padded(self, x: Node, rows: int, columns: int) -> Node:
        """(1, H, W, C) with zeros below and at the right."""
        if not rows and not columns:
            return x
        before, after = self.integers(0, 0, 0, 0), self.integers(0, rows, columns, 0)
        return self.op.pad(x, before, after, "constant", np.float32(0))

    def cropped(self, x: Node, rows: int, columns: int) -> Node:
        """The first rows and columns of (1, H, W, C)."""
        stop, step, axes = self.integers(rows, columns), self.integers(1, 1), self.integers(1, 2)
        return self.op.slice(x, self.integers(0, 0), stop, step, axes)

    def split(self, x: Node, axis: int, parts: int) -> list[Node]:
        """Equal parts along an axis, which keeps its place."""
        return list(self.op.split(x, np.int64(axis), parts).outputs()) if parts > 1 else [x]

    def unbind(self, x: Node, parts: int) -> list[Node]:
        """The parts of the first axis, without it."""
        return [self.op.squeeze(part, self.integers(0)) for part in self.split(x, 0, parts)]

    def attention(self, q: Node, k: Node, v: Node, bias: Node | None = None) -> Node:
        """(B, heads, N, d) three times, and what is added to the logits, to (B, heads, N, d)."""
        bias_given = () if bias is None else (bias,)
        return self.op.scaled_dot_product_attention(q, k, v, *bias_given)
