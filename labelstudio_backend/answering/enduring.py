"""A model whose process may die or hang: what was asked of it then is asked again, a few times."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sam_plugins import AutomaticSettings, Progress, generate_masks
from sam_plugins.errors import WorkerError
from sam_plugins.ports import Segmenter, SegmenterInfo
from sam_plugins.types import Box, Embedding, Image, MaskRecord, Masks, Prompt

__all__ = ["EnduringSegmenter"]

T = TypeVar("T")

MORE_TRIES = 3
"""How often something is asked again: a process that was killed may be killed while it starts."""

HANG_SECONDS = 300.0
"""Longer than the largest model needs for one picture on a CPU: who takes longer has stopped."""


class EnduringSegmenter:
    """Asks again where the model's process ended while it worked; at last the error is raised.

    A process that does not answer for `hang_seconds` is ended, so that nobody waits for ever; what
    was asked of it then is not asked again.

    A segmenter gives the same answer to the same question, so that a repeated one is not seen.
    Safe to share between threads.

    Parameters
    ----------
    segmenter
        One that starts its process again at the next request, as `open_worker` gives it, or any.
    on_death
        Called whenever something is asked again.
    hang_seconds
        For one picture to be encoded, or one prompt to be answered; the opening of the model
        counts as well.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        on_death: Callable[[], None],
        *,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        self._segmenter = segmenter
        self._on_death = on_death
        self._hang_seconds = hang_seconds

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities; waits until the model is ready."""
        return self._again(lambda: self._segmenter.info)

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`."""
        return self._again(lambda: self._segmenter.encode(image, region=region))

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`."""
        return self._stream(lambda: self._segmenter.encode_many(images))

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """As `Segmenter.decode`."""
        return self._again(
            lambda: self._segmenter.decode(embedding, prompt, multimask_output=multimask_output)
        )

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`; checked at the call."""
        return self._stream(
            lambda: self._segmenter.decode_many(
                embedding,
                prompts,
                multimask_output=multimask_output,
                pred_iou_thresh=pred_iou_thresh,
            )
        )

    def generate_masks(
        self,
        image: Image,
        settings: AutomaticSettings | None = None,
        *,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Progress | MaskRecord]:
        """As `sam_plugins.generate_masks`, in the model's process where it has one.

        Progress begins anew where the process died; no mask comes twice.
        """
        own = getattr(self._segmenter, "generate_masks", None)

        def start() -> Iterator[Progress | MaskRecord]:
            if own is None:
                return generate_masks(self._segmenter, image, settings, stop=stop)
            found: Iterator[Progress | MaskRecord] = own(image, settings, stop=stop)
            return found

        return self._stream(start, lambda item: isinstance(item, MaskRecord))

    def close(self) -> None:
        """End the process, if it has one."""
        close = getattr(self._segmenter, "close", None)
        if close is not None:
            close()

    def _again(self, ask: Callable[[], T]) -> T:
        tries_left = MORE_TRIES
        while True:
            with self._watched() as hung:
                try:
                    return ask()
                except WorkerError:
                    if hung.is_set() or not tries_left:
                        raise
            tries_left -= 1
            self._on_death()

    @contextmanager
    def _watched(self) -> Iterator[threading.Event]:
        """End the process that works if it takes too long; the event says whether that was done."""
        hung = threading.Event()

        def end() -> None:
            hung.set()
            pid = getattr(self._segmenter, "pid", None)
            if pid is not None:
                with suppress(OSError):
                    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

        timer = threading.Timer(self._hang_seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield hung
        finally:
            timer.cancel()

    def _stream(
        self, start: Callable[[], Iterator[T]], counts: Callable[[T], bool] = lambda item: True
    ) -> Iterator[T]:
        """What a stream gives, and what is wrong with its arguments at once."""
        return self._items(start, self._again(start), counts)

    def _items(
        self, start: Callable[[], Iterator[T]], items: Iterator[T], counts: Callable[[T], bool]
    ) -> Iterator[T]:
        given, deaths = 0, 0
        while True:
            known, died = given, False
            try:
                for item in items:
                    if counts(item) and known:
                        known -= 1
                        continue
                    given += counts(item)
                    yield item
            except WorkerError:
                if deaths == MORE_TRIES:
                    raise
                died = True
            finally:
                _close(items)
            if not died:
                return
            deaths += 1
            self._on_death()
            items = start()


def _close(items: Any) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        close()
