"""Building blocks of `nano`."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "AttentionBlock",
    "ConvBlock",
    "TokenAttention",
    "TwoWayLayer",
    "conv_norm",
    "mlp",
    "token_attention",
]


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution, batch norm, GELU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.GELU())


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers with ReLU, as SAM's heads."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


class ConvBlock(nn.Module):
    """Residual depthwise convolution and pointwise expansion."""

    def __init__(self, channels: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, channels * expansion, 1)
        self.project = nn.Conv2d(channels * expansion, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        out: Tensor = x + self.project(F.gelu(self.expand(self.norm(self.depthwise(x)))))
        return out


class AttentionBlock(nn.Module):
    """Global self-attention over positions, with convolutional positions and a `ConvBlock`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.block = ConvBlock(channels, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = x + self.position(x)
        height, width = x.shape[-2:]
        flat = x.flatten(2).transpose(1, 2)
        qkv = self.qkv(self.norm(flat)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*qkv.unbind(0)).transpose(1, 2).flatten(2)
        flat = flat + self.out(mixed)
        out: Tensor = self.block(flat.transpose(1, 2).unflatten(2, (height, width)))
        return out


class TokenAttention(nn.Module):
    """Attention between a dozen tokens and an image; too lopsided for the fused kernels to pay."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, inner)
        self.k = nn.Linear(width, inner)
        self.v = nn.Linear(width, inner)
        self.out = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(N, T, C), (N, M, C), (N, M, C) -> (N, T, C)."""
        queries, keys, values = (
            project(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project, x in ((self.q, q), (self.k, k), (self.v, v))
        )
        scores = queries @ keys.transpose(2, 3) * (queries.shape[-1] ** -0.5)
        mixed = (scores.softmax(3) @ values).transpose(1, 2).flatten(2)
        out: Tensor = self.out(mixed)
        return out


def token_attention(width: int, heads: int) -> TokenAttention:
    """Attention between tokens and image at half width."""
    return TokenAttention(width, heads, width // 2)


class TwoWayLayer(nn.Module):
    """SAM's decoder layer: tokens to tokens, tokens to image, MLP, image to tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.tokens = TokenAttention(width, heads, width)
        self.norm1 = nn.LayerNorm(width)
        self.to_image = token_attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )
        self.norm3 = nn.LayerNorm(width)
        self.from_image = token_attention(width, heads)
        self.norm4 = nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, image: Tensor, token_positions: Tensor, image_positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(N, T, C) tokens and (N, M, C) image to the same shapes."""
        q = tokens + token_positions
        tokens = self.norm1(tokens + self.tokens(q, q, tokens))
        q = tokens + token_positions
        tokens = self.norm2(tokens + self.to_image(q, image + image_positions, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        q = tokens + token_positions
        image = self.norm4(image + self.from_image(image + image_positions, q, tokens))
        return tokens, image
