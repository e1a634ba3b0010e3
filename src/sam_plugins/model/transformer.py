"""The two-way transformer: prompt tokens and image attend to each other (appendix A of the paper).

All token sequences are (B, N, C). What belongs to the image alone has batch 1 and stays so until
the first prompt-dependent step: one image and B prompts never hold B copies of it.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sam_plugins.model.common import MLPBlock

__all__ = ["TwoWayTransformer"]


class TwoWayTransformer(nn.Module):
    """`depth` two-way blocks, then the tokens look at the image once more."""

    def __init__(self, depth: int, dim: int, num_heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(dim, num_heads, mlp_dim, is_first=index == 0) for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(dim, num_heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Attend.

        Parameters
        ----------
        tokens
            (B, T, C); they serve as their own positions in every layer.
        image, positions
            (1 or B, N, C) and (1, N, C).

        Returns
        -------
        tokens, image
            (B, T, C) and (B, N, C).
        """
        queries, keys = tokens, image
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, positions)
        seen = self.final_attn_token_to_image(queries + tokens, keys + positions, keys)
        return self.norm_final_attn(queries + seen), keys


class TwoWayBlock(nn.Module):
    """Tokens to tokens, tokens to image, MLP, image to tokens; a norm after each.

    In the first block the tokens are still equal to their positions: they attend without them and
    without a residual.
    """

    def __init__(self, dim: int, num_heads: int, mlp_dim: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(dim, num_heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, num_heads, downsample=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLPBlock(dim, mlp_dim, nn.ReLU)
        self.norm3 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, num_heads, downsample=2)
        self.norm4 = nn.LayerNorm(dim)

    def forward(
        self, queries: Tensor, keys: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, T, C) tokens and (1 or B, N, C) image to (B, T, C) and (B, N, C)."""
        if self.is_first:
            queries = self.self_attn(queries, queries, queries)
        else:
            placed = queries + query_positions
            queries = queries + self.self_attn(placed, placed, queries)
        queries = self.norm1(queries)

        placed_keys = keys + key_positions
        placed = queries + query_positions
        queries = self.norm2(queries + self.cross_attn_token_to_image(placed, placed_keys, keys))
        queries = self.norm3(queries + self.mlp(queries))

        placed = queries + query_positions
        keys = self.norm4(keys + self.cross_attn_image_to_token(placed_keys, placed, queries))
        return queries, keys


class Attention(nn.Module):
    """Multi-head attention whose inner width is `dim` / `downsample`."""

    def __init__(self, dim: int, num_heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = dim // downsample
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(Bq, T, dim) attends to (Bk, N, dim); a batch of 1 serves every row of the other."""
        batch = max(len(q), len(k))
        q, k, v = (
            self._heads(projected).expand(batch, -1, -1, -1)
            for projected in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        )
        out: Tensor = F.scaled_dot_product_attention(q, k, v)
        out = self.out_proj(out.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """(B, N, inner) to (B, heads, N, inner / heads)."""
        return x.reshape(*x.shape[:2], self.num_heads, -1).transpose(1, 2)
