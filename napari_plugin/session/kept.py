"""What can be done with objects that were kept: open again, delete, merge, split."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from napari_plugin.export import (
    Operation,
    delete_operation,
    merge_operation,
    split_operation,
)
from napari_plugin.objects import Book
from napari_plugin.session.annotator import Annotator
from napari_plugin.session.draft import Draft
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins.errors import SamPluginsError

__all__ = ["KeptObjects"]


class KeptObjects:
    """Actions on the objects of an annotator's picture. Each is one step that can be undone.

    Parameters
    ----------
    annotator
        Whose prompts say which objects are meant, where they do.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator

    def at(self, position: Sequence[float]) -> int:
        """The id of the object at a place in the world; 0 if there is none."""
        where = self._annotator.locate(position)
        if where is None:
            return 0
        plane, (x, y) = where
        return self._id_at(plane, round(x), round(y))

    def reopen(self, position: Sequence[float]) -> bool:
        """Show the prompts of an object again, or begin from its pixels if it has none.

        Further prompts change it, and keeping it keeps its id. Its pixels stay as they are until
        then.
        """
        identity = self._named(position, "open it again")
        target, plane = self._annotator.target, self._annotator.plane
        if not identity or target is None or plane is None:
            return False
        if self._annotator.has_draft:
            self._annotator.notify(
                "warning", "There are prompts that were not kept: keep (K) or clear (Q) them first."
            )
            return False
        prompts: dict[Plane, PromptSet] = dict(target.book.reopen(identity, plane).prompts)
        if not any(prompts.values()):
            self._annotator.notify("warning", f"Object {identity} has no pixels on this slice.")
            return False
        self._annotator.set_draft(Draft({1: prompts}), {1: identity})
        self._annotator.notify("info", f"Object {identity} is open: prompt, then keep it with K.")
        return True

    def delete(self, position: Sequence[float]) -> bool:
        """Delete the object under a place in the world, on all slices."""
        identity = self._named(position, "delete it")
        return bool(identity) and self._done(
            lambda book: (book.delete(identity), delete_operation([identity]))[1],
            f"Object {identity} was deleted.",
        )

    def merge(self, position: Sequence[float]) -> bool:
        """Make one object of those that prompts on this plane touch, and the one under a place."""
        touched = self._touched()
        under = self.at(position)
        ids = list(dict.fromkeys([*touched, *([under] if under else [])]))
        if len(ids) < 2:
            self._annotator.notify(
                "info",
                "Scribble across the objects that are one (Shift+S), then merge them (Shift+M).",
            )
            return False
        kept = ids[0]
        draft = self._annotator.without_prompts
        merged = self._done(
            lambda book: (book.merge(ids, draft=draft), merge_operation(ids, kept))[1],
            f"{len(ids)} objects are one now: {kept}.",
        )
        if merged:
            self._annotator.drop_prompts()
        return merged

    def split(self, position: Sequence[float]) -> bool:
        """Make objects of the parts of one: along scribbles on this plane, else what is apart."""
        identity = self._named(position, "split it") if not self._touched() else self._touched()[0]
        target, plane = self._annotator.target, self._annotator.plane
        if not identity or target is None or plane is None:
            return False
        scribble = self._scribble(plane)
        line = None if scribble is None else (plane, scribble)
        draft = None if scribble is None else self._annotator.without_prompts
        ids: list[int] = []

        def split(book: Book) -> Operation:
            ids.extend(book.split(identity, line=line, draft=draft))
            masks = [(each, mask) for each in ids for mask in self._masks_of(each)]
            return split_operation(identity, masks, target.shape)

        if not self._done(split, ""):
            return False
        if scribble is not None:
            self._annotator.drop_prompts()
        self._annotator.notify("info", f"Object {identity} is now {', '.join(map(str, ids))}.")
        return True

    # -- inside ---------------------------------------------------------------------------

    def _named(self, position: Sequence[float], purpose: str) -> int:
        identity = self.at(position)
        if not identity and self._annotator.target is not None:
            self._annotator.notify("info", f"Put the mouse on a kept object to {purpose}.")
        return identity

    def _done(self, act: Callable[[Book], Operation], sentence: str) -> bool:
        target = self._annotator.target
        if target is None:
            return False
        if target.problem:
            self._annotator.notify("error", target.problem)
            return False
        try:
            target.log.add(act(target.book))
        except SamPluginsError as error:
            self._annotator.notify("error", str(error))
            return False
        if sentence:
            self._annotator.notify("info", sentence)
        self._annotator.changed()
        return True

    def _id_at(self, plane: Plane, x: int, y: int) -> int:
        target = self._annotator.target
        if target is None:
            return 0
        where = list(plane.index)
        where[plane.rows], where[plane.columns] = y, x
        return int(target.book.at(tuple(where)))

    def _touched(self) -> list[int]:
        """Ids that the draft's points and scribbles on the plane in view touch, in that order."""
        plane = self._annotator.plane
        if plane is None:
            return []
        found: list[int] = []
        for planes in self._annotator.draft.objects.values():
            said = planes.get(plane, PromptSet())
            pixels = [(round(x), round(y)) for x, y, _ in said.points]
            for line in said.scribbles:
                pixels += [(x, y) for x, y in _pixels(line.vertices)]
            for x, y in pixels:
                identity = self._id_at_safely(plane, x, y)
                if identity:
                    found.append(identity)
        return list(dict.fromkeys(found))

    def _id_at_safely(self, plane: Plane, x: int, y: int) -> int:
        target = self._annotator.target
        if target is None:
            return 0
        height, width = target.image.size(plane)
        return self._id_at(plane, x, y) if 0 <= x < width and 0 <= y < height else 0

    def _scribble(self, plane: Plane) -> tuple[tuple[float, float], ...] | None:
        """The first scribble on a plane; None if there is none."""
        for planes in self._annotator.draft.objects.values():
            for line in planes.get(plane, PromptSet()).scribbles:
                return line.vertices
        return None

    def _masks_of(self, identity: int) -> Iterator[PlaneMask]:
        """The pixels of an object, plane by plane along the last two axes."""
        target = self._annotator.target
        if target is None:
            return
        rows, columns = len(target.shape) - 2, len(target.shape) - 1
        for place in np.ndindex(target.shape[:-2]):
            plane = Plane(rows, columns, (*(int(n) for n in place), 0, 0))
            mask = target.book.mask_of(identity, plane)
            if mask is not None:
                yield mask


def _pixels(vertices: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """The pixels that a drawn line runs through, (x, y)."""
    # Slow to import, and rarely needed.
    from skimage.draw import line as drawn_line

    found: list[tuple[int, int]] = []
    ends = [(round(x), round(y)) for x, y in vertices]
    for (x0, y0), (x1, y1) in zip(ends, ends[1:] or ends, strict=False):
        rows, columns = drawn_line(y0, x0, y1, x1)  # type: ignore[no-untyped-call]
        found += list(zip(columns.tolist(), rows.tolist(), strict=True))
    return found
