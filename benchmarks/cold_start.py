"""What a user waits for, and the memory it takes: from nothing to the first mask.

    python benchmarks/cold_start.py

Each row is a fresh process that imports the library, opens a model, encodes a picture of 1024 x 768
and answers one click, with seconds since the process was started and the most memory it held. The
peer does the same with `transformers`. `vit_b` has random weights, in a file like the published
one. The rows take turns; figures are medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import PEERS, machine, peak_bytes, picture, table

SIZE = (768, 1024)
STEPS = ("imported", "opened", "first mask", "second picture")

ROWS = {
    "nano": ("ours", "nano", "auto", "fp32"),
    "vit_b, openvino, fp32": ("ours", "vit_b", "openvino", "fp32"),
    "vit_b, openvino, bf16": ("ours", "vit_b", "openvino", "bf16"),
    "vit_b, torch, fp32": ("ours", "vit_b", "torch", "fp32"),
    "vit_b, transformers": ("peer", "vit_b", "", ""),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "vit_b.pth"
        save_random_vit_b(weights)
        print(machine(options.threads))
        found: dict[str, list[dict[str, float]]] = {name: [] for name in options.rows}
        for _ in range(options.rounds):
            for name in options.rows:
                found[name].append(measured(ROWS[name], weights, options.threads))
    rows = []
    for name, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        seconds = [f"{middle[step]:.1f}" for step in STEPS]
        rows.append((name, *seconds, f"{middle['peak'] / 1e9:.2f}"))
    columns = ("", *(f"{step}, s" for step in STEPS), "peak memory, GB")
    table("From the start of a process", columns, rows)


def save_random_vit_b(path: Path) -> None:
    """A checkpoint with the published names and shapes."""
    import torch

    sys.path.insert(0, str(PEERS))
    import peers

    torch.save(peers.ours(peers.VIT_B)[1], path)


def measured(row: tuple[str, ...], weights: Path, threads: int) -> dict[str, float]:
    """One fresh process."""
    command = [sys.executable, __file__, "--child", *row, str(weights), str(threads)]
    # A path file of a development environment costs every process the same.
    started = time.time()
    environment = os.environ | {"STARTED": repr(started), "SAM_PLUGINS_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def child(kind: str, model: str, engine: str, precision: str, weights: str, threads: str) -> None:
    """What is measured; prints JSON."""
    started, taken = float(os.environ["STARTED"]), {}

    def note(step: str) -> None:
        taken[step] = time.time() - started

    images = [picture(*SIZE, seed) for seed in range(2)]
    name = model if model == "nano" else weights
    if kind == "ours":
        from sam_plugins import Prompt, open_segmenter

        note("imported")
        segmenter = open_segmenter(name, engine=engine, precision=precision)
        note("opened")
        click = Prompt(point_coords=[(400, 300)], point_labels=[1])
        for step, image in zip(STEPS[2:], images, strict=True):
            segmenter.decode(segmenter.encode(image), click).best()
            note(step)
    else:
        with_transformers(note, images, name, int(threads))
    print(json.dumps(taken | {"peak": peak_bytes()}))


def with_transformers(note, images, weights: str, threads: int) -> None:  # type: ignore[no-untyped-def]
    """The same steps with the peer, fed with pixels of its input size."""
    import torch

    torch.set_num_threads(threads)
    sys.path.insert(0, str(PEERS))
    import peers

    peers.require("transformers")
    note("imported")
    state = torch.load(weights, weights_only=True, mmap=True)
    peer = peers.Transformers(peers.VIT_B, state)
    note("opened")
    from sam_plugins.transforms import normalised, resize_longest_side

    click = {
        "point_coords": torch.tensor([[[400.0, 300.0]]]),
        "point_labels": torch.ones(1, 1, dtype=torch.int32),
    }
    for step, image in zip(STEPS[2:], images, strict=True):
        small = resize_longest_side(image, 1024)
        pixels = normalised(small, 1024, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        with torch.inference_mode():
            logits, scores = peer.decode(peer.encode(torch.from_numpy(pixels)[None]), click, True)
            best = logits[:, scores.argmax()][:, None]
            whole = torch.nn.functional.interpolate(best, (1024, 1024), mode="bilinear")
            _ = whole[..., :768, :] > 0
        note(step)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
