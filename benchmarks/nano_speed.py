"""How long the bundled model takes: one encoding, one click, one full mask.

    python benchmarks/nano_speed.py

Medians over rounds in which the steps take turns, with two threads. The targets stand beside the
figures; nothing fails.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from measure import machine, picture, table

from sam_plugins import Prompt, SamPluginsError, open_segmenter
from sam_plugins.ports import Segmenter
from sam_plugins.types import Image

Result = TypeVar("Result")

TARGETS_MS = {"encode": 150.0, "click": 30.0}


def main() -> int:
    """Print the machine and the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano", help="name or checkpoint")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, nargs=2, default=(768, 1024), metavar=("H", "W"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    segmenter = open_segmenter(options.model, device=options.device)
    times: dict[str, list[float]] = {}
    for number in range(options.rounds + 2):
        found = one_round(segmenter, picture(*options.size, seed=number))
        if number >= 2:
            for name, seconds in found.items():
                times.setdefault(name, []).append(seconds * 1000)
    print(machine(options.threads))
    info = segmenter.info
    title = (
        f"{info.name}, {info.numerics} on {info.device} ({info.engine}), longest side "
        f"{info.image_size} px, picture {options.size[0]} x {options.size[1]}, "
        f"{options.rounds} rounds"
    )
    rows = []
    for name, values in times.items():
        shown = [f"{of(values):.1f}" for of in (statistics.median, min, max)]
        target = TARGETS_MS.get(name)
        rows.append((name, *shown, f"under {target:.0f}" if target else ""))
    table(title, ("", "median ms", "fastest ms", "slowest ms", "aim"), rows)
    return 0


def one_round(segmenter: Segmenter, image: Image) -> dict[str, float]:
    """Seconds of every step, on a picture that was never seen before."""
    height, width = image.shape[:2]
    clicks = [
        Prompt(point_coords=[(width * part, height * part)], point_labels=[1])
        for part in (0.4, 0.6)
    ]
    taken: dict[str, float] = {}
    embedding = timed(taken, "encode", lambda: segmenter.encode(image))
    timed(taken, "first click of a picture", lambda: segmenter.decode(embedding, clicks[0]))
    masks = timed(taken, "click", lambda: segmenter.decode(embedding, clicks[1]))
    timed(taken, "best mask at full size", masks.best)
    timed(taken, "three masks at full size", lambda: masks.masks)
    box = Prompt(box=(width * 0.25, height * 0.25, width * 0.75, height * 0.75))
    timed(taken, "box", lambda: segmenter.decode(embedding, box))
    return taken


def timed(taken: dict[str, float], name: str, step: Callable[[], Result]) -> Result:
    """Run a step and note its seconds."""
    start = time.perf_counter()
    result = step()
    taken[name] = time.perf_counter() - start
    return result


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SamPluginsError as error:
        sys.exit(f"{error}")
