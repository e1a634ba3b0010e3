"""Batches: decided by seed and number alone, and true to the labels."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scenes_for_tests import SMALL, small_pool

from sam_plugins.training.sampler import Batch, Sampler
from sam_plugins.training.scenes import SceneMaker
from sam_plugins.training.stream import batch_stream


def _same(first: Batch, second: Batch) -> None:
    for name in Batch.__slots__:
        assert_array_equal(getattr(first, name), getattr(second, name))


def _sampler(seed: int = 3) -> Sampler:
    sets = {"cells": 0.7, "synthetic": 0.3}
    return Sampler(small_pool(), sets, seed=seed, image_size=64, objects=3)


def test_a_batch_depends_on_its_number_and_seed_only() -> None:
    one, other = _sampler(), _sampler()
    other.batch(7, 64, 2)
    _same(one.batch(4, 64, 2), other.batch(4, 64, 2))
    assert not np.array_equal(one.batch(5, 64, 2).pixels, one.batch(4, 64, 2).pixels)
    assert not np.array_equal(_sampler(4).batch(4, 64, 2).pixels, one.batch(4, 64, 2).pixels)


def test_workers_change_nothing() -> None:
    def batches(workers: int, first: int) -> list[Batch]:
        return list(
            batch_stream(
                small_pool, SMALL, seed=1, image_size=64, first=first, steps=5, workers=workers
            )
        )

    plain = batches(0, 0)
    assert len(plain) == 5
    for one, other in zip(plain, batches(2, 0), strict=True):
        _same(one, other)
    for one, other in zip(plain[3:], batches(1, 3), strict=True):
        _same(one, other)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import multiprocessing
from scenes_for_tests import SMALL, small_pool
from sam_plugins.training.stream import batch_stream

if __name__ == "__main__":
    stream = batch_stream(
        small_pool, SMALL, seed=1, image_size=64, first=0, steps=10_000, workers=1
    )
    next(stream)
    print(multiprocessing.active_children()[0].pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes end differently here")
def test_workers_end_when_the_training_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "stream.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    for _ in range(300):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its training by a minute")


def test_centres_lie_inside_their_objects_and_padding_is_zero() -> None:
    sampler = _sampler()
    for number in range(20):
        batch = sampler.batch(number, 64, 2)
        assert batch.pixels.dtype == np.float32
        assert batch.pixels.shape == (2, 3, 64, 64)
        for mask, (x, y), crop in zip(batch.targets, batch.centres, batch.index, strict=True):
            assert mask[int(y), int(x)] == 1
            assert mask.sum() >= sampler.min_area
            assert not (mask & (batch.labels[crop] < 0)).any()


def test_scenes_hold_objects_on_every_level() -> None:
    maker = SceneMaker([], [], seed=0)
    for number in range(20):
        picture = maker.draw(np.random.default_rng(number), 96)
        assert picture.image.shape == (96, 96, 3)
        assert picture.image.dtype == np.uint8
        assert picture.image.std() > 0
        for level in picture.levels:
            assert level.any()
