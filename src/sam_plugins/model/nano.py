"""`nano`: the small promptable model that is bundled with the library.

Its shape was chosen for training from scratch on little data and for two CPU cores:

- a convolutional encoder with global attention at stride 16 gives three maps: an embedding at
  stride 8, affinity features at stride 4 and a thin detail map at stride 2;
- prompts enter twice: as tokens, as in SAM (Fourier positions, label embeddings, plus the image
  features found under each point), and as dense maps (soft discs, the filled box, the previous
  logits, and how similar every pixel's affinity features are to those under the prompt);
- SAM's two-way transformer, mask tokens, hypernetworks and IoU head answer; the IoU head also
  sees how sharp and how large each mask is.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import LayerNorm2d, PromptableModel
from sam_plugins.model.nano_layers import (
    AttentionBlock,
    ConvBlock,
    TwoWayLayer,
    conv_norm,
    mlp,
    token_attention,
)
from sam_plugins.model.nano_prompts import PromptPainter, sample_features

__all__ = ["Nano", "NanoEncoder"]

POSITION_SPAN = 512.0
"""Input pixels per unit of position: a constant, so that crops of any size agree."""

EMBEDDING = "image_embedding"
UNIT = "unit"
"""Name of the affinity features at unit length among those of an image."""

MASK_TOKENS = 4
TOKEN_HEADS = 4


class NanoEncoder(nn.Module):
    """(B, 3, S, S) pixels to maps at strides 8, 4 and 2; S is a multiple of 16.

    Parameters
    ----------
    widths
        Channels at strides 2, 4, 8 and 16.
    depths
        Blocks at strides 4, 8 and 16.
    width
        Channels of the embedding.
    affinity
        Channels of the affinity features.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        width: int,
        affinity: int,
        heads: int,
    ) -> None:
        super().__init__()
        stem, c4, c8, c16 = widths
        self.stem = conv_norm(6, stem, 3, 2)
        self.stage4 = nn.Sequential(
            conv_norm(stem, c4, 3, 2), *(ConvBlock(c4, 5, 3) for _ in range(depths[0]))
        )
        self.stage8 = nn.Sequential(
            conv_norm(c4, c8, 3, 2), *(ConvBlock(c8, 5, 3) for _ in range(depths[1]))
        )
        self.stage16 = nn.Sequential(
            conv_norm(c8, c16, 3, 2), *(AttentionBlock(c16, heads) for _ in range(depths[2]))
        )
        self.lateral16 = nn.Conv2d(c16, width, 1)
        self.lateral8 = nn.Conv2d(c8, width, 1)
        self.merge8 = ConvBlock(width, 5, 2)
        self.embed = LayerNorm2d(width)
        self.top4 = nn.Conv2d(width, c4, 1)
        self.merge4 = ConvBlock(c4, 5, 2)
        self.affinity = nn.Conv2d(c4, affinity, 1)
        self.detail4 = nn.Conv2d(c4, width // 4, 1)
        self.detail2 = nn.Conv2d(stem, width // 6, 1)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Feature maps by name."""
        x2 = self.stem(torch.cat([pixels, _standardised(pixels)], 1))
        x4 = self.stage4(x2)
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        p8 = self.merge8(self.lateral8(x8) + _double(self.lateral16(x16)))
        p4 = self.merge4(x4 + _double(self.top4(p8)))
        return {
            "image_embedding": self.embed(p8),
            "affinity": self.affinity(p4),
            "detail4": self.detail4(p4),
            "detail2": self.detail2(x2),
        }


def _standardised(pixels: Tensor) -> Tensor:
    """The same pixels with the picture's own mean and deviation removed, padding left at 0.

    Fluorescence often uses a tenth of the range: without this it is black to the network.
    """
    shown = (pixels != 0).any(1, keepdim=True).to(pixels.dtype)
    count = shown.sum((2, 3), keepdim=True).clamp(min=1)
    grey = pixels.mean(1, keepdim=True)
    mean = (grey * shown).sum((2, 3), keepdim=True) / count
    spread = (((grey - mean) ** 2) * shown).sum((2, 3), keepdim=True) / count
    return (((pixels - mean) / (spread.sqrt() + 0.02)) * shown).clamp(-5, 5)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Nano(PromptableModel):
    """The bundled model behind the same interface as SAM.

    Parameters
    ----------
    image_size
        Side of the padded input the model is used at; a multiple of 16.
    widths, depths, width, affinity, groups, heads
        Shape of encoder and decoder; the defaults are the bundled weights'.
    """

    encoder_prefixes = ("image_encoder.",)

    def __init__(
        self,
        *,
        image_size: int = 384,
        widths: Sequence[int] = (24, 64, 128, 192),
        depths: Sequence[int] = (2, 3, 6),
        width: int = 96,
        affinity: int = 48,
        groups: int = 6,
        heads: int = 6,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.low_res_size = (image_size // 2, image_size // 2)
        self.image_encoder = NanoEncoder(
            widths=widths, depths=depths, width=width, affinity=affinity, heads=heads
        )
        self.painter = PromptPainter(groups, width)
        self.frequencies = nn.Parameter(
            torch.empty(2, width // 2).normal_(std=3), requires_grad=False
        )
        self.label_embedding = nn.Embedding(4, width)
        self.under_point = nn.Linear(width, width)
        self.tokens = nn.Embedding(MASK_TOKENS + 1, width)
        self.before = ConvBlock(width, 5, 2)
        self.layers = nn.ModuleList([TwoWayLayer(width, TOKEN_HEADS) for _ in range(2)])
        self.last_attention = token_attention(width, TOKEN_HEADS)
        self.last_norm = nn.LayerNorm(width)
        self.after = ConvBlock(width, 5, 2)
        self.up4 = nn.ConvTranspose2d(width, width // 4, 2, 2)
        self.norm4 = LayerNorm2d(width // 4)
        self.mix4 = ConvBlock(width // 4, 3, 2)
        self.up2 = nn.ConvTranspose2d(width // 4, width // 6, 2, 2)
        self.hypernetworks = nn.ModuleList(
            [mlp(width, width, width // 6) for _ in range(MASK_TOKENS)]
        )
        self.iou_head = mlp(2 * width + 4, width, 1)

    def encode_image(self, pixels: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) normalised and padded pixels to feature maps."""
        maps: dict[str, Tensor] = self.image_encoder(pixels)
        return maps

    def image_state(self, features: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The features, and the affinity features at unit length."""
        return {**features, UNIT: self.painter.unit(features["affinity"])}

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
        """Answer B prompts on one image; see `PromptableModel.decode_prompts`."""
        count = next(len(v) for v in (point_coords, boxes, mask_input) if v is not None)
        device = features["image_embedding"].device
        if point_coords is None or point_labels is None:
            point_coords = torch.zeros(count, 1, 2, device=device)
            point_labels = torch.full((count, 1), -1, device=device)
        if boxes is None:
            boxes = torch.full((count, 4), torch.nan, device=device)
        index = torch.zeros(count, dtype=torch.long, device=device)
        logits, iou = self.decode_indexed(
            features, index, point_coords, point_labels, boxes, mask_input
        )
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return logits[:, chosen], iou[:, chosen]

    def decode_indexed(
        self,
        features: Mapping[str, Tensor],
        index: Tensor,
        points: Tensor,
        labels: Tensor,
        boxes: Tensor,
        mask: Tensor | None,
        origin: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Answer N prompts that belong to several images, with all four masks.

        Parameters
        ----------
        features
            Maps of B images, from `encode_image` or `image_state`.
        index
            (N,) which image each prompt belongs to.
        points, labels
            (N, P, 2) xy input pixels, (N, P) 1, 0 or -1 for padding.
        boxes
            (N, 4) xyxy, NaN where a prompt has none.
        mask
            (N, 1, S/2, S/2) earlier logits (zeros where a prompt has none), or None.
        origin
            (2,) xy added to every position: in training a crop stands anywhere in the picture.

        Returns
        -------
        logits, iou
            (N, 4, S/2, S/2) and (N, 4): the single answer first, then three ambiguous ones.
        """
        shift = points.new_zeros(2) if origin is None else origin
        every = features if UNIT in features else self.image_state(features)
        unit, embedding = _of_images(every[UNIT], index), _of_images(every[EMBEDDING], index)
        dense, direct = self.painter(unit, points, labels, boxes, mask)
        grid = self._positions(_grid(embedding) + shift)
        tokens = self._tokens(embedding, points, labels, boxes, shift)
        image = self.before(embedding + dense)
        height, width = image.shape[-2:]
        flat = image.flatten(2).transpose(1, 2)
        queries = tokens
        for layer in self.layers:
            queries, flat = layer(queries, flat, tokens, grid)
        queries = self.last_norm(queries + self.last_attention(queries + tokens, flat + grid, flat))
        image = self.after(flat.transpose(1, 2).unflatten(2, (height, width)))
        up = F.gelu(self.norm4(self.up4(image) + _of_images(every["detail4"], index) + direct))
        up = F.gelu(self.up2(self.mix4(up)) + _of_images(every["detail2"], index))
        weights = torch.stack(
            [head(queries[:, 1 + i]) for i, head in enumerate(self.hypernetworks)], 1
        )
        logits = torch.einsum("nkc,nchw->nkhw", weights, up)
        return logits, self._rank(queries, logits)

    def _positions(self, xy: Tensor) -> Tensor:
        """Fourier features of input pixels: (..., 2) -> (..., width)."""
        angles = (xy + 0.5) / POSITION_SPAN @ self.frequencies * torch.pi
        return torch.cat([angles.sin(), angles.cos()], -1)

    def _tokens(
        self,
        embedding: Tensor,
        points: Tensor,
        labels: Tensor,
        boxes: Tensor,
        shift: Tensor,
    ) -> Tensor:
        """(N, 5 + P + 2, width): output tokens, points, box corners."""
        used = (labels >= 0)[..., None]
        under = sample_features(embedding, points, 8).transpose(1, 2)
        prompt = self._positions(points + shift) + self.label_embedding(labels.clamp(min=0))
        prompt = (prompt + self.under_point(under)) * used
        has = torch.isfinite(boxes).all(1)[:, None, None]
        corners = torch.nan_to_num(boxes).reshape(-1, 2, 2)
        edges = (self._positions(corners + shift) + self.label_embedding.weight[2:]) * has
        own = self.tokens.weight.expand(len(points), -1, -1)
        return torch.cat([own, prompt, edges], 1)

    def _rank(self, queries: Tensor, logits: Tensor) -> Tensor:
        """(N, 4) predicted IoU from the tokens and from how each mask looks."""
        seen = logits.detach()[..., ::2, ::2].float()
        inside = seen.sigmoid()
        area = inside.mean((2, 3))
        sure = (inside * inside).mean((2, 3)) / (area + 1e-4)
        wide = (seen > -1).float().mean((2, 3))
        stable = (seen > 1).float().mean((2, 3)) / (wide + 1e-4)
        looks = torch.stack([(area + 1e-4).log(), sure, stable, wide.sqrt()], -1)
        tokens = queries[:, 1 : 1 + MASK_TOKENS]
        both = torch.cat([queries[:, :1].expand_as(tokens), tokens], -1)
        predicted: Tensor = self.iou_head(torch.cat([both, looks.to(both.dtype)], -1))[..., 0]
        return predicted


def _of_images(maps: Tensor, index: Tensor) -> Tensor:
    """The map of each prompt's image; that of a single image is not copied."""
    return maps.expand(len(index), *maps.shape[1:]) if len(maps) == 1 else maps[index]


def _grid(embedding: Tensor) -> Tensor:
    """(1, h*w, 2) xy of the centres of stride-8 cells, in input pixels."""
    height, width = embedding.shape[-2:]
    ys = torch.arange(height, device=embedding.device, dtype=torch.float32) * 8 + 3.5
    xs = torch.arange(width, device=embedding.device, dtype=torch.float32) * 8 + 3.5
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)[None]
