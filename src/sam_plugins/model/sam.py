"""Segment Anything (Kirillov et al. 2023): one image embedding, any number of prompts.

Written from the paper and from the names and shapes of the published tensors.
"""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from sam_plugins.model.common import PromptableModel
from sam_plugins.model.mask_decoder import MaskDecoder
from sam_plugins.model.prompt_encoder import PromptEncoder

__all__ = ["Sam"]

_STRIDE = 16


class Sam(PromptableModel):
    """Image encoder, prompt encoder and mask decoder.

    Parameters
    ----------
    image_encoder
        A module with an attribute ``img_size`` = S that maps (B, 3, S, S) to
        (B, `embed_dim`, S / 16, S / 16).
    embed_dim
        Channels of the image embedding and of the prompt tokens.
    mask_channels
        Of the prompt encoder's mask branch.
    decoder_depth, decoder_heads, decoder_mlp_dim
        Of the two-way transformer.
    """

    encoder_prefixes = ("image_encoder.",)

    def __init__(
        self,
        image_encoder: nn.Module,
        *,
        embed_dim: int = 256,
        mask_channels: int = 16,
        decoder_depth: int = 2,
        decoder_heads: int = 8,
        decoder_mlp_dim: int = 2048,
    ) -> None:
        super().__init__()
        self.image_size = cast("int", image_encoder.img_size)
        grid = self.image_size // _STRIDE
        self.low_res_size = (4 * grid, 4 * grid)
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(embed_dim, grid, self.image_size, mask_channels)
        self.mask_decoder = MaskDecoder(embed_dim, decoder_depth, decoder_heads, decoder_mlp_dim)

    def encode_image(self, pixels: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) to ``{"image_embedding": (B, 256, S / 16, S / 16)}``."""
        return {"image_embedding": self.image_encoder(pixels)}

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
        sparse, dense = self.prompt_encoder(point_coords, point_labels, boxes, mask_input)
        positions = self.prompt_encoder.grid_positions()
        logits, iou_predictions = self.mask_decoder(
            features["image_embedding"], positions, sparse, dense, multimask_output
        )
        return logits, iou_predictions
