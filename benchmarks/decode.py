"""Prompts on an encoded image beside `transformers`, with equal random weights.

    python benchmarks/decode.py

The decoder of every published SAM is the same, so that the size of the encoder does not matter.
Four rows for one click: to low-resolution logits from what the segmenter keeps of an image; the
first click, which makes that; a click as users ask it, value in and value out; and the mask of the
image's size. Then 64 points at once.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from measure import PEERS, machine, milliseconds, paired, ratios, table

sys.path.insert(0, str(PEERS))
import peers

from sam_plugins.model.decoding import Decoding, FoldedDecoding, PlainDecoding, PromptTensors
from sam_plugins.predictor import TorchSegmenter
from sam_plugins.types import Embedding, Prompt

CONFIG = peers.Config(
    image_size=1024,
    embed_dim=32,
    depth=1,
    global_attn_indexes=(0,),
    dim=256,
    decoder_heads=8,
    decoder_mlp_dim=2048,
)
PEER = "transformers, sdpa, fp32"
AIMS_ONE = {"folded, fp32": 2.0, "folded, bf16": 3.5}
AIMS_MANY = {"folded, fp32": 3.0, "folded, bf16": 9.0}
SIDE = CONFIG.image_size
CLICK = Prompt(point_coords=[(700, 800)], point_labels=[1])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--points", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    model, state = peers.ours(CONFIG)
    peer = peers.Transformers(CONFIG, state)
    features = {"image_embedding": torch.randn(1, 256, SIDE // 16, SIDE // 16)}
    ways: dict[str, Decoding] = {
        "plain, fp32": PlainDecoding(model),
        "folded, fp32": FoldedDecoding(model),
        "folded, bf16": FoldedDecoding(model, torch.bfloat16),
    }
    with torch.inference_mode():
        one = points(1)
        compare(
            "One click, warm, to low-resolution logits",
            one,
            ways,
            peer,
            features,
            AIMS_ONE,
            options.rounds,
        )
        first_click(ways, features, options.rounds)
        as_users_ask(model, options.rounds)
        compare(
            f"{options.points} points at once",
            points(options.points),
            ways,
            peer,
            features,
            AIMS_MANY,
            max(3, options.rounds // 3),
        )


def points(count: int) -> dict[str, torch.Tensor]:
    """Random clicks."""
    made = torch.Generator().manual_seed(count)
    return {
        "point_coords": SIDE * torch.rand(count, 1, 2, generator=made),
        "point_labels": torch.ones(count, 1, dtype=torch.int32),
    }


def answers(
    way: Decoding, state: object, prompt: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """In chunks, as the segmenter does."""
    found = []
    for start in range(0, len(prompt["point_coords"]), way.batch_size):
        part = {name: value[start : start + way.batch_size] for name, value in prompt.items()}
        given = PromptTensors(**part, boxes=None, mask_input=None, multimask_output=True)
        found.append(way.answer(state, given, None))
    logits = torch.cat([answer.low_res_logits for answer in found])
    return logits, torch.cat([answer.iou_predictions for answer in found])


def compare(
    title: str,
    prompt: dict[str, torch.Tensor],
    ways: dict[str, Decoding],
    peer: peers.Peer,
    features: dict[str, torch.Tensor],
    aims: dict[str, float],
    rounds: int,
) -> None:
    """Print the ratios of one prompt batch."""
    image = features["image_embedding"]
    steps: dict[str, Callable[[], object]] = {PEER: lambda: peer.decode(image, prompt, True)}
    expected = peer.decode(image, prompt, True)[0].flatten(0, 1)
    deviations = {}
    for name, way in ways.items():
        state, _ = way.prepare(features)
        steps[name] = lambda way=way, state=state: answers(way, state, prompt)
        found = answers(way, state, prompt)[0]
        same = ((found > 0) == (expected > 0)).double().mean().item()
        largest = (found - expected).abs().max().item()
        spread = expected.std().item()
        deviations[name] = f"{largest:.1e} of {spread:.2f}; {100 * same:.4f} % same sign"
    ratios(title, paired(steps, rounds), PEER, targets=aims, deviations=deviations)


def first_click(ways: dict[str, Decoding], features: dict[str, torch.Tensor], rounds: int) -> None:
    """Print what is made once per image."""
    steps = {name: (lambda way=way: way.prepare(features)) for name, way in ways.items()}
    taken = paired(steps, rounds)
    rows = [(name, milliseconds(seconds)) for name, seconds in taken.items()]
    table("What the first click on an image costs besides", ("", "median ms"), rows)


def as_users_ask(model: torch.nn.Module, rounds: int) -> None:
    """Print one click through the public interface, and its masks at the image's size."""
    size = (1500, 2000)
    rows = []
    for numerics in ("fp32", "bf16"):
        segmenter = TorchSegmenter(model, name="random", numerics=numerics)
        embedding = Embedding(
            features={"image_embedding": torch.randn(256, 64, 64).numpy()},
            region=(0, 0, size[1], size[0]),
            original_size=size,
            input_size=(768, 1024),
            padded_size=(1024, 1024),
            encoder_id=segmenter.info.encoder_id,
            key="random",
        )
        masks = segmenter.decode(embedding, CLICK)
        steps: dict[str, Callable[[], object]] = {
            "click, warm": lambda s=segmenter, e=embedding: s.decode(e, CLICK),
            "best mask at full size": masks.best,
            "three masks at full size": lambda m=masks: m.masks,
        }
        for name, seconds in paired(steps, rounds).items():
            rows.append((f"{name}, {numerics}", milliseconds(seconds)))
    title = f"Through `Segmenter.decode`, picture {size[0]} x {size[1]}"
    table(title, ("", "median ms"), rows)


if __name__ == "__main__":
    main()
