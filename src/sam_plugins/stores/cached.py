"""A segmenter that remembers: it looks in a store before it encodes."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from itertools import islice
from typing import Protocol, runtime_checkable

from sam_plugins.ports import EmbeddingStore, Segmenter, SegmenterInfo
from sam_plugins.stores.memory import MemoryStore
from sam_plugins.stores.single_flight import Flight, Flights
from sam_plugins.transforms import checked_region, embedding_key, window_of
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt, Size

__all__ = ["CachedSegmenter", "SharedStore", "warm"]

WAIT_SECONDS = 120.0

_log = logging.getLogger(__name__)


@runtime_checkable
class SharedStore(EmbeddingStore, Protocol):
    """A store that other processes use as well."""

    def lock(self, key: str, seconds: float) -> AbstractContextManager[bool]:
        """Be the only process that computes the embedding of `key`; False when time is over."""
        ...

    def note_encoder(self, info: SegmenterInfo) -> None:
        """Note which model an encoder belongs to."""
        ...


class CachedSegmenter:
    """A segmenter that looks in a store before it encodes.

    Threads, and with a `SharedStore` processes, that ask for the same window at the same time
    encode it once: one leads and the others wait. A leader that fails, is cancelled or dies hands
    over to one that waits; one that stalls is waited for no longer than `wait_seconds`. Nobody
    waits for what the store has.

    Parameters
    ----------
    segmenter
        Encodes what the store does not have, and answers every prompt.
    store
        Where embeddings are kept; `MemoryStore` by default. What it rounds is rounded in the first
        answer already.
    wait_seconds
        How long to wait for another to finish the same window, before encoding it here as well.
    encode_batch_size
        Images that `encode_many` looks at together; by default 1 on a CPU, where batches gain
        nothing, and 16 elsewhere.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        store: EmbeddingStore | None = None,
        *,
        wait_seconds: float = WAIT_SECONDS,
        encode_batch_size: int | None = None,
    ) -> None:
        self._segmenter = segmenter
        self._store = MemoryStore() if store is None else store
        self._shared = self._store if isinstance(self._store, SharedStore) else None
        self._noted = False
        self._wait_seconds = wait_seconds
        on_cpu = segmenter.info.device == "cpu"
        self._batch_size = encode_batch_size or (1 if on_cpu else 16)
        self._flights = Flights()

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities of the segmenter inside."""
        return self._segmenter.info

    @property
    def store(self) -> EmbeddingStore:
        """Where embeddings are kept."""
        return self._store

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`, or from the store."""
        window = checked_region(image, region)
        key = embedding_key(window_of(image, window), self.info.encoder_id)
        found = self._obtain(key, lambda: self._segmenter.encode(image, region=window))
        return _placed(found, window, (image.shape[0], image.shape[1]))

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`; only what the store does not have is encoded, in batches."""
        remaining = iter(images)
        while batch := list(islice(remaining, self._batch_size)):
            yield from self._encode_batch(batch)

    def holds(self, image: Image, *, region: Box | None = None) -> bool:
        """Whether the store has this window, so that encoding it costs nothing."""
        window = window_of(image, checked_region(image, region))
        return self._find(embedding_key(window, self.info.encoder_id)) is not None

    def _find(self, key: str) -> Embedding | None:
        found = self._store.get(key)
        if found is not None and found.encoder_id != self.info.encoder_id:
            _log.warning("The store gave another encoder's embedding for %s; it is ignored.", key)
            return None
        return found

    def _obtain(self, key: str, compute: Callable[[], Embedding]) -> Embedding:
        """From the store, from a thread that is computing it, or computed here."""
        deadline = time.monotonic() + self._wait_seconds
        while (found := self._find(key)) is None:
            flight, leading = self._flights.board(key)
            if leading:
                return self._lead(key, flight, compute, deadline)
            if not flight.wait(deadline - time.monotonic()):
                found = self._keep(key, compute())
                self._flights.land(key, flight, found)
                return found
            if flight.embedding is not None:
                return flight.embedding
        return found

    def _lead(
        self, key: str, flight: Flight, compute: Callable[[], Embedding], deadline: float
    ) -> Embedding:
        found = None
        try:
            with self._process_lock(key, deadline - time.monotonic()):
                found = self._find(key)
                if found is None:
                    found = self._keep(key, compute())
                return found
        finally:
            self._flights.land(key, flight, found)

    def _keep(self, key: str, embedding: Embedding) -> Embedding:
        if self._shared is not None and not self._noted:
            self._noted = True
            self._shared.note_encoder(self.info)
        return self._store.put(key, embedding)

    def _process_lock(self, key: str, seconds: float) -> AbstractContextManager[bool]:
        return nullcontext(True) if self._shared is None else self._shared.lock(key, seconds)

    def _encode_batch(self, images: list[Image]) -> Iterator[Embedding]:
        """All that nobody else computes is encoded before the first is given out.

        So nothing is led while the caller has the word, who might never come back, or ask for one
        of these images meanwhile.
        """
        windows = [checked_region(image, None) for image in images]
        keys = [embedding_key(image, self.info.encoder_id) for image in images]
        wanted = dict(zip(keys, images, strict=True))
        found = {key: self._find(key) for key in wanted}
        found |= self._lead_many({key: wanted[key] for key in wanted if found[key] is None})
        for key, image, window in zip(keys, images, windows, strict=True):
            embedding = found[key]
            if embedding is None:
                embedding = found[key] = self._obtain(key, _encoding(self._segmenter, image))
            yield _placed(embedding, window, (image.shape[0], image.shape[1]))

    def _lead_many(self, wanted: dict[str, Image]) -> dict[str, Embedding]:
        """Encode together what nobody else is computing now.

        Nothing is waited for while something is led: two that want the same in another order would
        wait for each other.
        """
        found: dict[str, Embedding] = {}
        led: dict[str, Flight] = {}
        with ExitStack() as locks:
            try:
                for key in wanted:
                    flight, leading = self._flights.board(key)
                    if leading:
                        led[key] = flight
                held = [key for key in led if locks.enter_context(self._process_lock(key, 0))]
                for key in held:
                    stored = self._find(key)
                    if stored is not None:
                        found[key] = stored
                missing = [key for key in held if key not in found]
                fresh = self._segmenter.encode_many([wanted[key] for key in missing])
                for key, embedding in zip(missing, fresh, strict=True):
                    found[key] = self._keep(key, embedding)
                    self._flights.land(key, led[key], found[key])
            finally:
                for key, flight in led.items():
                    self._flights.land(key, flight, found.get(key))
        return found

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """As `Segmenter.decode`."""
        return self._segmenter.decode(embedding, prompt, multimask_output=multimask_output)

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`."""
        return self._segmenter.decode_many(
            embedding,
            prompts,
            multimask_output=multimask_output,
            pred_iou_thresh=pred_iou_thresh,
        )


def warm(segmenter: CachedSegmenter, images: Iterable[Image]) -> Iterator[bool]:
    """Encode images before they are needed; True for each that was not in the store.

    A generator: images are taken one by one, and whoever stops asking stops the work.
    """
    for image in images:
        known = segmenter.holds(image)
        if not known:
            segmenter.encode(image)
        yield not known


def _encoding(segmenter: Segmenter, image: Image) -> Callable[[], Embedding]:
    return lambda: segmenter.encode(image)


def _placed(embedding: Embedding, region: Box, original_size: Size) -> Embedding:
    """The same features where they were asked for: equal windows may lie in different places."""
    if embedding.region == region and embedding.original_size == original_size:
        return embedding
    return replace(embedding, region=region, original_size=original_size)
