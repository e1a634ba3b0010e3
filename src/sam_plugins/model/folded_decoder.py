"""The mask decoder of SAM, arranged for many prompts on one image.

The same function as `MaskDecoder.forward`, with the sums in another order:

- an image has 4096 positions and a prompt about a dozen tokens. Where they attend to each other,
  the projections of the image are folded into the tokens, so that no prompt projects 4096 vectors:
  ``q . (W x) = (q W) . x``, and likewise for values;
- what the first layer takes from the image is the same for every prompt without a mask and is
  computed once per image (`ImageState`);
- the predicted IoU comes before the upscaling, so that an answer nobody wants costs no mask;
- the transposed convolutions, whose kernels do not overlap, are matrix products over positions,
  and only finished masks are brought into the order of pixels.

`MaskDecoder.forward` stays and judges this one.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.mask_decoder import MaskDecoder
from sam_plugins.model.prompt_encoder import PromptEncoder
from sam_plugins.model.transformer import Attention, TwoWayBlock

__all__ = ["FoldedMaskDecoder", "ImageState"]

gelu_ = torch.ops.aten.gelu_
"""In place: a fresh buffer of this size costs more than the function itself."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageState:
    """What prompts on one image share.

    Parameters
    ----------
    image
        (N, C) the image embedding, one row per position.
    keys
        (N, C) the same with the "no mask" vector added.
    first_keys, first_values
        (heads, d, N) and (heads, N, d): what tokens look at in the first layer.
    first_queries
        (heads, d, N): how the image looks at tokens in the first layer.
    """

    image: Tensor
    keys: Tensor
    first_keys: Tensor
    first_values: Tensor
    first_queries: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        parts = (self.image, self.keys, self.first_keys, self.first_values, self.first_queries)
        return sum(part.nbytes for part in parts)


