"""Embeddings that both processes know are named, not sent: a click then costs no megabytes."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Embedding

__all__ = ["HeldEmbeddings", "Reference", "SentEmbeddings", "UnknownEmbeddingError"]

HELD_BYTES = 256 << 20
"""Of feature maps that the model's process keeps for prompts to come."""

Features = Mapping[str, NDArray[np.float32]]


class UnknownEmbeddingError(LookupError):
    """A reference to an embedding that is not held any more."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An embedding as it crosses: its small fields, and its feature maps or only their token."""

    token: int
    fields: dict[str, Any]
    features: dict[str, NDArray[np.float32]] | None


def _fields(embedding: Embedding) -> dict[str, Any]:
    return {name: getattr(embedding, name) for name in Embedding.__slots__ if name != "features"}


class SentEmbeddings:
    """What the other process holds, by the identity of the feature maps; for any thread.

    Not by their key: maps with one key may differ by the rounding of a store.
    """

    def __init__(self) -> None:
        self._tokens: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()

    def reference(self, embedding: Embedding, *, whole: bool = False) -> Reference:
        """What to send; with `whole` also the feature maps of one that was sent before."""
        with self._lock:
            known = self._tokens.get(id(_first(embedding)))
            if known is not None and known[0]() is _first(embedding) and not whole:
                return Reference(known[1], _fields(embedding), None)
            token = next(self._numbers)
            self._remember(embedding, token)
        return Reference(token, _fields(embedding), dict(embedding.features))

    def received(self, reference: Reference) -> Embedding:
        """An embedding that the other process made, and holds."""
        embedding = Embedding(features=reference.features or {}, **reference.fields)
        with self._lock:
            self._remember(embedding, reference.token)
        return embedding

    def _remember(self, embedding: Embedding, token: int) -> None:
        self._tokens = {key: pair for key, pair in self._tokens.items() if pair[0]() is not None}
        first = _first(embedding)
        self._tokens[id(first)] = weakref.ref(first), token


def _first(embedding: Embedding) -> NDArray[np.float32]:
    return next(iter(embedding.features.values()))


class HeldEmbeddings:
    """The embeddings that were made or asked about last, by token; for any thread.

    Parameters
    ----------
    max_bytes
        Of feature maps; the one used last is kept whatever its size.
    """

    def __init__(self, max_bytes: int = HELD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[int, Embedding] = OrderedDict()
        self._numbers = count(-1, -1)
        self._lock = threading.Lock()

    def made(self, embedding: Embedding) -> Reference:
        """Hold an embedding that was made here, and say how to send it."""
        token = next(self._numbers)
        self._hold(token, embedding)
        return Reference(token, _fields(embedding), dict(embedding.features))

    def embedding(self, reference: Reference) -> Embedding:
        """The embedding that is meant; raises UnknownEmbeddingError if it is not held any more."""
        if reference.features is None:
            with self._lock:
                found = self._held.get(reference.token)
                if found is None:
                    raise UnknownEmbeddingError(reference.token)
                self._held.move_to_end(reference.token)
            if _fields(found) == reference.fields:
                return found
            return Embedding(features=found.features, **reference.fields)
        embedding = Embedding(features=reference.features, **reference.fields)
        self._hold(reference.token, embedding)
        return embedding

    def _hold(self, token: int, embedding: Embedding) -> None:
        with self._lock:
            self._held[token] = embedding
            self._held.move_to_end(token)
            while len(self._held) > 1 and self._total() > self._max_bytes:
                self._held.popitem(last=False)

    def _total(self) -> int:
        return sum(embedding.nbytes for embedding in self._held.values())
