"""`LabelsWatch`: what others do to a Labels layer (brush, fill, napari's undo, plugins), journaled.

napari says when a stroke was painted, and for some tools before it is written; it says nothing when
another plugin writes into the array. So the events only say where to look: the labels of a block
are journaled when their hash is not the one that was seen last.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xxhash

from napari_plugin.objects.book import Book
from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.regions import Slices, block_steps, blocks_of, blocks_within, read

__all__ = ["LabelsWatch"]

_BLOCK_ELEMENTS = 1 << 18
_MOST_RECENT = 32
_MOST_AT_ONCE = 64


class LabelsWatch:
    """Journals everything that changes in a layer and does not come from the book.

    Parameters
    ----------
    layer
        A napari Labels layer whose data is the array of the book.
    book
        Whose journal is written to.
    say
        Told a sentence when the layer cannot be followed any more.
    changed
        Called when something was journaled.

    Notes
    -----
    Keep a reference: napari does not.
    """

    def __init__(
        self,
        layer: Any,
        book: Book,
        *,
        say: Callable[[str], None] = lambda sentence: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._layer = layer
        self._book = book
        self._say = say
        self._changed = changed
        self._seen: dict[tuple[int, ...], int] = {}
        self._recent: dict[tuple[int, ...], Slices] = {}
        self._pending: dict[tuple[int, ...], Slices] = {}
        self._due: dict[tuple[int, ...], Slices] = {}
        self._rounds: Iterable[Slices] = iter(())
        self._told = False
        self._following = True
        self._last_shown: Slices | None = None
        self._learn()
        self._last_shown = self._shown()
        book.on_change.append(self._booked)
        layer.events.paint.connect(self._painted)
        layer.events.labels_update.connect(self._updated)
        layer.events.set_data.connect(self._refreshed)
        layer.events.data.connect(self._replaced)
        layer.events.name.connect(self._renamed)

    @property
    def following(self) -> bool:
        """Whether changes of the layer still reach the journal."""
        return self._following

    def sweep(self, blocks: int = 16) -> int:
        """Look at what is waiting, then at some more of the array; how many blocks changed.

        Call it about once a second: what was painted is on the disk after it. Arrays that are not
        in memory are only looked at where they were shown or painted: what other programs write
        there is on the disk already.
        """
        if not self._following:
            return 0
        if self._layer.data is not self._book.array:
            self._replaced()
        self._pending.update(self._due)
        self._due.clear()
        found = self._take_pending(blocks)
        if isinstance(self._book.array, np.ndarray):
            found += self._next_round(blocks - len(found))
        changed = self._look([*self._recent.values(), *found])
        if self._book.journal is not None:
            self._book.journal.flush()
        return changed

    def flush(self) -> int:
        """Look at everything that may have changed; how many blocks had."""
        if not self._following:
            return 0
        if self._layer.data is not self._book.array:
            self._replaced()
        found = [*self._recent.values(), *self._pending.values(), *self._due.values()]
        self._pending.clear()
        self._due.clear()
        if isinstance(self._book.array, np.ndarray):
            found = list(blocks_of(self._book.array, _BLOCK_ELEMENTS))
        return self._look(found)

    def close(self) -> None:
        """Look at everything a last time and leave the layer alone."""
        self.flush()
        self._leave()

    def _leave(self) -> None:
        if not self._following:
            return
        self._following = False
        self._book.on_change.remove(self._booked)
        events = self._layer.events
        events.paint.disconnect(self._painted)
        events.labels_update.disconnect(self._updated)
        events.set_data.disconnect(self._refreshed)
        events.data.disconnect(self._replaced)
        events.name.disconnect(self._renamed)

    def _learn(self) -> None:
        self._steps = block_steps(self._book.array, _BLOCK_ELEMENTS)
        if isinstance(self._book.array, np.ndarray):
            for where in blocks_of(self._book.array, _BLOCK_ELEMENTS):
                self._seen[_key(where)] = self._hash(where)

    def _hash(self, where: Slices) -> int:
        values = np.ascontiguousarray(read(self._book.array, where))
        return xxhash.xxh3_64_intdigest(values.data)

    def _look(self, blocks: Iterable[Slices], *, certain: bool = False) -> int:
        changed: dict[tuple[int, ...], Slices] = {}
        for where in blocks:
            key, now = _key(where), self._hash(where)
            before = self._seen.get(key)
            self._seen[key] = now
            # A block that was never seen is as it was, unless somebody says that he painted there.
            if before != now and (before is not None or certain):
                changed[key] = where
        for where in changed.values():
            self._book.saw(int(read(self._book.array, where).max(initial=0)))
        journal = self._book.journal
        if changed and journal is not None:
            journal.write("brush", list(changed.values()), {})
        if changed:
            self._changed()
        return len(changed)

    def _blocks(self, where: Slices) -> list[Slices]:
        return list(blocks_within(where, tuple(self._book.array.shape), self._steps))

    def _painted(self, event: Any) -> None:
        blocks: dict[tuple[int, ...], Slices] = {}
        for atom in getattr(event, "value", ()):
            for where in self._blocks(self._box(atom)):
                blocks[_key(where)] = where
        for key, where in blocks.items():
            self._recent.pop(key, None)
            self._recent[key] = where
        while len(self._recent) > max(_MOST_RECENT, len(blocks)):
            oldest = next(iter(self._recent))
            self._pending[oldest] = self._recent.pop(oldest)
        self._told = True
        self._look(blocks.values(), certain=True)

    def _box(self, atom: Any) -> Slices:
        """Where an entry of napari's paint event lies; what is shown, if it is of a new kind."""
        shape = tuple(self._book.array.shape)
        key = getattr(atom, "slice_key", None)
        if key is None and isinstance(atom, tuple):
            key = atom[0]
        if isinstance(key, tuple) and len(key) == len(shape):
            try:
                return tuple(_extent(part, size) for part, size in zip(key, shape, strict=True))
            except (TypeError, ValueError):
                pass
        return self._shown()

    def _shown(self) -> Slices:
        """The slice of the data that the layer shows."""
        shape = tuple(int(size) for size in self._book.array.shape)
        corners = np.asarray(self._layer.corner_pixels)
        if corners.shape != (2, len(shape)):
            return tuple(slice(0, size) for size in shape)
        found = []
        for (low, high), size in zip(corners.T, shape, strict=True):
            start = int(np.clip(low, 0, max(size - 1, 0)))
            found.append(slice(start, int(np.clip(high + 1, start + 1, size))))
        return tuple(found)

    def _updated(self, event: Any = None) -> None:
        # Some tools say "paint" before they write: what they wrote is there now.
        if self._told:
            self._told = False
            self._look(self._recent.values())

    def _refreshed(self, event: Any = None) -> None:
        # napari's own undo and redo, and whoever calls refresh() after writing.
        if self._layer.data is not self._book.array:
            return
        shown = self._shown()
        moved = shown != self._last_shown
        self._last_shown = shown
        found = {_key(where): where for where in self._blocks(shown)}
        if moved:
            # Another slice came into view, as fast as a slider moves: the sweep looks at it.
            for key, where in found.items():
                self._pending.setdefault(key, where)
            return
        for key in list(found)[_MOST_AT_ONCE:]:
            self._pending.setdefault(key, found.pop(key))
        found.update(self._recent)
        self._look([where for key, where in found.items() if key not in self._due])
        self._pending.update(self._due)
        self._due.clear()

    def _booked(self, regions: tuple[Slices, ...]) -> None:
        # The book has journaled this itself and the layer is refreshed now: what else there may be
        # in these blocks can wait for the next sweep.
        for region in regions:
            self._due.update((_key(where), where) for where in self._blocks(region))

    def _replaced(self, event: Any = None) -> None:
        if not self._following or self._layer.data is self._book.array:
            return
        try:
            self._book.rebind(self._layer.data)
        except LabelsError as error:
            self._leave()
            self._say(
                f"The data of the layer {self._layer.name} were replaced and are no longer "
                f"followed; what was accepted before is in the journal. {error}"
            )
            return
        steps = block_steps(self._book.array, _BLOCK_ELEMENTS)
        if steps != self._steps:
            for blocks in (self._seen, self._recent, self._pending, self._due):
                blocks.clear()
            self._rounds, self._steps = iter(()), steps
        if isinstance(self._book.array, np.ndarray):
            self._look(list(blocks_of(self._book.array, _BLOCK_ELEMENTS)), certain=True)

    def _renamed(self, event: Any = None) -> None:
        journal = self._book.journal
        if journal is not None:
            journal.note_about(layer=str(self._layer.name))

    def _take_pending(self, blocks: int) -> list[Slices]:
        keys = list(self._pending)[:blocks]
        return [self._pending.pop(key) for key in keys]

    def _next_round(self, blocks: int) -> list[Slices]:
        found: list[Slices] = []
        rounds = iter(self._rounds)
        while len(found) < blocks:
            where = next(rounds, None)
            if where is None:
                self._rounds = blocks_of(self._book.array, _BLOCK_ELEMENTS)
                return found
            found.append(where)
        self._rounds = rounds
        return found


def _key(where: Slices) -> tuple[int, ...]:
    return tuple(part.start for part in where)


def _extent(part: Any, size: int) -> slice:
    if isinstance(part, slice):
        start, stop, _ = part.indices(size)
        return slice(start, max(stop, start + 1))
    values = np.asarray(part)
    if not values.size:
        raise ValueError("nothing was painted")
    return slice(int(values.min()), int(values.max()) + 1)
