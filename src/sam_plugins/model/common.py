"""What every model of the core looks like from outside, and the two layers they share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LayerNorm2d", "MLPBlock", "PromptableModel"]


class PromptableModel(nn.Module, ABC):
    """An image encoder that runs once per image, and a decoder that runs once per prompt.

    Every tensor that a forward pass reads is a parameter or a persistent buffer, or is computed
    on the spot: a model built on the "meta" device is complete after
    ``load_state_dict(..., assign=True)``.

    Attributes
    ----------
    image_size
        Side S in pixels of the square, padded input of the encoder.
    low_res_size
        (h, w) of the logits and of `mask_input`.
    encoder_prefixes
        Parameters whose name starts with one of these decide the features; all others only decide
        how prompts are answered.
    mask_threshold
        A pixel belongs to a mask when its logit is greater.
    pixel_mean, pixel_std
        RGB, on the scale 0..255. Pixels are normalised with them before they are padded with 0.
    """

    image_size: int
    low_res_size: tuple[int, int]
    encoder_prefixes: tuple[str, ...]
    mask_threshold: float = 0.0
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    @abstractmethod
    def encode_image(self, pixels: Tensor) -> dict[str, Tensor]:
        """Encode images.

        Parameters
        ----------
        pixels
            (B, 3, S, S) float RGB, normalised, padded with 0 at the bottom and right.

        Returns
        -------
        name -> (B, c, h, w) feature maps; one or several.
        """

    def image_state(self, features: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`features` and what else is the same for every prompt on this image.

        `decode_prompts` takes the result in place of the features, and answers the same sooner.
        """
        return features

    @abstractmethod
    def decode_prompts(
        self,
        features: Mapping[str, Tensor],
        *,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None,
        mask_input: Tensor | None,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Answer B prompts on one image. Prompts given together belong together, row by row.

        Parameters
        ----------
        features
            name -> (1, c, h, w), as `encode_image` gave for this image.
        point_coords
            (B, N, 2) float32 xy in pixels of the padded model input.
        point_labels
            (B, N), 1 foreground, 0 background, -1 padding that carries no position.
        boxes
            (B, 4) float32 xyxy in pixels of the padded model input.
        mask_input
            (B, 1, h, w) float32 logits of an earlier answer, of `low_res_size`.
        multimask_output
            Three answers for an ambiguous prompt, or one.

        Returns
        -------
        low_res_logits, iou_predictions
            (B, C, h, w) and (B, C); C is 3 or 1.
        """


class LayerNorm2d(nn.Module):
    """Normalises the channels of (B, C, H, W) at each position."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class MLPBlock(nn.Module):
    """Linear, activation, linear: the second half of a transformer block."""

    def __init__(self, dim: int, hidden_dim: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden_dim)
        self.lin2 = nn.Linear(hidden_dim, dim)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same shape."""
        hidden: Tensor = self.act(self.lin1(x))
        result: Tensor = self.lin2(hidden)
        return result
