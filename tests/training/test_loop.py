"""The loop learns, resumes to the bit and survives being killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes_for_tests import SMALL, small_nano, small_pool

from sam_plugins.errors import DatasetError
from sam_plugins.training.loop import Trainer
from sam_plugins.training.stream import batch_stream
from sam_plugins.training.tasks import NanoTask


def steps_of(folder: Path, steps: int, save_every: int) -> Iterator[int]:
    """Run in a process of its own, to be killed."""
    trainer = Trainer(NanoTask(small_nano()), SMALL, steps=steps, folder=folder, seed=5)
    trainer.resume()
    batches = batch_stream(
        small_pool, SMALL, seed=5, image_size=64, first=trainer.step, steps=steps, workers=0
    )
    for progress in trainer.run(batches, save_every=save_every):
        yield progress.step


def _train(folder: Path, steps: int, until: int) -> Trainer:
    trainer = Trainer(NanoTask(small_nano()), SMALL, steps=steps, folder=folder, seed=5)
    trainer.resume()
    batches = batch_stream(
        small_pool, SMALL, seed=5, image_size=64, first=trainer.step, steps=steps, workers=0
    )
    for progress in trainer.run(batches):
        if progress.step == until:
            break
    return trainer


def test_stopping_and_resuming_gives_the_same_weights_to_the_bit(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole", 6, 6)
    parts = _train(tmp_path / "parts", 6, 3)
    parts.save()
    parts = _train(tmp_path / "parts", 6, 6)
    assert parts.step == whole.step == 6
    for name, value in whole.average.items():
        assert torch.equal(value, parts.average[name]), name


def test_it_learns(tmp_path: Path) -> None:
    trainer = Trainer(NanoTask(small_nano()), SMALL, steps=60, folder=tmp_path, seed=5)
    batches = batch_stream(small_pool, SMALL, seed=5, image_size=64, first=0, steps=60, workers=0)
    losses = [progress.loss for progress in trainer.run(batches)]
    assert np.mean(losses[-15:]) < 0.8 * np.mean(losses[:10])


def test_a_checkpoint_of_another_model_says_so(tmp_path: Path) -> None:
    _train(tmp_path, 2, 2).save()
    other = small_nano()
    other.iou_head = torch.nn.Identity()
    with pytest.raises(DatasetError, match="another model or version"):
        Trainer(NanoTask(other), SMALL, steps=2, folder=tmp_path).resume()


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_loop import steps_of
for step in steps_of(Path(sys.argv[1]), 10_000, save_every=1):
    print(step, flush=True)
"""
KILLS = 8


@pytest.mark.slow
def test_a_kill_at_any_instant_leaves_a_checkpoint_that_resumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    reached = 0
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(2 + rng.integers(3)):
                assert int(process.stdout.readline()) > reached
            time.sleep(rng.uniform(0, 0.1))
            os.kill(process.pid, signal.SIGKILL)
        trainer = Trainer(NanoTask(small_nano()), SMALL, steps=10_000, folder=tmp_path, seed=5)
        assert trainer.resume()
        assert trainer.step > reached
        reached = trainer.step
