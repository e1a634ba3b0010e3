"""Embeddings that are made before anybody asks for them."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence

from labelstudio_backend.answering.desk import Desk
from labelstudio_backend.answering.lane import Lane
from labelstudio_backend.answering.waiting_room import Rank
from labelstudio_backend.errors import BusyError
from labelstudio_backend.values import Picture
from sam_plugins.errors import SamPluginsError

__all__ = ["Preparing"]

WAITING = 64
"""Pictures of tasks that were opened; there are never many more annotators."""

AHEAD = 16
"""Pictures of tasks that may be opened next."""

REMEMBERED = 1024

MOST_TILES = 64
"""Of a large picture; its other tiles are embedded when they are asked about."""

_log = logging.getLogger(__name__)


class Preparing:
    """Embeds pictures of opened tasks at once, and of tasks to come while nothing else is done.

    Parameters
    ----------
    desk
        With the model.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._done: OrderedDict[Hashable, None] = OrderedDict()
        self._failed: OrderedDict[Hashable, None] = OrderedDict()
        self.opened: Lane[Picture] = Lane(
            "prepare", lambda picture: self._do(picture, Rank.PREPARE), WAITING, desk.meters
        )
        self.ahead: Lane[Picture] = Lane(
            "prefetch", lambda picture: self._do(picture, Rank.PREFETCH), AHEAD, desk.meters
        )

    def prepare(self, picture: Picture) -> None:
        """Embed a picture soon; returns at once."""
        if not self._is_done(picture):
            self.ahead.take_back(picture)
            self.opened.put(picture, picture)

    def prefetch(self, pictures: Sequence[Picture]) -> None:
        """Embed pictures when nothing else is to be done, the first one first; returns at once."""
        for picture in pictures[:AHEAD]:
            if not self._is_done(picture):
                self.ahead.put(picture, picture)

    def note(self, picture: Picture, version: str) -> None:
        """Say that a picture was embedded."""
        with self._lock:
            _remember(self._done, (version, hash(picture)))

    def close(self) -> None:
        """Prepare nothing any more."""
        self.opened.close()
        self.ahead.close()

    def _is_done(self, picture: Picture) -> bool:
        with self._lock:
            return (self._desk.model.version, hash(picture)) in self._done

    def _do(self, picture: Picture, rank: Rank) -> None:
        if self._is_done(picture):  # by a click, while this waited
            return
        try:
            self._embed(picture, rank)
        except BusyError:
            return
        except Exception as error:
            with self._lock:
                told = hash(picture) in self._failed
                _remember(self._failed, hash(picture))
            if told:
                return
            if isinstance(error, SamPluginsError):
                _log.warning("A picture could not be prepared: %s", error)
            else:
                _log.exception("A picture could not be prepared")

    def _embed(self, picture: Picture, rank: Rank) -> None:
        desk = self._desk
        with desk.room.step(rank):
            pass  # reading for later is work as well: not before it is its time
        loaded = desk.load(picture)
        with desk.model.lease() as model:
            session = desk.sessions.open(model, loaded)
            grid = session.tiled.grid
            for number in range(min(len(grid), MOST_TILES)):
                desk.embed(session, grid.region(number), rank)
        self.note(picture, model.version)


def _remember(known: OrderedDict[Hashable, None], key: Hashable) -> None:
    known[key] = None
    while len(known) > REMEMBERED:
        known.popitem(last=False)
