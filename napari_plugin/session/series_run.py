"""`SeriesRun`: a series in a viewer: open, save, go on, prepare what comes next."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_plugin.export import axis_letters
from napari_plugin.layers import (
    ImageChoice,
    LayerImage,
    guess_channel_axis,
    image_layers,
    labels_kwargs,
)
from napari_plugin.session.annotator import Annotator
from napari_plugin.session.pictures import Pictures
from napari_plugin.session.series import Entry, Series, State
from napari_plugin.session.target import OBJECTS_NAME
from napari_plugin.values import Plane
from sam_plugins import Progress
from sam_plugins.errors import ImageError, SamPluginsError
from sam_plugins.formats import LabelStack, read_label_tiff, write_label_tiff
from sam_plugins.ports import Segmenter

__all__ = ["SeriesRun"]

Begin = Callable[[list[Any], ImageChoice, Any, str], Any]


class SeriesRun:
    """Goes through a folder of images. Used on the window's thread.

    Labels are saved whenever an image is left, and come back when it is opened again.

    Parameters
    ----------
    annotator
        Annotates the current image.
    begin
        Called with layers, a choice, a Labels layer or None, and the detail.
    """

    def __init__(self, annotator: Annotator, begin: Begin) -> None:
        self._annotator, self._begin = annotator, begin
        self.series: Series | None = None
        self.detail = "automatic"
        self._own: list[Any] = []

    def open(self, folder: Path) -> bool:
        """Begin with a folder, at its first image that is not done; False and a sentence if not."""
        return self._told(lambda: self._open_series(Series(folder)))

    def go(self, by: int, state: State | None) -> bool:
        """Save the current image, mark it, and open the next or the one before."""
        return self._told(lambda: self._go(by, state))

    def show(self, position: int) -> bool:
        """Save the current image, and open another one by its number."""
        return self._told(lambda: self._show(position))

    def save(self) -> Path | None:
        """Write the labels of the current image; None if there are none.

        Raises
        ------
        SamPluginsError
            If they cannot be written; they stay in their layer and in the journal.
        """
        target, series = self._annotator.target, self.series
        if target is None or series is None:
            return None
        path = series.labels_path(series.current)
        labels, changes = target.current()
        if not labels.any() and not path.exists():
            return None
        letters = axis_letters(len(target.shape), channel_axis=target.image.choice.channel_axis)
        units = tuple(str(unit) for unit in target.labels.units)
        stack = LabelStack(
            labels, letters, tuple(target.labels.scale), tuple(target.labels.translate), units
        )
        try:
            series.output.mkdir(parents=True, exist_ok=True)
            for _ in write_label_tiff(path, stack):
                pass
        except OSError as error:
            raise SamPluginsError(
                f"{path} cannot be written ({error.strerror or error}): make room, or allow "
                "writing there. The objects are still in their layer."
            ) from error
        target.note_saved(changes)
        return path

    def upcoming(self) -> list[tuple[Any, Callable[[Segmenter], Iterator[Progress]]]]:
        """What to prepare in the background: the image that comes next."""
        following = None if self.series is None else self.series.following
        if following is None:
            return []
        return [(following.path, lambda segmenter: self._prepared(following, segmenter))]

    # -- inside ---------------------------------------------------------------------------

    def _told(self, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except SamPluginsError as error:
            self._annotator.notify("error", str(error))
            return False

    def _open_series(self, series: Series) -> bool:
        self._leave()
        self.series = series
        return self._open_current()

    def _go(self, by: int, state: State | None) -> bool:
        if self.series is None:
            self._annotator.notify("info", "Open a folder of images first.")
            return False
        self.save()
        if state is not None:
            self.series.mark(state)
        self._close()
        if self.series.step(by):
            return self._open_current()
        last = "That was the last image." if by > 0 else "This is the first image."
        self._annotator.notify("info", last)
        return self._open_current()

    def _show(self, position: int) -> bool:
        if self.series is None or not 0 <= position < len(self.series.entries):
            return False
        self._leave()
        self.series.position = position
        return self._open_current()

    def _leave(self) -> None:
        """Save, and take the current image out of the viewer."""
        if self.series is not None:
            self.save()
        self._close()

    def _close(self) -> None:
        self._annotator.close_image()
        for layer in self._own:
            if layer in self._annotator.viewer.layers:
                self._annotator.viewer.layers.remove(layer)
        self._own = []

    def _open_current(self) -> bool:
        series, viewer = self.series, self._annotator.viewer
        if series is None:
            return False
        layers = image_layers([series.current.path])
        for layer in layers:
            viewer.add_layer(layer)
        self._own = list(layers)
        image = layers[0]
        choice = _choice(image)
        stored = series.labels_path(series.current)
        labels = None
        if stored.exists():
            seen = LayerImage([image], choice)
            data = np.asarray(read_label_tiff(stored).labels, np.int32)
            if data.size != np.prod(seen.shape):
                raise ImageError(
                    f"{stored} holds labels of {data.shape} and the image needs {seen.shape}: move "
                    "that file away to begin anew, then open the image again."
                )
            data = data.reshape(seen.shape)
            labels = viewer.add_labels(data, name=OBJECTS_NAME, **labels_kwargs(seen))
        self._begin([image], choice, labels, self.detail)
        target = self._annotator.target
        if target is not None:
            self._own.append(target.labels)
        return target is not None

    def _prepared(self, entry: Entry, segmenter: Segmenter) -> Iterator[Progress]:
        layer = image_layers([entry.path])[0]
        seen = LayerImage([layer], _choice(layer))
        rows, columns = [n for n, length in enumerate(seen.shape) if length > 1][-2:]
        # The middle of each axis is what a viewer shows first.
        index = [
            0 if n in (rows, columns) else (side - 1) // 2 for n, side in enumerate(seen.shape)
        ]
        plane = Plane(rows, columns, tuple(index))
        yield from Pictures(seen.source, self.detail).prepare(segmenter, plane, None)


def _choice(layer: Any) -> ImageChoice:
    return ImageChoice((str(layer.name),), channel_axis=guess_channel_axis(layer))
