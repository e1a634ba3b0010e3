"""The Label Studio backend over HTTP: the second click of a picture, and many annotators at once.

    python benchmarks/label_studio.py clicks
    python benchmarks/label_studio.py annotators --seconds 120

A real server is started for each; Label Studio itself is not needed, requests are those it sends.
`clicks` prints milliseconds, and how much of them the model needs by itself. `annotators` compares
every answer with the core's own for the same clicks; its exit code is 1 if one differs, or if a
request ends in an error other than 503.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from label_studio_load import Load, Outcome, expected_answers, run_load
from label_studio_server import Backend, click_body, points_region, serving, write_pictures
from measure import machine, picture, table

from sam_plugins import Interaction, Refiner, TiledImage, open_segmenter

ACCEPTED = 100
"""Regions that are on the task already in the second row."""

AIMS_MS = {"second click": 60, f"second click, {ACCEPTED} regions on the task": 120}


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("clicks", "annotators"))
    parser.add_argument("--model", default="nano", help="name or checkpoint")
    parser.add_argument("--rounds", type=int, default=30, help="of `clicks`")
    parser.add_argument("--size", type=int, nargs=2, default=(2000, 3000), metavar=("H", "W"))
    parser.add_argument("--seconds", type=float, default=120, help="of `annotators`")
    parser.add_argument("--annotators", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sam-plugins-") as folder:
        if options.part == "clicks":
            return clicks(options, Path(folder))
        return annotators(options, Path(folder))


def clicks(options: argparse.Namespace, folder: Path) -> int:
    """Milliseconds of a click on a picture whose embedding is there."""
    size = tuple(options.size)
    addresses = write_pictures(folder / "files", 2, size)
    taken: dict[str, list[float]] = {}
    with serving(folder, options.model) as backend:
        taken["first click of a new picture"] = [asked(backend, addresses[1], size, 1)]
        asked(backend, addresses[0], size, 1)
        accepted = backend.answer(click_body(1, addresses[0], [points_region(50, 50)], size))
        regions = accepted["results"][0]["result"] * ACCEPTED
        names = list(AIMS_MS)
        for number in range(options.rounds + 2):
            # A second click: the first was answered just before, and is not counted.
            for name, there in zip(names, ([], regions), strict=True):
                x = 20 + 60 * number / options.rounds
                first = points_region(x, 45)
                backend.answer(click_body(1, addresses[0], [first], size, there))
                both = [first, points_region(x + 3, 55)]
                body = click_body(1, addresses[0], both, size, there)
                start = time.perf_counter()
                backend.post(body)
                if number >= 2:
                    taken.setdefault(name, []).append(time.perf_counter() - start)
    taken["the core alone: the same second click, no HTTP"] = core_clicks(options)
    print(machine(os.cpu_count() or 1))
    rows = [
        (name, *(f"{of(times) * 1000:.1f}" for of in (statistics.median, min, max)), aim(name))
        for name, times in taken.items()
    ]
    title = f"{options.model}, pictures of {size[0]} x {size[1]}, {options.rounds} rounds"
    table(title, ("", "median ms", "fastest ms", "slowest ms", "aim"), rows)
    return 0


def aim(name: str) -> str:
    """What the median should stay below."""
    return f"under {AIMS_MS[name]}" if name in AIMS_MS else ""


def asked(backend: Backend, address: str, size: tuple[int, int], task: int) -> float:
    """Seconds of one click."""
    body = click_body(task, address, [points_region(40, 40)], size)
    start = time.perf_counter()
    backend.post(body)
    return time.perf_counter() - start


def core_clicks(options: argparse.Namespace) -> list[float]:
    """Seconds of the second click in the core."""
    height, width = options.size
    refiner = Refiner(TiledImage(open_segmenter(options.model), picture(height, width, seed=0)))
    taken = []
    for number in range(options.rounds + 2):
        x = (20 + 60 * number / options.rounds) * width / 100
        first = (x, 0.45 * height, 1)
        refiner.answer(Interaction(points=(first,)))
        start = time.perf_counter()
        refiner.answer(Interaction(points=(first, (x + 0.03 * width, 0.55 * height, 1))))
        taken.append(time.perf_counter() - start)
    return taken[2:]


def annotators(options: argparse.Namespace, folder: Path) -> int:
    """Many annotators at once; 1 if an answer is wrong or a request fails."""
    size = tuple(options.size)
    addresses = write_pictures(folder / "files", options.annotators, size)
    load = Load(addresses, size, options.annotators, options.seconds)
    expected = expected_answers(load, folder / "files", options.model)
    with serving(folder, options.model) as backend:
        outcome = run_load(load, backend, expected)
    print(machine(os.cpu_count() or 1))
    show(outcome, options)
    return 0 if outcome.right else 1


def show(outcome: Outcome, options: argparse.Namespace) -> None:
    """Print what happened."""
    times = outcome.seconds
    rows = [
        ("answers, each compared with the core's", f"{len(times):,}"),
        ("wrong masks", str(len(outcome.wrong))),
        ("refused with 503", str(outcome.refused)),
        ("other errors", str(len(outcome.errors))),
        ("median ms", f"{statistics.median(times) * 1000:.0f}" if times else "-"),
        ("95th percentile ms", f"{sorted(times)[int(len(times) * 0.95)] * 1000:.0f}"),
        ("memory after the first fifth, MB", f"{outcome.early_bytes / 1e6:.0f}"),
        ("most memory afterwards, MB", f"{outcome.late_bytes / 1e6:.0f}"),
    ]
    title = (
        f"{options.annotators} annotators on {options.annotators} pictures of {options.size[0]} x "
        f"{options.size[1]} for {options.seconds:.0f} s, {options.model}"
    )
    table(title, ("", ""), rows)
    for sentence in (*outcome.wrong[:5], *outcome.errors[:5]):
        print(sentence)


if __name__ == "__main__":
    sys.exit(main())
