"""TinyViT's forward pass in plain NumPy, float64, straight from the named arrays of a checkpoint.

It knows no configuration: depths follow from the names, widths, heads and windows from the shapes.
Written for comparison, not for speed: windows, heads and kernel taps are loops.
"""

import numpy as np
from scipy.special import erf


def encode(arrays, image):
    """(3, H, W) normalised pixels to the (c, H/16, W/16) embedding."""
    arrays = {name: np.asarray(value, np.float64) for name, value in arrays.items()}
    x = np.asarray(image, np.float64)
    x = conv_bn(arrays, "patch_embed.seq.0", x, stride=2)
    x = conv_bn(arrays, "patch_embed.seq.2", gelu(x), stride=2)
    for stage in range(4):
        for block in range(count(arrays, f"layers.{stage}.blocks.")):
            apply = bottleneck if stage == 0 else attention_block
            x = apply(arrays, f"layers.{stage}.blocks.{block}", x)
        if stage < 3:
            x = merge(arrays, f"layers.{stage}.downsample", x, stride=(2, 2, 1)[stage])
    x = convolve(x, arrays["neck.0.weight"], 1)
    x = norm_channels(arrays, "neck.1", x, 1e-6)
    x = convolve(x, arrays["neck.2.weight"], 1)
    return norm_channels(arrays, "neck.3", x, 1e-6)


def count(arrays, prefix):
    return len({name[len(prefix) :].split(".")[0] for name in arrays if name.startswith(prefix)})


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def convolve(x, kernel, stride):
    """(in, H, W) with (out, in/groups, k, k), zero padding k // 2; groups is 1 or all channels."""
    out_channels, per_group, k, _ = kernel.shape
    padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    height = (padded.shape[1] - k) // stride + 1
    width = (padded.shape[2] - k) // stride + 1
    out = np.zeros((out_channels, height, width))
    for i in range(k):
        for j in range(k):
            seen = padded[:, i:, j:][:, ::stride, ::stride][:, :height, :width]
            if per_group == len(x):
                out += np.tensordot(kernel[:, :, i, j], seen, axes=(1, 0))
            else:
                out += kernel[:, 0, i, j][:, None, None] * seen
    return out


def conv_bn(arrays, name, x, stride=1):
    x = convolve(x, arrays[f"{name}.c.weight"], stride)
    mean, variance, weight, bias = (
        arrays[f"{name}.bn.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def norm_tokens(arrays, name, x, eps=1e-5):
    """Normalises the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return scaled * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]


def norm_channels(arrays, name, x, eps):
    return norm_tokens(arrays, name, x.transpose(1, 2, 0), eps).transpose(2, 0, 1)


def linear(arrays, name, x):
    return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]


def bottleneck(arrays, name, x):
    hidden = gelu(conv_bn(arrays, f"{name}.conv1", x))
    hidden = gelu(conv_bn(arrays, f"{name}.conv2", hidden))
    return gelu(conv_bn(arrays, f"{name}.conv3", hidden) + x)


def merge(arrays, name, x, stride):
    x = gelu(conv_bn(arrays, f"{name}.conv1", x))
    x = gelu(conv_bn(arrays, f"{name}.conv2", x, stride))
    return conv_bn(arrays, f"{name}.conv3", x)


def attention_block(arrays, name, x):
    channels, height, width = x.shape
    side = round(np.sqrt(arrays[f"{name}.attn.attention_biases"].shape[1]))
    tall, wide = -(-height // side) * side, -(-width // side) * side
    tokens = np.zeros((tall, wide, channels))
    tokens[:height, :width] = x.transpose(1, 2, 0)
    attended = np.empty_like(tokens)
    for top in range(0, tall, side):
        for left in range(0, wide, side):
            window = tokens[top : top + side, left : left + side].reshape(-1, channels)
            answer = attention(arrays, f"{name}.attn", window, side)
            attended[top : top + side, left : left + side] = answer.reshape(side, side, channels)
    x = x + attended[:height, :width].transpose(2, 0, 1)
    x = conv_bn(arrays, f"{name}.local_conv", x)
    hidden = norm_tokens(arrays, f"{name}.mlp.norm", x.transpose(1, 2, 0))
    hidden = linear(arrays, f"{name}.mlp.fc2", gelu(linear(arrays, f"{name}.mlp.fc1", hidden)))
    return x + hidden.transpose(2, 0, 1)


def attention(arrays, name, tokens, side):
    """(side * side, dim) to the same shape."""
    biases = arrays[f"{name}.attention_biases"]
    heads, head_dim = len(biases), tokens.shape[1] // len(biases)
    qkv = linear(arrays, f"{name}.qkv", norm_tokens(arrays, f"{name}.norm", tokens))
    positions = [(y, x) for y in range(side) for x in range(side)]
    # The published table lists the distances in the order in which pairs of positions meet them.
    column = {}
    table = np.array(
        [
            [column.setdefault((abs(ya - yb), abs(xa - xb)), len(column)) for yb, xb in positions]
            for ya, xa in positions
        ]
    )
    answers = []
    for head in range(heads):
        own = qkv[:, 3 * head_dim * head : 3 * head_dim * (head + 1)]
        query, key, value = own[:, :head_dim], own[:, head_dim:-head_dim], own[:, -head_dim:]
        logits = query @ key.T / np.sqrt(head_dim) + biases[head][table]
        weights = np.exp(logits - logits.max(1, keepdims=True))
        answers.append(weights / weights.sum(1, keepdims=True) @ value)
    return linear(arrays, f"{name}.proj", np.concatenate(answers, axis=1))
