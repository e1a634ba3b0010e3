"""Long work that shows how far it is and can be stopped: everything-mode, and following objects."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Any

import numpy as np

from napari_plugin.session.annotator import Annotator
from napari_plugin.session.key_masks import key_masks
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins import (
    AutomaticSettings,
    MaskRecord,
    Progress,
    follow_objects,
    generate_masks,
    generate_tiled_masks,
)
from sam_plugins.formats import rle_to_crop
from sam_plugins.ports import Followed, Segmenter
from sam_plugins.types import Box

__all__ = ["Found", "Jobs"]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A mask that a job found, and the number of the object that it belongs to."""

    number: int
    mask: PlaneMask


class Jobs:
    """At most one long piece of work at a time, on an annotator's picture.

    Parameters
    ----------
    annotator
        Shows what is found.
    progress
        Called with how far the work is, and with None when it has ended.
    """

    def __init__(self, annotator: Annotator, progress: Callable[[Progress | None], None]) -> None:
        self._annotator = annotator
        self._progress = progress
        self._job: Any = None
        self._stop = Event()
        self.kind = ""
        """"automatic", "propagated", or "" while nothing runs."""

    @property
    def running(self) -> bool:
        """Whether work is under way."""
        return self._job is not None

    def stop(self) -> None:
        """End the work; what was found stays. A second call does not wait for it."""
        if self._job is not None and self._stop.is_set():
            self._job.cancel()
        self._stop.set()

    def close(self) -> None:
        """End the work and drop what it finds from now on."""
        if self._job is not None:
            self._stop.set()
            self._job.cancel()
            self._job = None

    def everything(self, settings: AutomaticSettings, *, inside: bool) -> bool:
        """Find all objects of the plane in view, or inside the boxes drawn on it."""
        target, plane = self._annotator.target, self._annotator.plane
        if not self._may_start() or target is None or plane is None:
            return False
        region: Box | None = None
        if inside:
            region = self._drawn_region(plane)
            if region is None:
                self._annotator.notify("info", "Draw a box first (Shift+B), and search inside it.")
                return False
            self._annotator.discard()
        first = self._annotator.found.next_number
        pictures, stop = target.pictures, Event()

        def make(segmenter: Segmenter) -> Iterator[Progress | Found]:
            session = pictures.session(segmenter, plane)
            number = first
            window = region or (0, 0, session.size[1], session.size[0])
            if region is None and len(session.grid) > 1:
                events = generate_tiled_masks(session, settings, stop=stop.is_set)
            else:
                image = session.source.read(session.index, window)
                # A model in another process searches there, and sends what it finds.
                search = getattr(segmenter, "generate_masks", None)
                if search is None:
                    events = generate_masks(segmenter, image, settings, stop=stop.is_set)
                else:
                    events = search(image, settings, stop=stop.is_set)
            for event in events:
                if isinstance(event, MaskRecord):
                    yield Found(number, _placed(plane, event, window))
                    number += 1
                else:
                    yield event

        self._start("automatic", "Find everything", make, stop)
        return True

    def follow(self, axis: int, frames: range, *, kept: bool) -> bool:
        """Follow objects along an axis, from the slices where they are known.

        Parameters
        ----------
        axis
            z or t.
        frames
            To which positions of it.
        kept
            Follow the kept objects of the plane in view; otherwise those that are prompted.
        """
        target, plane = self._annotator.target, self._annotator.plane
        if not self._may_start() or target is None or plane is None:
            return False
        keys, numbers = key_masks(self._annotator, plane, axis, kept=kept)
        if not keys:
            self._annotator.notify(
                "info",
                "There is nothing to follow: "
                + ("keep an object on this slice first." if kept else "prompt an object first."),
            )
            return False
        source, image = target.image.source(plane, axis), target.image
        stop = Event()

        def make(segmenter: Segmenter) -> Iterator[Progress | Found]:
            for event in follow_objects(segmenter, source, keys, frames=frames):
                if stop.is_set():
                    return
                if isinstance(event, Followed):
                    if not event.is_key:
                        there = plane.at(axis, event.frame)
                        height, width = image.size(plane)
                        mask = _placed(there, event.record, (0, 0, width, height))
                        yield Found(event.object_id, mask)
                elif isinstance(event, Progress):
                    yield event

        self._annotator.found.begin_along(axis, plane, numbers)
        self._annotator.refresh_preview()
        self._start("propagated", "Follow", make, stop)
        return True

    def _may_start(self) -> bool:
        if self.running:
            self._annotator.notify("info", "Something is running already: stop it first.")
            return False
        if self._annotator.target is None:
            self._annotator.notify("info", "Choose an image first.")
            return False
        if self._annotator.plane is None:
            self._annotator.notify("warning", "Switch the viewer to 2D first.")
            return False
        return True

    def _drawn_region(self, plane: Plane) -> Box | None:
        target = self._annotator.target
        boxes = [
            box
            for planes in self._annotator.draft.objects.values()
            for box in planes.get(plane, PromptSet()).boxes
        ]
        if target is None or not boxes:
            return None
        height, width = target.image.size(plane)
        low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
        x0, y0 = (max(int(v), 0) for v in low)
        x1, y1 = min(int(np.ceil(high[0])), width), min(int(np.ceil(high[1])), height)
        return (x0, y0, x1, y1) if x1 - x0 > 1 and y1 - y0 > 1 else None

    def _start(
        self, kind: str, title: str, make: Callable[[Segmenter], Iterator[Any]], stop: Event
    ) -> None:
        self.kind, self._stop = kind, stop
        count, drawn, cost, over = 0, 0.0, 0.0, False
        cleared = self._annotator.found.cleared

        def unwanted() -> bool:
            """Whether what was found has been kept or cleared, or the picture is another one."""
            return self._annotator.found.cleared != cleared

        def on_event(event: Any) -> None:
            nonlocal count, drawn, cost
            if unwanted():
                stop.set()
                if self._job is not None and self._stop is stop:
                    self._job.cancel()
                return
            if not isinstance(event, Found):
                self._progress(event)
                return
            count += 1
            self._annotator.found.add(event.number, event.mask, kind)
            # All masks of the plane are drawn anew: seldom enough that the window stays free.
            began = monotonic()
            if event.mask.plane == self._annotator.plane and began > drawn + 9 * cost:
                self._annotator.refresh_preview()
                drawn = monotonic()
                cost = drawn - began

        def ended() -> None:
            nonlocal over
            over = True
            self._job = None
            self.kind = ""
            self._progress(None)
            self._annotator.refresh_preview()
            self._annotator.changed()

        def on_done(cancelled: bool) -> None:
            ended()
            if unwanted():
                return
            early = cancelled or stop.is_set()
            how = "Stopped" if early else "Done"
            if kind == "automatic":
                hint = "keep them with K, or clear them with Q" if count else "try lower thresholds"
                self._annotator.notify("info", f"{how}: {count} objects found; {hint}.")
            else:
                self._annotator.notify("info", f"{how}: masks on {count} slices; keep them with K.")

        def on_failed(error: Exception) -> None:
            ended()
            kept = " What was found until then is shown." if count else ""
            self._annotator.notify("error", f"{error}{kept}")

        self._progress(Progress(0, 0, title))
        job = self._annotator.service.job(title, make, on_event, on_done, on_failed)
        # A service may be done before it returns.
        if not over:
            self._job = job
        self._annotator.changed()


def _placed(plane: Plane, record: MaskRecord, window: Box) -> PlaneMask:
    crop, (x0, y0, x1, y1) = rle_to_crop(record.segmentation)
    dx, dy = window[:2]
    return PlaneMask(plane, (x0 + dx, y0 + dy, x1 + dx, y1 + dy), crop)