class FoldedMaskDecoder:
    """Answers prompts as `MaskDecoder` does.

    Parameters
    ----------
    decoder, prompt_encoder
        Of the model; they are read, not changed. The heads for masks and predicted IoU are called
        where they are, in float32.
    dtype
        Of the products over positions: float32, or bfloat16 for a faster and less exact answer.
        Tokens and heads are float32 in either case.
    """

    def __init__(
        self, decoder: MaskDecoder, prompt_encoder: PromptEncoder, dtype: torch.dtype
    ) -> None:
        self._decoder = decoder
        self._no_mask = prompt_encoder.no_mask_embed
        self._dtype = dtype
        self._size = (prompt_encoder.grid, prompt_encoder.grid)
        transformer = decoder.transformer
        positions = prompt_encoder.grid_positions()[0].flatten(1).T.contiguous()
        self._positions = positions.to(dtype)
        self._layers = [_Layer(cast("TwoWayBlock", block), dtype) for block in transformer.layers]
        self._last = _TokensToImage(transformer.final_attn_token_to_image, dtype)
        self._upscaling = _Upscaling(decoder.output_upscaling, dtype)

    def prepare(self, image_embedding: Tensor) -> ImageState:
        """(1, C, h, w) to what every prompt on this image shares."""
        image = image_embedding[0].flatten(1).T.to(self._dtype).contiguous()
        keys = image + self._no_mask.weight.to(self._dtype)
        placed = keys + self._positions
        first = self._layers[0].block
        tokens, back = first.cross_attn_token_to_image, first.cross_attn_image_to_token
        return ImageState(
            image=image,
            keys=keys,
            first_keys=_by_head(_linear(placed, tokens.k_proj), tokens.num_heads, last=True),
            first_values=_by_head(_linear(keys, tokens.v_proj), tokens.num_heads, last=False),
            first_queries=_by_head(_linear(placed, back.q_proj), back.num_heads, last=True),
        )

    def attend(
        self, state: ImageState, sparse: Tensor, dense: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The two-way transformer for B prompts.

        Parameters
        ----------
        state
            Of the image.
        sparse, dense
            (B, T, C) and, for prompts with a mask, (B, C, h, w), of the prompt encoder.

        Returns
        -------
        tokens, image
            (B, 5 + T, C) float32 and (B, N, C).
        """
        decoder = self._decoder
        own = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight))
        tokens = torch.cat((own.expand(len(sparse), -1, -1), sparse), dim=1)
        keys: Tensor | None = None
        if dense is not None:
            keys = state.image + dense.flatten(2).transpose(1, 2).to(self._dtype)
        queries = tokens
        for layer in self._layers:
            placed = None if keys is None else keys + self._positions
            queries, keys = layer(queries, keys, placed, tokens, state)
        image = cast("Tensor", keys)
        seen = self._last(queries + tokens, image, image + self._positions)
        return decoder.transformer.norm_final_attn(queries + seen), image

    def scores(self, tokens: Tensor, answers: tuple[int, ...]) -> Tensor:
        """Predicted IoU of some of the four answers: (B, 5 + T, C) to (B, len(answers))."""
        predicted: Tensor = self._decoder.iou_prediction_head(tokens[:, 0])
        return predicted[:, answers]

    def masks(self, tokens: Tensor, image: Tensor, answers: tuple[int, ...]) -> Tensor:
        """Low-resolution logits of some of the four answers.

        Parameters
        ----------
        tokens, image
            (B, 5 + T, C) and (B, N, C) from `attend`.

        Returns
        -------
        (B, len(answers), 4h, 4w) float32.
        """
        heads = self._decoder.output_hypernetworks_mlps
        kernels = torch.stack([heads[i](tokens[:, 1 + i]) for i in answers], dim=1)
        return self._upscaling(image, kernels, self._size)


class _Layer:
    """One two-way block, on each prompt's own image or (None) on that of `ImageState`."""

    def __init__(self, block: TwoWayBlock, dtype: torch.dtype) -> None:
        self.block = block
        self._to_image = _TokensToImage(block.cross_attn_token_to_image, dtype)
        self._to_tokens = _ImageToTokens(block.cross_attn_image_to_token, dtype)
        self._norm = _Norm(block.norm4, dtype)

    def __call__(
        self,
        queries: Tensor,
        keys: Tensor | None,
        placed_keys: Tensor | None,
        placing: Tensor,
        state: ImageState,
    ) -> tuple[Tensor, Tensor]:
        block = self.block
        if block.is_first:
            queries = block.self_attn(queries, queries, queries)
        else:
            placed = queries + placing
            queries = queries + block.self_attn(placed, placed, queries)
        queries = block.norm1(queries)
        placed = queries + placing
        if keys is None or placed_keys is None:
            seen = self._to_image.shared(placed, state)
        else:
            seen = self._to_image(placed, keys, placed_keys)
        queries = block.norm2(queries + seen)
        queries = block.norm3(queries + block.mlp(queries))
        placed = queries + placing
        if keys is None or placed_keys is None:
            keys = self._to_tokens.shared(placed, queries, state)
        else:
            keys = self._to_tokens(placed, queries, keys, placed_keys)
        return queries, self._norm(keys)


class _TokensToImage:
    """Tokens attend to the image, with the projections of keys and values on the tokens' side.

    The bias of the keys shifts all logits of a token alike, so that the softmax does not see it.
    """

    def __init__(self, attention: Attention, dtype: torch.dtype) -> None:
        heads = attention.num_heads
        self._attention = attention
        self._dtype = dtype
        self._keys = torch.unflatten(attention.k_proj.weight, 0, (heads, -1)).contiguous()
        self._values = torch.unflatten(attention.v_proj.weight, 0, (heads, -1)).contiguous()

    def __call__(self, tokens: Tensor, keys: Tensor, placed_keys: Tensor) -> Tensor:
        """(B, T, C) and (B, N, C) twice to (B, T, C)."""
        queries = self._queries(tokens)
        batch, heads, count, _ = queries.shape
        folded = (queries @ self._keys).flatten(1, 2).to(self._dtype)
        weights = torch.bmm(folded, placed_keys.transpose(1, 2)).softmax(-1)
        mixed = torch.unflatten(torch.bmm(weights, keys), 1, (heads, count)).float()
        values = (mixed @ self._values.transpose(1, 2)).transpose(1, 2).reshape(batch, count, -1)
        out: Tensor = self._attention.out_proj(values + self._attention.v_proj.bias)
        return out

    def shared(self, tokens: Tensor, state: ImageState) -> Tensor:
        """The same where all prompts have one image: (B, T, C) to (B, T, C)."""
        queries = self._queries(tokens)
        batch, heads, count, width = queries.shape
        rows = queries.transpose(0, 1).reshape(heads, batch * count, width).to(self._dtype)
        weights = torch.bmm(rows, state.first_keys).softmax(-1)
        values = torch.bmm(weights, state.first_values).float()
        values = torch.unflatten(values, 1, (batch, count)).permute(1, 2, 0, 3)
        out: Tensor = self._attention.out_proj(values.reshape(batch, count, -1))
        return out

    def _queries(self, tokens: Tensor) -> Tensor:
        """(B, heads, T, d), scaled."""
        queries = _split(self._attention.q_proj(tokens), self._attention.num_heads)
        return queries * float(queries.shape[-1] ** -0.5)


class _ImageToTokens:
    """The image attends to the tokens, with its queries and the output on the tokens' side."""

    def __init__(self, attention: Attention, dtype: torch.dtype) -> None:
        heads = attention.num_heads
        self._attention = attention
        self._dtype = dtype
        self._queries = torch.unflatten(attention.q_proj.weight, 0, (heads, -1)).contiguous()
        self._query_bias = attention.q_proj.bias.view(heads, -1, 1)
        self._out = torch.unflatten(attention.out_proj.weight.T, 0, (heads, -1)).contiguous()
        self._bias = attention.out_proj.bias.to(dtype)

    def __call__(self, placed: Tensor, tokens: Tensor, keys: Tensor, placed_keys: Tensor) -> Tensor:
        """(B, T, C) twice and (B, N, C) twice to the image with what it saw: (B, N, C)."""
        rows = self._rows(placed)
        folded = (rows @ self._queries).flatten(1, 2).to(self._dtype)
        shift = (rows @ self._query_bias).flatten(1, 2).to(self._dtype)
        logits = torch.baddbmm(shift, folded, placed_keys.transpose(1, 2))
        return self._added(keys + self._bias, logits, tokens)

    def shared(self, placed: Tensor, tokens: Tensor, state: ImageState) -> Tensor:
        """The same where all prompts have one image."""
        logits = (self._rows(placed).to(self._dtype) @ state.first_queries).flatten(1, 2)
        image = (state.keys + self._bias).repeat(len(tokens), 1, 1)
        return self._added(image, logits, tokens)

    def _rows(self, tokens: Tensor) -> Tensor:
        """(B, heads, T, d): the keys that tokens show, scaled."""
        rows = _split(self._attention.k_proj(tokens), self._attention.num_heads)
        return rows * float(rows.shape[-1] ** -0.5)

    def _added(self, image: Tensor, logits: Tensor, tokens: Tensor) -> Tensor:
        """(B, N, C), which is overwritten, and (B, heads * T, N) to (B, N, C)."""
        heads = self._attention.num_heads
        weights = torch.unflatten(logits, 1, (heads, -1)).softmax(2).flatten(1, 2)
        shown = _split(self._attention.v_proj(tokens), heads) @ self._out
        return image.baddbmm_(weights.transpose(1, 2), shown.flatten(1, 2).to(self._dtype))


class _Upscaling:
    """Two transposed convolutions of stride 2 as matrix products, and the masks at their end."""

    def __init__(self, layers: nn.Sequential, dtype: torch.dtype) -> None:
        first, norm, _, second, _ = layers
        self._first = _kernel(cast("nn.ConvTranspose2d", first), dtype)
        self._second = _kernel(cast("nn.ConvTranspose2d", second), dtype)
        self._norm = _Norm(norm, dtype)

    def __call__(self, image: Tensor, kernels: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, N, C) and (B, n, C / 8) to logits (B, n, 4h, 4w) float32."""
        x = torch.unflatten(F.linear(image, *self._first), 2, (4, -1))
        x = gelu_(self._norm(x))
        x = gelu_(F.linear(x, *self._second)).unflatten(3, (4, -1)).flatten(1, 3)
        masks = torch.bmm(kernels.to(x.dtype), x.transpose(1, 2)).float()
        # Positions come as y, x and then, for each of the two steps, y and x within the cell.
        cells = torch.unflatten(masks, 2, (*size, 2, 2, 2, 2)).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return cells.reshape(*masks.shape[:2], 4 * size[0], 4 * size[1])


def _kernel(layer: nn.ConvTranspose2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight (4 * out, in) and bias of the product that the convolution is, by cell position."""
    weight = layer.weight.permute(2, 3, 1, 0).reshape(-1, layer.in_channels)
    bias = cast("Tensor", layer.bias).repeat(4)
    return weight.to(dtype).contiguous(), bias.to(dtype)


class _Norm:
    """A layer norm over the last axis in another number type."""

    def __init__(self, norm: nn.Module, dtype: torch.dtype) -> None:
        self._weight = cast("Tensor", norm.weight).to(dtype)
        self._bias = cast("Tensor", norm.bias).to(dtype)
        self._eps = cast("float", norm.eps)

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


def _linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, T, heads * d) to (B, heads, T, d)."""
    return torch.unflatten(x, 2, (heads, -1)).transpose(1, 2)


def _by_head(x: Tensor, heads: int, *, last: bool) -> Tensor:
    """(N, heads * d) to (heads, d, N), positions last, or to (heads, N, d)."""
    split = torch.unflatten(x, 1, (heads, -1))
    return split.permute(1, 2, 0).contiguous() if last else split.permute(1, 0, 2).contiguous()
