"""Building a model without drawing the initial values that weights replace anyway."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Undrawn"]

_SKIPPED = {
    Tensor.normal_,
    Tensor.uniform_,
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
}


class Undrawn(TorchFunctionMode):
    """While it is entered, random initial values are left as they are.

    On the "meta" device there is nothing to draw, and PyTorch would import its compiler to find
    that out, which takes longer than reading the weights of a small model.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, or do without it if all it does is draw."""
        if func in _SKIPPED:
            return args[0] if args else (kwargs or {})["tensor"]
        if func is torch.randn:
            func = torch.empty
        return func(*args, **kwargs or {})
