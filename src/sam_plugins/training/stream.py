"""Batches made ahead of the training step, in processes of their own."""

import multiprocessing
from collections.abc import Callable, Iterator
from queue import Empty, Full
from typing import Any

import cv2

from sam_plugins.errors import DatasetError, SamPluginsError
from sam_plugins.training.pool import Pool
from sam_plugins.training.recipe import Recipe
from sam_plugins.training.sampler import Batch, Sampler

__all__ = ["batch_stream"]

AHEAD = 4
PATIENCE_SECONDS = 2.0


def batch_stream(
    load: Callable[[], Pool],
    recipe: Recipe,
    *,
    seed: int,
    image_size: int,
    first: int,
    steps: int,
    workers: int = 1,
) -> Iterator[Batch]:
    """Yield the batches `first` to `steps`, in order; the same whatever `workers` is.

    `load` reads the pool, in every worker: it is a function of a module or a `functools.partial`
    of one. With `workers` 0 batches are made in this process.

    Raises
    ------
    DatasetError
        If the pool cannot be read or a worker dies.
    """
    arguments = (load, recipe, seed, image_size)
    if workers == 0:
        sampler = _sampler(*arguments)
        for step in range(first, steps):
            yield _draw(sampler, recipe, step, steps)
        return
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(AHEAD) for _ in range(workers)]
    processes = [
        context.Process(
            target=_work,
            args=(queue, arguments, range(first + offset, steps, workers), steps),
            daemon=True,
        )
        for offset, queue in enumerate(queues)
    ]
    for process in processes:
        process.start()
    try:
        for step in range(first, steps):
            which = (step - first) % workers
            yield _take(queues[which], processes[which])
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _sampler(load: Callable[[], Pool], recipe: Recipe, seed: int, image_size: int) -> Sampler:
    return Sampler(
        load(), dict(recipe.sets), seed=seed, image_size=image_size, objects=recipe.objects
    )


def _draw(sampler: Sampler, recipe: Recipe, step: int, steps: int) -> Batch:
    stage = recipe.stage(step / steps)
    return sampler.batch(step, stage.size, stage.count)


def _work(queue: Any, arguments: tuple[Any, ...], numbers: range, steps: int) -> None:
    cv2.setNumThreads(1)
    try:
        sampler = _sampler(*arguments)
        for step in numbers:
            if not _delivered(queue, _draw(sampler, arguments[1], step, steps)):
                return
    except SamPluginsError as error:
        _delivered(queue, error)


def _delivered(queue: Any, item: Batch | SamPluginsError) -> bool:
    """Wait for room in the queue; False when whoever reads it was killed."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            queue.put(item, timeout=PATIENCE_SECONDS)
        except Full:
            continue
        return True
    queue.cancel_join_thread()
    return False


def _take(queue: Any, process: Any) -> Batch:
    while True:
        try:
            item = queue.get(timeout=PATIENCE_SECONDS)
        except Empty:
            if process.is_alive():
                continue
            raise DatasetError(
                "A process that prepares training pictures died (out of memory?): start again "
                "with the same folder to resume, or with workers=0."
            ) from None
        if isinstance(item, SamPluginsError):
            raise item
        batch: Batch = item
        return batch
