"""A segmenter whose model lives in another process."""

import os
import queue
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from sam_plugins.automatic import AutomaticSettings, Progress
from sam_plugins.device import thread_budget
from sam_plugins.errors import WorkerError
from sam_plugins.ports import SegmenterInfo
from sam_plugins.types import Box, Embedding, Image, MaskRecord, Masks, Prompt
from sam_plugins.worker.failures import Failure
from sam_plugins.worker.process import Answers, ModelProcess
from sam_plugins.worker.references import Reference
from sam_plugins.worker.status import WorkerStatus

__all__ = ["WorkerSegmenter", "open_worker"]

AHEAD = 8
"""Items of a stream that the model may compute before the caller has taken them."""

SECONDS_BETWEEN_STOPS = 0.05
"""Between two questions to `stop` while the model computes."""


class WorkerSegmenter:
    """A segmenter whose model lives in another process; made by `open_worker`.

    Safe to share between threads: prompts are answered while a picture is encoded. Where the
    process ends unexpectedly, whoever waits gets a `WorkerError` at once, and the next request
    starts it again. Requests may be made before the model is ready; they wait for it.

    Parameters
    ----------
    start
        Starts a process.

    Raises
    ------
    WorkerError
        From every method, if the process ends or cannot be started, or was closed.
    SamPluginsError
        From every method, why the model could not be opened.
    """

    def __init__(self, start: Callable[[], ModelProcess]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._running = [start()]
        self._closed = False
        self._end = weakref.finalize(self, _close_all, self._running)  # also when Python exits

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities; waits until the model is ready."""
        return self.wait_ready()

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        return self._running[0].pid

    def wait_ready(self, timeout: float | None = None) -> SegmenterInfo:
        """Wait until the model answers.

        Parameters
        ----------
        timeout
            Seconds; None waits for as long as it takes.

        Raises
        ------
        TimeoutError
            If it takes longer.
        """
        return self._process().wait_ready(timeout)

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`."""
        embedding: Embedding = self._call("encode", {"image": image, "region": region})
        return embedding

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`; closing the iterator ends the work at the next image."""
        return self._stream("encode_many", {"images": list(images)})

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """As `Segmenter.decode`."""
        arguments = {
            "embedding": embedding,
            "prompt": prompt,
            "multimask_output": multimask_output,
        }
        masks: Masks = self._call("decode", arguments)
        return masks

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`; closing the iterator ends the work at the next answer."""
        arguments = {
            "embedding": embedding,
            "prompts": list(prompts),
            "multimask_output": multimask_output,
            "pred_iou_thresh": pred_iou_thresh,
        }
        return self._stream("decode_many", arguments)

    def generate_masks(
        self,
        image: Image,
        settings: AutomaticSettings | None = None,
        *,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Progress | MaskRecord]:
        """As `sam_plugins.generate_masks`, run whole in the other process.

        `stop` is asked here, between items and while the model computes: True ends the search, and
        the masks found until then follow.
        """
        arguments = {"image": image, "settings": settings}
        return self._stream("generate_masks", arguments, stop)

    def close(self) -> None:
        """End the process, also in the middle of work; whoever waits gets a `WorkerError`."""
        with self._lock:
            self._closed = True
        self._end()

    def _process(self) -> ModelProcess:
        """The one that runs; started again if it ended."""
        with self._lock:
            if self._closed:
                raise WorkerError("The model was closed: open it again to ask it something.")
            if self._running[0].ended:
                self._running[0] = self._start()
            return self._running[0]

    def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        process = self._process()
        for whole in (False, True):
            _, answers = process.ask("call", method, _sendable(process, arguments, whole))
            verb, *values = answers.get()
            if verb != "unknown":
                break
        return _value(process, verb, values)

    def _stream(
        self, method: str, arguments: dict[str, Any], stop: Callable[[], bool] | None = None
    ) -> Iterator[Any]:
        process = self._process()
        for whole in (False, True):
            number, answers = process.ask(
                "stream", method, _sendable(process, arguments, whole), AHEAD
            )
            verb, *values = answers.get()
            if verb != "unknown":
                break
        _value(process, verb, values)  # what is wrong with the arguments is raised here
        return _items(process, number, answers, stop)


def _items(
    process: ModelProcess, number: int, answers: Answers, stop: Callable[[], bool] | None
) -> Generator[Any, None, None]:
    """What a stream gives; ended in the other process when this generator is closed."""
    taken, ended = 0, False
    try:
        while True:
            if stop is not None and stop():
                process.tell("finish", number)
                stop = None
            try:
                verb, *values = answers.get(timeout=None if stop is None else SECONDS_BETWEEN_STOPS)
            except queue.Empty:
                continue
            if verb != "item":
                ended = True
                _value(process, verb, values)
                return
            taken += 1
            if taken >= AHEAD // 2:
                process.tell("more", number, taken)
                taken = 0
            yield _value(process, verb, values)
    finally:
        if not ended:
            process.forget(number)
            process.tell("close", number)


def _sendable(process: ModelProcess, arguments: dict[str, Any], whole: bool) -> dict[str, Any]:
    return {
        name: process.sent.reference(value, whole=whole) if isinstance(value, Embedding) else value
        for name, value in arguments.items()
    }


def _value(process: ModelProcess, verb: str, values: list[Any]) -> Any:
    """What an answer holds; raises it if it is an error."""
    if verb == "ended":
        raise type(values[0])(*values[0].args)  # of its own for each thread that waits
    value = values[0] if values else None
    if isinstance(value, Failure):
        raise value.error()
    return process.sent.received(value) if isinstance(value, Reference) else value


def _close_all(running: list[ModelProcess]) -> None:
    for process in running:
        process.close()


def open_worker(
    model: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    precision: str = "fp32",
    engine: str = "auto",
    store: str | os.PathLike[str] | None = "default",
    threads: int | None = None,
    on_status: Callable[[WorkerStatus], None] | None = None,
    target: str = "sam_plugins.session:open_segmenter",
) -> WorkerSegmenter:
    """A model in a process of its own, on its way; returns at once.

    This process loads no torch. The other one has lower priority, leaves one core free, and ends
    with this one.

    Parameters
    ----------
    model, device, precision, engine, store
        As in `open_segmenter`; embeddings are kept on the disk by default.
    threads
        For computing; by default one fewer than `thread_budget`, at least one. The environment
        variable ``SAM_PLUGINS_THREADS`` overrides it.
    on_status
        Called with each `WorkerStatus`, from another thread.
    target
        "module:function" that opens the model in the other process, called as `open_segmenter`.

    Raises
    ------
    WorkerError
        If the process cannot be started. What is wrong with the model is raised by
        `WorkerSegmenter.wait_ready` and every request.
    """
    arguments = {
        "model": None if model is None else os.fspath(model),
        "device": device,
        "precision": precision,
        "engine": engine,
        "store": None if store is None else os.fspath(store),
    }
    count = threads or max(thread_budget() - 1, 1)
    follow = on_status or (lambda status: None)
    return WorkerSegmenter(lambda: ModelProcess(target, arguments, count, follow))
