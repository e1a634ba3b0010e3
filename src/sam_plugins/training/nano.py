"""Train the bundled model: one command, resumable, recorded.

``python -m sam_plugins.training.nano POOL RUN --steps N`` continues RUN where it stopped and
writes ``nano.safetensors`` (fp16) with its provenance beside it. ``--start WEIGHTS`` begins a new
run from weights instead of from nothing.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sam_plugins.errors import ModelError
from sam_plugins.model.nano import Nano
from sam_plugins.training.loop import Progress, Trainer
from sam_plugins.training.pool import load_pool
from sam_plugins.training.recipe import NANO_CONTINUED, NANO_RECIPE, Recipe
from sam_plugins.training.split import Split, committed_split
from sam_plugins.training.stream import batch_stream
from sam_plugins.training.tasks import NanoTask
from sam_plugins.weights import load_model

__all__ = ["export_weights", "train_nano"]


def train_nano(
    pool: Path,
    folder: Path,
    *,
    steps: int,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    start: Path | None = None,
    recipe: Recipe | None = None,
    split: Split | None = None,
) -> Iterator[Progress]:
    """Train or resume, yielding after every step; on the last one the weights are exported.

    Parameters
    ----------
    pool
        Folder of training sets, laid out as ``<set>/images`` and ``<set>/masks``.
    folder
        Checkpoint, log and exported weights; a later call with it resumes.
    steps
        Length of the whole run. A run may be resumed with another length.
    seed
        Decides first weights, batches and clicks.
    start
        Weights to begin from; random ones by default.
    recipe
        `NANO_RECIPE`, or `NANO_CONTINUED` with `start`, by default.
    """
    split = split or committed_split()
    recipe = recipe or (NANO_CONTINUED if start else NANO_RECIPE)
    torch.manual_seed(seed)
    model = Nano() if start is None else _loaded(start)
    trainer = Trainer(NanoTask(model), recipe, steps=steps, folder=folder, seed=seed, device=device)
    trainer.resume()
    began = time.time()
    batches = batch_stream(
        partial(load_pool, pool, split),
        recipe,
        seed=seed,
        image_size=model.image_size,
        first=trainer.step,
        steps=steps,
        workers=workers,
    )
    _provenance(folder, trainer, split, start=str(start))
    yield from trainer.run(batches)
    export_weights(trainer, folder / "nano.safetensors")
    _provenance(folder, trainer, split, seconds=round(time.time() - began))


def export_weights(trainer: Trainer, path: Path) -> None:
    """Write the averaged weights as fp16 safetensors."""
    halves = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in trainer.average.items()
    }
    save_file(halves, path, metadata={"model": "nano", "step": str(trainer.step)})


def _loaded(start: Path) -> Nano:
    model = load_model(start, variant="nano").model
    if not isinstance(model, Nano):
        raise ModelError(f"{start} holds another model than nano: `sam-plugins train` tunes those.")
    return model


def _provenance(folder: Path, trainer: Trainer, split: Split, **more: Any) -> None:
    """Append what this part of the run was: commit, seed, data, settings, machine."""
    record: dict[str, Any] = {
        "commit": _commit(),
        "seed": trainer.seed,
        "step": trainer.step,
        "steps": trainer.steps,
        "split_sha256": hashlib.sha256(split.to_json().encode()).hexdigest(),
        "recipe": trainer.recipe.as_dict(),
        "torch": torch.__version__,
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{torch.get_num_threads()} threads, {trainer.device}",
        **more,
    }
    with (folder / "provenance.jsonl").open("a") as stream:
        stream.write(json.dumps(record) + "\n")


def _commit() -> str:
    here = resources.files("sam_plugins.training")
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _main() -> None:
    parser = argparse.ArgumentParser(description="Train the bundled model.")
    parser.add_argument("pool", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    options = vars(parser.parse_args())
    for progress in train_nano(options.pop("pool"), options.pop("folder"), **options):
        if progress.step % 20 == 0:
            sys.stderr.write(
                f"step {progress.step}/{progress.steps} loss {progress.loss:.3f} "
                f"chosen {progress.chosen_iou:.3f} best {progress.best_iou:.3f} "
                f"{progress.seconds:.2f} s\n"
            )


if __name__ == "__main__":
    _main()
