"""What a GPU makes of the encoders and of many prompts, beside `transformers` on the same device.

    python benchmarks/gpu.py --model vit_b vit_h

Equal random weights. Both forms of attention with relative positions are measured, compiled and
not; the faster one belongs into `sam_plugins.engines.accelerator.ATTENTION`.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from measure import PEERS, machine, paired, ratios

sys.path.insert(0, str(PEERS))
import peers
from decode import points

from sam_plugins.device import precise
from sam_plugins.engines.compiled import CompiledDecoding
from sam_plugins.engines.fused_vit import ATTENTIONS, FusedViT
from sam_plugins.model.decoding import FoldedDecoding, PromptTensors

CONFIGS = {
    "vit_b": peers.VIT_B,
    "vit_l": peers.Config(1024, 1024, 24, 16, (5, 11, 17, 23), 14, 4.0, 256, 16, 2, 8, 2048),
    "vit_h": peers.Config(1024, 1280, 32, 16, (7, 15, 23, 31), 14, 4.0, 256, 16, 2, 8, 2048),
}
PEER = "transformers, sdpa, bf16"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["vit_b"], choices=CONFIGS)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    print(machine(torch.get_num_threads()))
    if options.device.startswith("cuda"):
        print(torch.cuda.get_device_name(options.device))
    for name in options.model:
        encoders(name, options.batch, options.rounds, options.device)
        prompts(name, options.rounds, options.device)


def finished(call: Callable[[], object], device: str) -> Callable[[], object]:
    """The call, and the wait until the device has done it."""

    def run() -> None:
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return run


def encoders(name: str, batch: int, rounds: int, device: str) -> None:
    """Print images of one batch through each encoder."""
    model, state = peers.ours(CONFIGS[name])
    peer = peers.Transformers(CONFIGS[name], state)
    model, peer.model = model.to(device), peer.model.to(device)
    pixels = torch.randn(batch, 3, model.image_size, model.image_size, device=device)

    def theirs() -> torch.Tensor:
        with precise(device, "bf16"):
            return peer.encode(pixels)

    with torch.inference_mode():
        expected = model.encode_image(pixels[:1])["image_embedding"]
        steps = {PEER: finished(theirs, device)}
        deviations = {}
        for attention in ATTENTIONS:
            fused = FusedViT(model.image_encoder, "bf16", attention)
            for kind, run in (("eager", fused), ("compiled", torch.compile(fused, dynamic=False))):
                if (attention, kind) == ("flex", "eager"):
                    continue  # writes the whole matrix out: it is made to be compiled
                step = f"{attention}, bf16, {kind}"
                steps[step] = finished(lambda run=run: run(pixels), device)
                off = (run(pixels)["image_embedding"][:1] - expected).abs() / expected.std()
                deviations[step] = f"{off.max():.1e} at most, {off.mean():.1e} mean"
        taken = paired(steps, rounds)
    ratios(f"{name}, {batch} images", taken, PEER, deviations=deviations)


def prompts(name: str, rounds: int, device: str, count: int = 64) -> None:
    """Print 64 clicks through each decoder."""
    model, state = peers.ours(CONFIGS[name])
    peer = peers.Transformers(CONFIGS[name], state)
    model, peer.model = model.to(device), peer.model.to(device)
    side = model.image_size // 16
    features = {"image_embedding": torch.randn(1, 256, side, side, device=device)}
    given = {key: value.to(device) for key, value in points(count).items()}
    clicks = PromptTensors(**given, boxes=None, mask_input=None, multimask_output=True)

    def theirs() -> torch.Tensor:
        with precise(device, "bf16"):
            return peer.decode(features["image_embedding"], given, True)[0]

    with torch.inference_mode():
        steps: dict[str, Callable[[], object]] = {PEER: finished(theirs, device)}
        for kind, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            folded = FoldedDecoding(model, dtype)
            compiled = CompiledDecoding(folded, (count,), device=device)
            for label, way in (("folded", folded), ("folded and compiled", compiled)):
                ready, _ = way.prepare(features)
                compiled.calls.wait(600)
                steps[f"{label}, {kind}"] = finished(
                    lambda way=way, ready=ready: way.answer(ready, clicks, None), device
                )
        taken = paired(steps, rounds)
    ratios(f"{name}, {count} clicks on one image", taken, PEER)


if __name__ == "__main__":
    main()
