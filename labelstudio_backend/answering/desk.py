"""`Desk`: what every kind of question needs, and how one object is answered."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from labelstudio_backend.answering.meters import Meters
from labelstudio_backend.answering.model import CurrentModel
from labelstudio_backend.answering.sessions import Session, Sessions
from labelstudio_backend.answering.waiting_room import Rank, WaitingRoom
from labelstudio_backend.values import Ask, Found, LoadedPicture, Picture, PicturesPort
from sam_plugins.types import Box

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True)
class Desk:
    """The pictures, the model and the order in which it is used.

    Parameters
    ----------
    pictures, model, sessions, room, meters
        Shared by everything behind one `Annotator`.
    """

    pictures: PicturesPort
    model: CurrentModel
    sessions: Sessions
    room: WaitingRoom
    meters: Meters

    def load(self, picture: Picture) -> LoadedPicture:
        """Read a picture; raises ImageError."""
        start = time.perf_counter()
        loaded = self.pictures.load(picture)
        self.meters.seconds("picture", time.perf_counter() - start)
        return loaded

    def embed(
        self,
        session: Session,
        window: Box | None,
        rank: Rank,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        """Embed a window when it is its time; waits for nothing if that was done before."""
        if window is None or session.has(window):
            return
        with self.room.step(rank, stop):
            session.embed(window)
        self.sessions.trim()

    def find(self, session: Session, ask: Ask) -> Found | None:
        """One object; None if nothing was found. The caller has its turn, or a step.

        Raises
        ------
        PromptError
            If its prompts mean nothing, or lie outside the picture.
        """
        refined = session.answer(ask)
        if not refined.crop.size:
            return None
        return Found(refined.crop, refined.box, session.picture.size, refined.score)
