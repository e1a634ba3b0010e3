"""Tokens and image embedding to masks and their predicted quality (appendix A of the paper)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import LayerNorm2d
from sam_plugins.model.transformer import TwoWayTransformer

__all__ = ["MaskDecoder"]


class MaskDecoder(nn.Module):
    """Four masks per prompt: one answer, and three for a prompt that is ambiguous.

    Parameters
    ----------
    dim
        Channels C of the image embedding and of every token.
    depth, num_heads, mlp_dim
        Of the two-way transformer.
    """

    def __init__(self, dim: int, depth: int, num_heads: int, mlp_dim: int) -> None:
        super().__init__()
        masks = 4
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(masks, dim)
        self.transformer = TwoWayTransformer(depth, dim, num_heads, mlp_dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim, dim // 8) for _ in range(masks)
        )
        self.iou_prediction_head = MLP(dim, 256, 256, masks)

    def forward(
        self,
        image_embedding: Tensor,
        positions: Tensor,
        sparse: Tensor,
        dense: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode B prompts.

        Parameters
        ----------
        image_embedding, positions
            (1, C, h, w) both.
        sparse, dense
            (B, T, C) and (B, C, h, w) or (1, C, 1, 1), of the prompt encoder.
        multimask_output
            Three answers or one.

        Returns
        -------
        low_res_logits, iou_predictions
            (B, 3 or 1, 4h, 4w) and (B, 3 or 1).
        """
        size = image_embedding.shape[-2:]
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(len(sparse), -1, -1), sparse), dim=1)
        image = (image_embedding + dense).flatten(2).transpose(1, 2)
        tokens, image = self.transformer(tokens, image, positions.flatten(2).transpose(1, 2))

        upscaled = self.output_upscaling(image.transpose(1, 2).unflatten(2, size))
        answers = (1, 2, 3) if multimask_output else (0,)
        kernels = torch.stack(
            [self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in answers], dim=1
        )
        logits = (kernels @ upscaled.flatten(2)).unflatten(2, upscaled.shape[-2:])
        return logits, self.iou_prediction_head(tokens[:, 0])[:, answers]


class MLP(nn.Module):
    """Linear layers of the given widths with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """(..., first width) to (..., last width)."""
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        result: Tensor = last(x)
        return result
