"""Fine-tune a model on a user's own pictures, and say whether it became better."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from sam_plugins.device import choose_device
from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import LabelledImage, Report, evaluate_segmenter, load_labelled
from sam_plugins.evaluation.dataset import IGNORE_LABEL, read_folder
from sam_plugins.session import open_segmenter
from sam_plugins.training.loop import Progress, Trainer
from sam_plugins.training.pool import IGNORE, Picture, Pool, shrunk
from sam_plugins.training.recipe import FINE_TUNING, Recipe, Stage
from sam_plugins.training.stream import batch_stream
from sam_plugins.training.tasks import task_for
from sam_plugins.weights import load_model

__all__ = ["TrainingResult", "held_out", "train", "train_steps"]

HELD_OUT_SHARE = 0.15
FEWEST_TO_HOLD_OUT = 5
LARGEST_LABEL = IGNORE - 1


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a fine-tuning gave.

    Parameters
    ----------
    weights
        safetensors file; ``open_segmenter(weights)`` opens it.
    before, after
        IoU on the pictures held out, None if there were too few to hold any out.
    """

    weights: Path
    before: Report | None
    after: Report | None


def train(
    *,
    data: Path | str,
    model: str = "nano",
    out: Path | str = "runs/train",
    steps: int = 500,
    learning_rate: float | None = None,
    freeze_encoder: bool | None = None,
    device: str | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Fine-tune and measure; call again with the same `out` to resume or to go on.

    Parameters
    ----------
    data
        Folder with ``images`` and ``masks``: whole-number masks of the pictures' sizes, one value
        per object, 0 background, 65535 unknown.
    model
        Name or path of the weights to start from.
    out
        Receives ``last.pt``, ``log.jsonl`` and ``weights.safetensors``.
    steps
        Length of the whole run.
    learning_rate, freeze_encoder
        As in `Recipe`; by default what suits the model's family.
    progress
        Called after every step.

    Raises
    ------
    DatasetError
        If the data cannot be used.
    CheckpointError
        If the starting weights cannot be loaded.
    """
    folder = Path(out)
    for step in train_steps(
        data=data,
        model=model,
        out=folder,
        steps=steps,
        device=device,
        seed=seed,
        workers=workers,
        learning_rate=learning_rate,
        freeze_encoder=freeze_encoder,
    ):
        if progress is not None:
            progress(step)
    weights = folder / "weights.safetensors"
    _, held = held_out(read_folder(Path(data)))
    if not held:
        return TrainingResult(weights, None, None)
    before, after = (
        evaluate_segmenter(open_segmenter(str(which), device=device), held)
        for which in (model, weights)
    )
    return TrainingResult(weights, before, after)


def train_steps(
    *,
    data: Path | str,
    model: str,
    out: Path,
    steps: int,
    learning_rate: float | None = None,
    freeze_encoder: bool | None = None,
    device: str | None = None,
    seed: int = 0,
    workers: int = 1,
) -> Iterator[Progress]:
    """The steps of `train`; closing the iterator stops it, and it can be resumed."""
    kept, _ = held_out(read_folder(Path(data)))
    loaded = load_model(model)
    recipe = _recipe(loaded.variant, loaded.model.image_size, learning_rate, freeze_encoder)
    torch.manual_seed(seed)
    trainer = Trainer(
        task_for(loaded.model),
        recipe,
        steps=steps,
        folder=out,
        seed=seed,
        device=choose_device(device),
    )
    trainer.resume()
    batches = batch_stream(
        partial(folder_pool, tuple(kept)),
        recipe,
        seed=seed,
        image_size=loaded.model.image_size,
        first=trainer.step,
        steps=steps,
        workers=workers,
    )
    yield from trainer.run(batches)
    state = {name: value.contiguous().cpu() for name, value in trainer.average.items()}
    save_file(state, out / "weights.safetensors", metadata={"model": loaded.variant})


def held_out(
    items: Sequence[LabelledImage],
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Pictures to train on and pictures to measure on, decided by their names alone."""
    count = round(len(items) * HELD_OUT_SHARE) if len(items) >= FEWEST_TO_HOLD_OUT else 0
    order = sorted(items, key=lambda item: zlib.crc32(item.id.encode()))
    held = {item.id for item in order[:count]}
    return (
        [item for item in items if item.id not in held],
        [item for item in items if item.id in held],
    )


def folder_pool(items: Sequence[LabelledImage]) -> Pool:
    """Read labelled pictures into a pool with one set, "data"."""
    return Pool({"data": [_picture(item) for item in items]})


def _picture(item: LabelledImage) -> Picture:
    sample = load_labelled(item)
    values, ranks = np.unique(sample.labels, return_inverse=True)
    if len(values) > LARGEST_LABEL:
        raise DatasetError(
            f"{item.mask_path} holds {len(values)} objects; at most {LARGEST_LABEL} are expected: "
            "one whole number per object, not a picture of grey values."
        )
    labels = ranks.reshape(sample.labels.shape).astype(np.int32) + int(values[0] != 0)
    if sample.ignore is not None:
        labels[sample.ignore] = IGNORE_LABEL
    return shrunk(sample.image, (labels,))


def _recipe(
    variant: str, size: int, learning_rate: float | None, freeze_encoder: bool | None
) -> Recipe:
    """The family's fine-tuning recipe with what the user chose."""
    base = FINE_TUNING.get(variant, FINE_TUNING["vit"])
    chosen = {"learning_rate": learning_rate, "freeze_encoder": freeze_encoder}
    return base.changed(
        stages=tuple(Stage(s.start, size, s.count, s.rounds) for s in base.stages),
        **{name: value for name, value in chosen.items() if value is not None},
    )
