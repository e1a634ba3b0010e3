"""Prompts to tokens: points, box corners and masks (Segment Anything, appendix A).

Positions are random Fourier features (Tancik et al. 2020), shared by prompts and image.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import LayerNorm2d

__all__ = ["PromptEncoder"]


class PromptEncoder(nn.Module):
    """Sparse tokens for points and boxes, a dense map for a mask.

    Parameters
    ----------
    embed_dim
        Channels C of a token.
    grid
        Side of the image embedding.
    image_size
        Side of the padded model input in pixels.
    mask_channels
        Channels between the two halvings of a mask.
    """

    def __init__(self, embed_dim: int, grid: int, image_size: int, mask_channels: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.grid = grid
        self.image_size = image_size
        self.pe_layer = FourierPositions(embed_dim // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, embed_dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.no_mask_embed = nn.Embedding(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, embed_dim, kernel_size=1),
        )

    def forward(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None,
        mask_input: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Encode B prompts; the arguments are those of `PromptableModel.decode_prompts`.

        Returns
        -------
        sparse, dense
            (B, T, C), T = 0 for a mask alone; (B, C, h, w), or (1, C, 1, 1) without a mask.

        Raises
        ------
        ValueError
            If points come without labels or labels without points.
        """
        if (point_coords is None) != (point_labels is None):
            raise ValueError("point_coords and point_labels are given together or not at all.")
        tokens = []
        if point_coords is not None and point_labels is not None:
            tokens.append(self._embed_points(point_coords, point_labels, pad=boxes is None))
        if boxes is not None:
            tokens.append(self._embed_boxes(boxes))
        if not tokens:
            prompts = 1 if mask_input is None else len(mask_input)
            tokens.append(self.no_mask_embed.weight.new_empty(prompts, 0, self.embed_dim))
        sparse = torch.cat(tokens, dim=1)
        if mask_input is None:
            return sparse, self.no_mask_embed.weight[:, :, None, None]
        return sparse, self.mask_downscaling(mask_input)

    def grid_positions(self) -> Tensor:
        """Position of every cell of the image embedding: (1, C, grid, grid)."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        centres = (
            torch.arange(self.grid, device=matrix.device, dtype=matrix.dtype) + 0.5
        ) / self.grid
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        positions: Tensor = self.pe_layer(torch.stack((x, y), dim=-1))
        return positions.permute(2, 0, 1)[None]

    def _positions(self, coords: Tensor) -> Tensor:
        """(..., 2) xy pixels to (..., C); a pixel's position is its centre."""
        positions: Tensor = self.pe_layer((coords + 0.5) / self.image_size)
        return positions

    def _embed_points(self, coords: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """(B, N, 2) and (B, N) to (B, N or N + 1, C).

        Without a box the published model was trained with one padding point after the others.
        """
        if pad:
            coords, labels = F.pad(coords, (0, 0, 0, 1)), F.pad(labels, (0, 1), value=-1)
        kinds = torch.cat((self.not_a_point_embed.weight, self._kinds()[:2]))
        positions = self._positions(coords).masked_fill((labels == -1)[..., None], 0.0)
        return positions + kinds[labels.long() + 1]

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        """(B, 4) to (B, 2, C): the top left and the bottom right corner."""
        return self._positions(boxes.reshape(-1, 2, 2)) + self._kinds()[2:]

    def _kinds(self) -> Tensor:
        """(4, C): negative point, positive point, top left corner, bottom right corner."""
        return torch.cat(list(self.point_embeddings.parameters()))


class FourierPositions(nn.Module):
    """Points of the unit square to sines and cosines of random frequencies."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, frequencies))

    def forward(self, xy: Tensor) -> Tensor:
        """(..., 2) in 0..1 to (..., 2 * frequencies)."""
        matrix = self.positional_encoding_gaussian_matrix
        angles = 2 * math.pi * ((2 * xy - 1).to(matrix.dtype) @ matrix)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)
