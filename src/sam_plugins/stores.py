"""Embeddings kept by content, so that no window of an image is encoded twice."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from threading import Lock

from sam_plugins.ports import EmbeddingStore, Segmenter, SegmenterInfo
from sam_plugins.transforms import checked_region, embedding_key, window_of
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt, Size

__all__ = ["CachedSegmenter", "MemoryStore"]

_LOCKS = 64
_IMAGES_AT_ONCE = 16


class MemoryStore:
    """The embeddings used last, in memory. Safe to share between threads.

    Parameters
    ----------
    max_bytes
        Bound on the sum of `Embedding.nbytes`; those used longest ago go first. An embedding that
        is larger than this on its own is not kept.
    """

    def __init__(self, max_bytes: int = 1 << 29) -> None:
        self._max_bytes = max_bytes
        self._nbytes = 0
        self._entries: OrderedDict[str, Embedding] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._nbytes

    def get(self, key: str) -> Embedding | None:
        """The embedding stored under `key`, or None."""
        with self._lock:
            embedding = self._entries.get(key)
            if embedding is not None:
                self._entries.move_to_end(key)
            return embedding

    def put(self, key: str, embedding: Embedding) -> None:
        """Store an embedding under `key` in place of what is there."""
        with self._lock:
            former = self._entries.pop(key, None)
            if former is not None:
                self._nbytes -= former.nbytes
            if embedding.nbytes > self._max_bytes:
                return
            self._entries[key] = embedding
            self._nbytes += embedding.nbytes
            while self._nbytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._nbytes -= oldest.nbytes


class CachedSegmenter:
    """A segmenter that looks in a store before it encodes.

    Threads that ask for the same window at the same time encode it once.

    Parameters
    ----------
    segmenter
        Encodes what the store does not have, and answers every prompt.
    store
        Where embeddings are kept; `MemoryStore` by default.
    """

    def __init__(self, segmenter: Segmenter, store: EmbeddingStore | None = None) -> None:
        self._segmenter = segmenter
        self._store = MemoryStore() if store is None else store
        self._locks = tuple(Lock() for _ in range(_LOCKS))

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities of the segmenter inside."""
        return self._segmenter.info

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`, or from the store."""
        window = checked_region(image, region)
        key = embedding_key(window_of(image, window), self.info.encoder_id)
        with self._locks[hash(key) % _LOCKS]:
            stored = self._store.get(key)
            if stored is None:
                stored = self._segmenter.encode(image, region=window)
                self._store.put(key, stored)
        return _placed(stored, window, (image.shape[0], image.shape[1]))

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`; only what the store does not have is encoded, in batches."""
        remaining = iter(images)
        while batch := list(islice(remaining, _IMAGES_AT_ONCE)):
            yield from self._encode_batch(batch)

    def _encode_batch(self, images: list[Image]) -> Iterator[Embedding]:
        windows = [checked_region(image, None) for image in images]
        keys = [embedding_key(image, self.info.encoder_id) for image in images]
        found = {key: self._store.get(key) for key in dict.fromkeys(keys)}
        missing = [key for key, embedding in found.items() if embedding is None]
        fresh = self._segmenter.encode_many([images[keys.index(key)] for key in missing])
        for key, image, window in zip(keys, images, windows, strict=True):
            embedding = found[key]
            if embedding is None:
                embedding = found[key] = next(fresh)
                self._store.put(key, embedding)
            yield _placed(embedding, window, (image.shape[0], image.shape[1]))

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


def _placed(embedding: Embedding, region: Box, original_size: Size) -> Embedding:
    """The same features where they were asked for: equal windows may lie in different places."""
    if embedding.region == region and embedding.original_size == original_size:
        return embedding
    return replace(embedding, region=region, original_size=original_size)
