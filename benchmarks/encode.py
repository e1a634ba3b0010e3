"""The image encoder of `vit_b` (or another ViT) beside `transformers`, with equal random weights.

    python benchmarks/encode.py
    python benchmarks/encode.py --engines torch --rounds 9

Engines take turns with the peer within one process, so that a row's ratio is one of pairs. Weights
are random, positions included: what bf16 does to real masks is not seen here, only how far its
features are from those of float32.
"""

import argparse
import copy
import gc
import sys
from collections.abc import Callable

import torch
from measure import PEERS, machine, paired, ratios

sys.path.insert(0, str(PEERS))
import peers

from sam_plugins.device import precise
from sam_plugins.engines.openvino_encoder import OpenVinoEncoder
from sam_plugins.engines.torch_vit import TorchViT
from sam_plugins.model.sam import Sam

PEER = "transformers, sdpa, fp32"
AIMS = {"openvino, fp32": 3.3, "openvino, bf16": 5.5, "torch, fp32": 2.3}
ENGINES = ("plain", "torch", "openvino")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--quick", action="store_true", help="a small encoder, three rounds")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    config = peers.Config() if options.quick else peers.VIT_B
    model, state = peers.ours(config)
    peer = peers.Transformers(config, state)
    pixels = torch.randn(1, 3, config.image_size, config.image_size)
    with torch.inference_mode():
        expected = peer.encode(pixels)
        steps: dict[str, Callable[[], object]] = {PEER: lambda: peer.encode(pixels)}
        deviations = {}
        for name, encode in built(model, options.engines).items():
            steps[name] = lambda encode=encode: encode(pixels)
            off = (encode(pixels) - expected).abs()
            spread = expected.std().item()
            deviations[name] = f"{off.max() / spread:.1e} at most, {off.mean() / spread:.1e} mean"
        gc.collect()
        taken = paired(steps, 3 if options.quick else options.rounds)
    title = f"Encoding one picture, `{'small' if options.quick else 'vit_b'}`"
    ratios(title, taken, PEER, targets=AIMS, deviations=deviations)
    print("\nDeviations are in standard deviations of the features.")


def built(model: Sam, engines: list[str]) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Encoders by name. Packing uses weights up, so that packed ones come last."""
    found: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}
    for numerics in ("fp32", "bf16"):
        if "plain" in engines:
            found[f"plain, {numerics}"] = lambda x, n=numerics: plain(model, x, n)
        if "openvino" in engines:
            encode = OpenVinoEncoder(model, numerics)
            found[f"openvino, {numerics}"] = lambda x, e=encode: e(x)["image_embedding"]
        if "torch" in engines:
            fast = TorchViT(copied(model), numerics)
            found[f"torch, {numerics}"] = lambda x, e=fast: e(x)["image_embedding"]
    return found


def copied(model: Sam) -> torch.nn.Module:
    """An encoder of its own, as packing uses up the weights of the one it is given."""
    return copy.deepcopy(model.image_encoder)


def plain(model: Sam, pixels: torch.Tensor, numerics: str) -> torch.Tensor:
    """The path that judges the others."""
    with precise("cpu", numerics):
        return model.encode_image(pixels)["image_embedding"].float()


if __name__ == "__main__":
    main()
