"""Pictures that were asked about last, each with what the model knows of it."""

import threading
from collections import OrderedDict
from typing import Any

from labelstudio_backend.answering.measuring import Encoded, MeasuredSegmenter
from labelstudio_backend.answering.meters import Meters
from labelstudio_backend.answering.used_model import UsedModel
from labelstudio_backend.values import Ask, LoadedPicture
from sam_plugins import (
    CachedSegmenter,
    Embedding,
    Interaction,
    Prompt,
    Refined,
    Refiner,
    TiledImage,
)
from sam_plugins.formats import rle_to_crop
from sam_plugins.ports import EmbeddingStore
from sam_plugins.types import Box

__all__ = ["Session", "Sessions", "SharedReading"]

SESSION_BYTES = 1 << 30
EMBEDDING_BYTES = 64 << 20
"""Of embeddings that one picture keeps in memory; the others are on the disk."""

REFINERS = 16
"""Objects of one picture whose earlier steps are remembered."""

_BYTES_PER_NUMBER = 4
_MORE_ANSWERS = 2
"""To the first step, which may have three."""


class SharedReading:
    """A store that is only read: who encodes has written there already.

    Parameters
    ----------
    store
        The shared one; its layer in memory, if it has one, is passed by, because a session keeps
        what it needs.
    """

    def __init__(self, store: EmbeddingStore) -> None:
        self._store: EmbeddingStore = getattr(store, "disk", store)

    def get(self, key: str) -> Embedding | None:
        """As `EmbeddingStore.get`."""
        return self._store.get(key)

    def put(self, key: str, embedding: Embedding) -> Embedding:
        """Give it back as it is."""
        return embedding


class Session:
    """One picture with one model. Safe to share between threads.

    Parameters
    ----------
    segmenter
        Looks in a store before it encodes.
    picture
        Kept as long as this is.
    """

    def __init__(self, segmenter: CachedSegmenter, picture: LoadedPicture) -> None:
        self.picture = picture
        self.tiled = TiledImage(segmenter, picture.rgb, max_bytes=EMBEDDING_BYTES)
        height, width = segmenter.info.low_res_size
        self._answer_bytes = height * width * _BYTES_PER_NUMBER
        self._embedding = threading.Lock()
        self._embedded: dict[Box, int] = {}
        self._lock = threading.Lock()
        self._refiners: OrderedDict[tuple[Any, ...], tuple[Refiner, int]] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """What it keeps in memory, rather too much than too little."""
        with self._lock:
            answers = sum(answers for _, answers in self._refiners.values())
            embeddings = min(sum(self._embedded.values()), EMBEDDING_BYTES)
        return self.picture.rgb.nbytes + embeddings + answers * self._answer_bytes

    def window(self, interaction: Interaction) -> Box | None:
        """The window that an interaction is answered from at first; None if none is needed.

        Raises
        ------
        PromptError
            If the interaction cannot be answered.
        """
        if interaction.mask is not None:
            if interaction == Interaction(mask=interaction.mask):
                return None
            return self.tiled.window_for(Prompt(box=rle_to_crop(interaction.mask)[1]))
        first = interaction.steps()[0]
        return self.tiled.window_for(
            Prompt(
                point_coords=[point[:2] for point in first.points] or None,
                point_labels=[point[2] for point in first.points] or None,
                box=first.box,
            )
        )

    def has(self, window: Box) -> bool:
        """Whether a window was embedded here, so that `embed` waits for nothing."""
        with self._lock:
            return window in self._embedded

    def embed(self, window: Box) -> None:
        """Embed a window once, whoever asks for it at the same time."""
        with self._embedding:
            made = self.tiled.embedding(window)
        with self._lock:
            self._embedded[window] = made.nbytes

    def answer(self, ask: Ask) -> Refined:
        """The mask of one object, a function of its prompts alone.

        Raises
        ------
        PromptError
            If the interaction cannot be answered.
        """
        steps = ask.interaction.steps() if ask.interaction != _only_mask(ask) else ()
        start = None if ask.interaction.mask is None else str(ask.interaction.mask["counts"])
        key = (ask.label, start, steps[:1])
        with self._lock:
            refiner = self._refiners[key][0] if key in self._refiners else Refiner(self.tiled)
            self._refiners[key] = refiner, len(steps) + _MORE_ANSWERS
            self._refiners.move_to_end(key)
            while len(self._refiners) > REFINERS:
                self._refiners.popitem(last=False)
        return refiner.answer(ask.interaction)

    def shrink(self) -> bool:
        """Forget the steps of the object asked about longest ago; False if there is only one."""
        with self._lock:
            if len(self._refiners) < 2:
                return False
            self._refiners.popitem(last=False)
            return True


class Sessions:
    """The sessions used last, within a bound of memory. Safe to share between threads.

    Parameters
    ----------
    store
        Where embeddings of all processes are.
    meters
        Get "encode" seconds and the level "session_bytes".
    max_bytes
        Of pictures, embeddings and remembered steps; the picture used last stays in any case.
    """

    def __init__(
        self, store: EmbeddingStore, meters: Meters, max_bytes: int = SESSION_BYTES
    ) -> None:
        self.encoded = Encoded()
        self._store = SharedReading(store)
        self._meters = meters
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._segmenters: dict[int, CachedSegmenter] = {}
        self._sessions: OrderedDict[tuple[int, str], Session] = OrderedDict()

    def open(self, model: UsedModel, picture: LoadedPicture, *, keep: bool = True) -> Session:
        """The session of a picture with a model.

        Parameters
        ----------
        model
            In use by the caller.
        picture
            That was read.
        keep
            Whether it will be asked for again; a session that is there is used either way.
        """
        key = (model.number, picture.key)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                session = Session(self._segmenter(model), picture)
                if not keep:
                    return session
                self._sessions[key] = session
            self._sessions.move_to_end(key)
        self.trim()
        return session

    def trim(self) -> None:
        """Let go of those used longest ago until the rest fits; call it when one has grown."""
        with self._lock:
            sizes = {key: session.nbytes for key, session in self._sessions.items()}
            total = sum(sizes.values())
            while total > self._max_bytes and len(self._sessions) > 1:
                key, _ = self._sessions.popitem(last=False)
                total -= sizes[key]
            for last in self._sessions.values():  # several only where all of them fit
                while total > self._max_bytes and last.shrink():
                    total = last.nbytes
        self._meters.level("session_bytes", total)

    @property
    def nbytes(self) -> int:
        """What all of them keep."""
        with self._lock:
            return sum(session.nbytes for session in self._sessions.values())

    def forget(self, model: UsedModel) -> None:
        """Let go of a model's sessions."""
        with self._lock:
            self._segmenters.pop(model.number, None)
            for key in [key for key in self._sessions if key[0] == model.number]:
                del self._sessions[key]

    def _segmenter(self, model: UsedModel) -> CachedSegmenter:
        if model.number not in self._segmenters:
            measured = MeasuredSegmenter(model.segmenter, self._meters, self.encoded)
            self._segmenters[model.number] = CachedSegmenter(measured, self._store)
        return self._segmenters[model.number]


def _only_mask(ask: Ask) -> Interaction:
    return Interaction(mask=ask.interaction.mask)
