"""Prompts of `nano` as dense maps: what was drawn, and what looks like it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import LayerNorm2d

__all__ = ["PromptPainter", "sample_features"]

DISC_SIGMAS = (5.0, 20.0)
"""Radii of the soft discs drawn at points, in input pixels."""

PLAIN_MAPS = 2 + 2 * len(DISC_SIGMAS)


class PromptPainter(nn.Module):
    """Draws prompts as maps at stride 4 and says how alike every pixel is to what they touch."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.groups = groups
        self.gain = nn.Parameter(torch.full((groups,), 1.0))
        self.maps = PLAIN_MAPS + 3 * groups
        self.down = nn.Conv2d(self.maps, width // 2, 4, 2, 1)
        self.norm = LayerNorm2d(width // 2)
        self.out = nn.Conv2d(width // 2, width, 1)
        self.direct = nn.Conv2d(self.maps, width // 4, 1)

    def unit(self, affinity: Tensor) -> Tensor:
        """(B, A, h, w) features with every group of channels at unit length: (B, G, A/G, h, w)."""
        batch, _, height, width = affinity.shape
        grouped = affinity.reshape(batch, self.groups, -1, height, width)
        return F.normalize(grouped.float(), dim=2, eps=1e-4)

    def forward(
        self,
        unit: Tensor,
        points: Tensor,
        labels: Tensor,
        boxes: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Maps for N prompts.

        Parameters
        ----------
        unit
            (N, G, A/G, h, w) from `unit`, stride 4.
        points, labels
            (N, P, 2) xy input pixels; (N, P) 1, 0 or -1 for padding.
        boxes
            (N, 4) xyxy; rows of NaN have no box.
        mask
            (N, 1, 2h, 2w) earlier logits or None.

        Returns
        -------
        dense, direct
            (N, width, h/2, w/2) and (N, width/4, h, w).
        """
        count, _, _, height, width = unit.shape
        ys = torch.arange(height, device=unit.device, dtype=torch.float32) * 4 + 1.5
        xs = torch.arange(width, device=unit.device, dtype=torch.float32) * 4 + 1.5
        squared = (xs[None, None, None, :] - points[..., 0, None, None]) ** 2 + (
            ys[None, None, :, None] - points[..., 1, None, None]
        ) ** 2
        positive, negative = (labels == 1)[..., None, None], (labels == 0)[..., None, None]
        maps = []
        for sigma in DISC_SIGMAS:
            disc = torch.exp(squared / (-2 * sigma * sigma))
            maps += [(disc * positive).amax(1), (disc * negative).amax(1)]
        has = torch.isfinite(boxes).all(1)[:, None, None]
        x0, y0, x1, y1 = torch.nan_to_num(boxes).T[..., None]
        inside = _inside(ys, y0, y1)[:, :, None] * _inside(xs, x0, x1)[:, None, :] * has
        window = _bump(ys, y0, y1)[:, :, None] * _bump(xs, x0, x1)[:, None, :] * has
        maps.append(inside)
        if mask is None:
            maps.append(unit.new_zeros(count, height, width))
        else:
            maps.append(F.avg_pool2d(mask.float(), 2)[:, 0].clamp(-8, 8) / 4)
        under = sample_features(unit.flatten(1, 2), points)
        under = under.reshape(*unit.shape[:3], -1)
        alike = torch.einsum("ngchw,ngcp->ngphw", unit, F.normalize(under, dim=2, eps=1e-4))
        similar = [
            torch.where(sign[:, None, :], alike, alike.new_tensor(-1.0)).amax(2)
            for sign in (positive, negative)
        ]
        inner = torch.einsum("ngchw,nhw->ngc", unit, window)
        box_alike = torch.einsum("ngchw,ngc->nghw", unit, F.normalize(inner, dim=2, eps=1e-4))
        similar.append(torch.where(has[..., None], box_alike, box_alike.new_tensor(-1.0)))
        stack = torch.cat([torch.stack(maps, 1), *similar], 1)
        dense = self.out(F.gelu(self.norm(self.down(stack))))
        return dense, self.direct(stack)


def _inside(axis: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(N, n): how much of each stride-4 cell lies between two edges, 0..1."""
    return ((high - axis).clamp(-2, 2) + (axis - low).clamp(-2, 2)).clamp(0, 4) / 4


def _bump(axis: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(N, n): a soft window over the middle of an interval."""
    scale = (high - low).clamp(min=4.0) / 4
    return torch.exp(-(((axis - (low + high) / 2) / scale) ** 2) / 2)


def sample_features(maps: Tensor, points: Tensor, stride: int = 4) -> Tensor:
    """Features under points: (N, C, h, w), (N, P, 2) xy pixels -> (N, C, P)."""
    height, width = maps.shape[-2:]
    size = points.new_tensor((width * stride, height * stride))
    grid = ((points + 0.5) / size * 2 - 1)[:, :, None]
    sampled = F.grid_sample(
        maps.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[..., 0]
