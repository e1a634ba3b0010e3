"""What every benchmark shares: paired rounds, ratios, a table, the machine, a clean process.

A machine's speed wanders, so that seconds of two runs say little. Here the things that are compared
take turns within one run, and a ratio is the median of the ratios of the rounds.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from sam_plugins.types import Image

Result = TypeVar("Result")

PEERS = Path(__file__).resolve().parents[1] / "tests" / "parity"
"""Where other implementations are built with weights of ours."""

WARM_UP = 1


def paired(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step in every round; steps take turns and the first round does not count."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + WARM_UP):
        for name, step in steps.items():
            seconds = timed(step)
            if number >= WARM_UP:
                taken[name].append(seconds)
    return taken


def timed(step: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def ratio(peer: Sequence[float], ours: Sequence[float]) -> float:
    """How many times faster ours is: the median over rounds."""
    return statistics.median(a / b for a, b in zip(peer, ours, strict=True))


def milliseconds(seconds: Sequence[float]) -> str:
    """The median."""
    return f"{statistics.median(seconds) * 1000:,.1f}"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a markdown table."""
    print(f"\n### {title}\n")
    print(f"| {' | '.join(columns)} |")
    print(f"|{'|'.join([' --- '] + [' ---: '] * (len(columns) - 1))}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def ratios(
    title: str,
    taken: Mapping[str, Sequence[float]],
    peer: str,
    *,
    targets: Mapping[str, float] | None = None,
    deviations: Mapping[str, str] | None = None,
) -> None:
    """Print what was measured beside one peer."""
    targets, deviations = targets or {}, deviations or {}
    rows = [
        (
            name,
            milliseconds(seconds),
            "1" if name == peer else f"{ratio(taken[peer], seconds):.2f}",
            f"{targets[name]:.1f}" if name in targets else "",
            deviations.get(name, ""),
        )
        for name, seconds in taken.items()
    ]
    columns = ("", "median ms", "times the peer's speed", "aim", "deviation from the peer")
    table(f"{title} (peer: {peer})", columns, rows)


def machine(threads: int) -> str:
    """What the figures were measured on."""
    import torch

    return (
        f"{cpu_name()}, {os.cpu_count()} cores, {threads} threads; Python "
        f"{platform.python_version()}, torch {torch.__version__}, {platform.system()}; load "
        f"{load()}"
    )


def cpu_name() -> str:
    """The processor's own name where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def load() -> str:
    """How busy the machine is besides; figures of a busy machine are too high."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def peak_bytes() -> int:
    """The most memory this process ever held."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def picture(height: int, width: int, seed: int) -> Image:
    """Soft random colours with discs: something to segment, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (8, 8, 3), np.uint8)
    image = np.kron(coarse, np.ones((-(-height // 8), -(-width // 8), 1), np.uint8))
    image = np.ascontiguousarray(image[:height, :width])
    rows, columns = np.ogrid[:height, :width]
    for _ in range(20):
        y, x, radius = rng.uniform(0, (height, width, min(height, width) / 6))
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = rng.integers(0, 256, 3)
    return image
