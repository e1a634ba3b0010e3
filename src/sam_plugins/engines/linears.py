"""Linear layers with weights packed for this processor by oneDNN, where PyTorch can do that.

PyTorch multiplies float32 matrices with MKL, which reaches half of what oneDNN gets from some
processors, and packs the weights anew at every call. The operations that pack once belong to
PyTorch's compiler and are not public, so that they are tried on small numbers before use.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Linear", "packed_linear", "packed_product", "packing_works", "plain_linear"]

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""(rows, in) of any floating type -> (rows, out) of the type the layer computes in."""

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}

_log = logging.getLogger(__name__)


def plain_linear(layer: nn.Linear, dtype: torch.dtype, *, gelu: bool = False) -> Linear:
    """`layer` as PyTorch computes it, in `dtype`, sharing its weights; GELU follows on request."""

    def apply(x: Tensor) -> Tensor:
        y = F.linear(x.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))
        return F.gelu(y) if gelu else y

    return apply


def packed_linear(layer: nn.Linear, dtype: torch.dtype, *, rows: int, gelu: bool = False) -> Linear:
    """`layer` with its own, packed copy of the weights; GELU is part of the product on request.

    Parameters
    ----------
    layer
        With a bias, on the CPU.
    dtype
        float32 or bfloat16.
    rows
        For how many rows at a time the weights are arranged; any other number is slower.
    gelu
        Whether the exact GELU follows.

    Raises
    ------
    RuntimeError, AttributeError
        If this PyTorch cannot do it; `packing_works` says so beforehand.
    """
    operations: Any = torch.ops.mkldnn
    weight = layer.weight.detach().to(dtype).contiguous()
    packed = operations._reorder_linear_weight(weight, rows)
    bias = layer.bias.detach().to(dtype)
    after: tuple[str, list[Any], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def apply(x: Tensor) -> Tensor:
        y: Tensor = operations._linear_pointwise(x.to(dtype).contiguous(), packed, bias, *after)
        return y

    return apply


def packed_product(matrix: Tensor, *, rows: int) -> Linear:
    """``x @ matrix.T`` for x of the same type, `rows` rows at a time; see `packed_linear`."""
    operations: Any = torch.ops.mkldnn
    packed = operations._reorder_linear_weight(matrix, rows)

    def apply(x: Tensor) -> Tensor:
        y: Tensor = operations._linear_pointwise(x, packed, None, "none", [], "")
        return y

    return apply


@lru_cache
def packing_works(dtype: torch.dtype) -> bool:
    """Whether packed layers exist here and give what plain ones give, tried on small layers."""
    try:
        return all(_agrees(dtype, gelu) for gelu in (False, True))
    except Exception as error:
        _log.info("Linear layers stay unpacked in %s: %s", dtype, error)
        return False


@torch.inference_mode()
def _agrees(dtype: torch.dtype, gelu: bool) -> bool:
    # Nothing is drawn at random: the caller's random numbers are to stay the caller's.
    layer, rows = nn.Linear(48, 32, device="meta"), 24
    layer.weight = nn.Parameter(torch.linspace(-1, 1, 48 * 32).view(32, 48).cos() / 7)
    layer.bias = nn.Parameter(torch.linspace(-1, 1, 32))
    x = torch.linspace(-3, 3, rows * 48).view(rows, 48).sin()
    packed = packed_linear(layer, dtype, rows=rows, gelu=gelu)(x)
    plain = plain_linear(layer, dtype, gelu=gelu)(x)
    matrix = layer.weight.to(dtype)
    product = packed_product(matrix, rows=rows)(x.to(dtype))
    agrees = _equal(packed, plain) and _equal(product, x.to(dtype) @ matrix.t())
    if not agrees:
        _log.warning(
            "Linear layers stay unpacked in %s: packed ones give other numbers with PyTorch %s.",
            dtype,
            torch.__version__,
        )
    return agrees


def _equal(found: Tensor, expected: Tensor) -> bool:
    tolerance = _TOLERANCE[expected.dtype]
    return found.dtype == expected.dtype and torch.allclose(
        found.float(), expected.float(), atol=tolerance, rtol=tolerance
    )
