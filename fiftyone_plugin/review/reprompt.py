"""`Reprompter`: pictures that somebody has open in the modal, each with its embedding."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.models import segmenter_for
from sam_plugins import Interaction, Refined, Refiner, TiledImage
from sam_plugins.errors import SamPluginsError
from sam_plugins.ports import Segmenter
from sam_plugins.types import Image, Size

__all__ = ["Key", "Opened", "Preparation", "Reprompter", "shared_reprompter"]

_log = logging.getLogger(__name__)

MOST_SESSIONS = 8
SESSION_BYTES = 1 << 29
"""Bounds on what is kept of pictures; the one that was opened last stays in any case."""

EMBEDDING_BYTES = 64 << 20
"""Of embeddings that one picture keeps in memory; the others are on the disk."""


class Preparation(StrEnum):
    """How far a picture is."""

    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Key:
    """What a session is for.

    Parameters
    ----------
    dataset, sample_id
        Which picture.
    model
        "nano", "vit_b", ..., or the path of a checkpoint.
    """

    dataset: str
    sample_id: str
    model: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a picture that was opened.

    Parameters
    ----------
    preparation
        How far it is.
    size
        (H, W) once it was read, else None.
    model_id
        Content hash of the model once it is open, else "".
    reason
        Why it failed, in a sentence, else "".
    """

    preparation: Preparation
    size: Size | None = None
    model_id: str = ""
    reason: str = ""


class Reprompter:
    """Answers prompts on pictures that were opened. Safe to share between threads.

    Parameters
    ----------
    open_model
        Opens a model by its name or path; called on a thread.
    """

    def __init__(self, open_model: Callable[[str], Segmenter] = segmenter_for) -> None:
        self._open_model = open_model
        self._lock = threading.Lock()
        self._encoding = threading.Lock()
        self._sessions: OrderedDict[Key, _Session] = OrderedDict()

    def open(self, key: Key, read: Callable[[], Image]) -> Opened:
        """Prepare a picture in the background, or say how far it is. Returns at once.

        One that failed is tried again when it is opened again.

        Parameters
        ----------
        key
            What for.
        read
            Reads the picture; called on a thread.
        """
        with self._lock:
            session = self._sessions.get(key)
            if session is not None:
                self._sessions.move_to_end(key)
                opened = session.opened
                if opened.preparation is Preparation.FAILED:
                    del self._sessions[key]
                return opened
            session = self._sessions[key] = _Session()
            self._trim()
        threading.Thread(
            target=self._prepare, args=(key, session, read), name="sam-reprompt", daemon=True
        ).start()
        return Opened(Preparation.PREPARING)  # what it is by now is said once, the next time

    def answer(self, key: Key, interaction: Interaction) -> Refined:
        """The mask that prompts mean, on the embedding that is kept.

        Raises
        ------
        ReviewError
            If the picture is not open, or not ready.
        PromptError
            If the prompts cannot be answered.
        """
        with self._lock:
            session = self._sessions.get(key)
            if session is not None:
                self._sessions.move_to_end(key)
        if session is None or session.refiner is None:
            raise ReviewError("The picture is not prepared: open it for re-prompting first.")
        return session.refiner.answer(interaction)

    @property
    def keys(self) -> list[Key]:
        """What is open, opened last at the end."""
        with self._lock:
            return list(self._sessions)

    def _prepare(self, key: Key, session: "_Session", read: Callable[[], Image]) -> None:
        try:
            with self._encoding:  # one at a time, and not those that were turned away from
                if self._is_open(key, session):
                    self._encode(session, self._open_model(key.model), read())
        except SamPluginsError as error:
            session.opened = Opened(Preparation.FAILED, reason=str(error))
        except Exception as error:
            _log.exception("A picture could not be prepared for re-prompting")
            reason = f"The picture could not be prepared: {type(error).__name__}: {error}"
            session.opened = Opened(Preparation.FAILED, reason=reason)
        with self._lock:
            self._trim()

    def _encode(self, session: "_Session", segmenter: Segmenter, picture: Image) -> None:
        tiled = TiledImage(segmenter, picture, max_bytes=EMBEDDING_BYTES)
        session.nbytes = picture.nbytes + EMBEDDING_BYTES
        if len(tiled.grid) == 1:  # else it depends on the prompt which window is asked
            session.nbytes = picture.nbytes + tiled.embedding(tiled.grid.region(0)).nbytes
        session.refiner = Refiner(tiled)
        session.opened = Opened(Preparation.READY, tiled.size, segmenter.info.model_id)

    def _is_open(self, key: Key, session: "_Session") -> bool:
        with self._lock:
            return self._sessions.get(key) is session

    def _trim(self) -> None:
        """Let go of those opened longest ago; the caller holds the lock."""
        total = sum(session.nbytes for session in self._sessions.values())
        while len(self._sessions) > 1 and (
            len(self._sessions) > MOST_SESSIONS or total > SESSION_BYTES
        ):
            total -= self._sessions.popitem(last=False)[1].nbytes


class _Session:
    """One picture with one model; `opened` says how far it is."""

    def __init__(self) -> None:
        self.opened = Opened(Preparation.PREPARING)
        self.refiner: Refiner | None = None
        self.nbytes = 0


@cache
def shared_reprompter() -> Reprompter:
    """The one of this process, which all operators use."""
    return Reprompter()
