"""The planes of a picture as the model sees them, kept for as long as they are likely wanted."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

from napari_plugin.values import Plane
from sam_plugins import Progress, Refiner, TiledImage
from sam_plugins.ports import ImageSource, Segmenter

__all__ = ["DETAILS", "Pictures", "tiling_for"]

_PLANES = 12
_REFINERS = 64
_BYTES_PER_PLANE = 1 << 26
_TILES_AROUND = 9

DETAILS: dict[str, int | None] = {
    "automatic": None,
    "whole picture": 0,
    "1024 px": 1024,
    "512 px": 512,
    "256 px": 256,
}
"""How large a part of the picture the model looks at, by the word for it: the side of a tile."""


_WHOLE = 1 << 30


def tiling_for(detail: str, image_size: int) -> dict[str, int]:
    """How `TiledImage` cuts pictures: its arguments ``tile`` and ``threshold``.

    By itself a tile is twice what the model sees, 768 to 1024 pixels: a small model shrinks
    pictures, and small objects would be lost. Pictures of up to one and a half tiles are one
    window.

    Parameters
    ----------
    detail
        A key of `DETAILS`.
    image_size
        Longest side that the model sees, pixels.
    """
    side = DETAILS.get(detail)
    if side == 0:
        return {"threshold": _WHOLE}
    tile = side or min(max(2 * image_size, 768), 1024)
    return {"tile": tile, "threshold": tile * 3 // 2}


class Pictures:
    """Sessions on planes, for whatever segmenter asks. Safe to share between threads.

    Parameters
    ----------
    source
        ``plane -> ImageSource`` of one frame.
    detail
        A key of `DETAILS`.
    """

    def __init__(self, source: Callable[[Plane], ImageSource], detail: str = "automatic") -> None:
        self._source = source
        self.detail = detail
        self._sessions: OrderedDict[tuple[str, Plane], TiledImage] = OrderedDict()
        self._refiners: OrderedDict[tuple[str, Plane, int], Refiner] = OrderedDict()
        self._lock = Lock()

    def session(self, segmenter: Segmenter, plane: Plane) -> TiledImage:
        """The picture of a plane with a model above it; nothing is read or encoded yet."""
        key = (segmenter.info.model_id, plane)
        with self._lock:
            found = self._sessions.get(key)
            if found is None or found.segmenter is not segmenter:
                found = self._opened(segmenter, plane)
                self._sessions[key] = found
            self._sessions.move_to_end(key)
            while len(self._sessions) > _PLANES:
                self._sessions.popitem(last=False)
            return found

    def refiner(self, segmenter: Segmenter, plane: Plane, number: int) -> Refiner:
        """What answers for one object of a draft on one plane."""
        session = self.session(segmenter, plane)
        key = (segmenter.info.model_id, plane, number)
        with self._lock:
            found = self._refiners.get(key)
            if found is None or found.session is not session:
                found = Refiner(session)
                self._refiners[key] = found
            self._refiners.move_to_end(key)
            while len(self._refiners) > _REFINERS:
                self._refiners.popitem(last=False)
            return found

    def prepare(
        self, segmenter: Segmenter, plane: Plane, look: tuple[float, float] | None
    ) -> Iterator[Progress]:
        """Encode the tiles of a plane that are nearest to where the user looks, nearest first.

        Parameters
        ----------
        look
            xy in the plane; its middle if None.
        """
        session = self.session(segmenter, plane)
        count = min(len(session.grid), _TILES_AROUND)
        for step in session.embed_all(look):
            if step.done >= count:
                break
            yield Progress(step.done, count, "Encoding the picture")
        yield Progress(count, count, "Encoding the picture")

    def clear(self) -> None:
        """Forget all planes: their pixels or the way they are shown have changed."""
        with self._lock:
            self._sessions.clear()
            self._refiners.clear()

    def _opened(self, segmenter: Segmenter, plane: Plane) -> TiledImage:
        source: Any = self._source(plane)
        tiling: dict[str, Any] = tiling_for(self.detail, segmenter.info.image_size)
        return TiledImage(segmenter, source, max_bytes=_BYTES_PER_PLANE, **tiling)
