"""`Target`: one picture with the Labels layer that its objects go to, their book and journal."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from napari_plugin.layers import ImageChoice, LayerImage, crop_kwargs, fingerprint, labels_kwargs
from napari_plugin.objects import (
    About,
    Book,
    Journal,
    LabelsWatch,
    ObjectRecord,
    Recovery,
    discard,
    journals_folder,
    recoverable,
    restore,
)
from napari_plugin.session.operations import OperationLog
from napari_plugin.session.pictures import DETAILS, Pictures
from napari_plugin.values import Plane
from sam_plugins.errors import SamPluginsError
from sam_plugins.ports import Segmenter
from sam_plugins.types import Box

__all__ = ["OBJECTS_NAME", "Target"]

OBJECTS_NAME = "Objects"

_MOST_BYTES_IN_MEMORY = 4 << 30
_PLANES_AHEAD = 64

Preparation = tuple[Hashable, Callable[[Segmenter], Iterator[Any]]]


class Target:
    """What is segmented, and where its objects go.

    Parameters
    ----------
    viewer
        The viewer; a Labels layer is added to it unless one is given.
    layers, choice
        As `LayerImage` takes them.
    labels
        The Labels layer that objects go to; None for a new one.
    detail
        A key of `pictures.DETAILS`.
    warn
        Called with sentences about the journal, and about a layer that is gone.
    former
        What was segmented until now: if it is this image with these labels, its objects are known
        here, and its journal gives way to the new one.

    Raises
    ------
    SamPluginsError
        If the layers cannot be segmented, or the Labels layer does not fit them.
    """

    def __init__(
        self,
        viewer: Any,
        layers: Sequence[Any],
        choice: ImageChoice,
        *,
        labels: Any | None,
        detail: str,
        warn: Callable[[str], None],
        former: "Target | None" = None,
    ) -> None:
        self._viewer, self._warn = viewer, warn
        self.log: OperationLog
        self.changes = 0
        """How often the labels were changed, by whomever."""
        self._saved_at = -1
        self.layers = tuple(layers)
        self._choice = choice
        self.image = LayerImage(layers, choice)
        self.fingerprint = fingerprint(self.image)
        self.pictures = Pictures(lambda plane: self.image.source(plane), detail)
        self._own = labels is None
        self.labels = self._added() if labels is None else self._checked(labels)
        if former is None or former.labels is not labels or former.layers != self.layers:
            self._begin({})
            return
        former.watch.flush()
        self._own = former._own
        self._begin(former.book.records)
        if (former._choice, former.pictures.detail) == (choice, detail):
            self.log = former.log
        # One entry at least, so that this session is offered again like the one before.
        self.journal.write("restore", (), {})
        former.note_saved(former.changes)

    def _begin(self, records: Mapping[int, ObjectRecord], draft: Any | None = None) -> None:
        """Open a book and a journal of what the Labels layer holds now."""
        about = About(
            image=self.name,
            fingerprint=self.fingerprint,
            layer=str(self.labels.name),
            shape=self.shape,
            dtype=str(self.labels.data.dtype),
            settings={"choice": self.image.choice.to_json(), "detail": self.pictures.detail},
        )
        self.journal = Journal.create(journals_folder(), about, warn=self._warn)
        self.book = Book(self.labels.data, journal=self.journal, records=records, draft=draft)
        self.book.on_change.append(self._on_change)
        self.watch = LabelsWatch(self.labels, self.book, say=self._warn, changed=self._count)
        self.log = OperationLog(self.shape)
        self.log.begin_with(self.labels.data, records)

    def _on_change(self, regions: Any) -> None:
        self._count()
        self.labels.refresh()

    def _count(self) -> None:
        self.changes += 1

    @property
    def is_saved(self) -> bool:
        """Whether files hold all objects, so that the journal need not be offered again."""
        return self._saved_at == self.changes

    def note_saved(self, changes: int) -> None:
        """Files hold the labels as they were after so many changes."""
        self._saved_at = changes

    def current(self) -> tuple[Any, int]:
        """A copy of the labels in memory, and after how many changes they are like this."""
        self.watch.flush()
        return np.array(self.labels.data), self.changes

    @property
    def problem(self) -> str:
        """Why objects cannot be written any more, in a sentence; empty if they can."""
        if self.watch.following:
            return ""
        return (
            f"The labels of {self.labels.name} were replaced by others that do not fit: use the "
            "image again with a new Labels layer; what was kept is offered there."
        )

    def take_picture(self, choice: ImageChoice | None = None, detail: str | None = None) -> None:
        """Look at the image layers anew, and in another way if that is said.

        Raises
        ------
        SamPluginsError
            If that cannot be segmented, or has another shape than the labels.
        """
        image = LayerImage(self.layers, choice or self._choice)
        if tuple(image.shape) != self.shape:
            raise SamPluginsError(
                f"{self.name} has the shape {tuple(image.shape)} now and its labels {self.shape}: "
                "use the image again."
            )
        self.image, self.fingerprint = image, fingerprint(image)
        self._choice = choice or self._choice
        self.pictures.detail = detail or self.pictures.detail
        self.pictures.clear()
        self.note()

    def choice_of(self, settings: Mapping[str, Any]) -> tuple[ImageChoice, str]:
        """The choice and the detail that a session was journaled with, for these layers."""
        detail = settings.get("detail")
        detail = detail if detail in DETAILS else self.pictures.detail
        if "choice" not in settings:
            return self._choice, detail
        choice = ImageChoice.from_json(settings["choice"])
        # Layers may have other names now; of several, each is a channel.
        return (choice if len(choice.layers) == len(self.layers) else self._choice), detail

    def note(self, *, policy: str | None = None, model_id: str = "") -> None:
        """Journal the settings as they are now."""
        known = self.journal.about.settings
        settings = {"choice": self.image.choice.to_json(), "detail": self.pictures.detail}
        policy = policy or known.get("policy")
        self.journal.note_about(
            settings=settings if policy is None else {**settings, "policy": policy},
            model_id=model_id or self.journal.about.model_id,
            fingerprint=self.fingerprint,
        )

    @property
    def name(self) -> str:
        """Of the image: its layers' names."""
        return " + ".join(str(layer.name) for layer in self.layers)

    def offers(self) -> list[Recovery]:
        """Sessions on this picture that ended without being saved, the newest first."""
        found = recoverable(fingerprint=self.fingerprint)
        return [each for each in found if each.about.shape == self.shape]

    def restore(self, recovery: Recovery) -> Any | None:
        """Take up a session again: its objects, their prompts and the layer's pixels.

        Returns
        -------
        The prompts that were not kept (JSON), or None.

        Raises
        ------
        SamPluginsError
            If its journal cannot be read; nothing has changed then.
        """
        if self.book.records:
            raise SamPluginsError(
                f"{self.labels.name} holds objects that were kept just now, and restoring would "
                "write over them: use the image again with a new Labels layer, and restore there."
            )
        found = restore(recovery.path)
        found.write_into(self.labels.data)
        self.watch.close()
        self.journal.close(saved=True)
        self._begin(found.records, found.draft)
        # One entry at least, so that this session is offered again like the one before.
        self.journal.write("restore", (), {}, found.draft)
        discard(recovery.path)
        self.labels.refresh()
        return found.draft

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the labels."""
        return tuple(self.image.shape)

    @property
    def axes(self) -> tuple[tuple[int, str, int], ...]:
        """Axes besides rows and columns of the plane in view: (number, name, length)."""
        plane = self.image.plane(self._viewer.dims)
        names = self.layers[0].axis_labels
        return tuple(
            (axis, str(names[axis]), length)
            for axis, length in enumerate(self.shape)
            if axis not in (plane.rows, plane.columns) and length > 1
        )

    def placed(self) -> dict[str, Any]:
        """What places a layer of the labels' coordinates in the world."""
        return labels_kwargs(self.image)

    def place_crop(self, plane: Plane, box: Box) -> dict[str, Any]:
        """What places a layer that holds only a part of a plane."""
        return crop_kwargs(self.image, plane, box)

    def preparations(self, plane: Plane, look: tuple[float, float] | None) -> list[Preparation]:
        """What to encode in the background: the plane in view, then its neighbours outwards."""
        found: list[Preparation] = [(plane, partial(self.pictures.prepare, plane=plane, look=look))]
        neighbours: list[tuple[int, Plane]] = []
        for axis, length in enumerate(self.shape):
            if axis in (plane.rows, plane.columns):
                continue
            here = plane.index[axis]
            neighbours += [
                (abs(position - here), plane.at(axis, position))
                for position in range(length)
                if position != here
            ]
        neighbours.sort(key=lambda entry: entry[0])
        for _, other in neighbours[:_PLANES_AHEAD]:
            found.append((other, partial(self.pictures.prepare, plane=other, look=look)))
        return found

    def close(self) -> None:
        """Look at the layer a last time; the journal stays until its objects are exported."""
        self.watch.close()
        self.journal.close(saved=self.is_saved or self._is_empty())
        self.pictures.clear()

    def _is_empty(self) -> bool:
        """Whether nothing would come back: no objects, no prompts, and no pixel of our layer."""
        draft: Any = self.book.draft or {}
        if self.book.records or draft.get("prompts") or not self._own:
            return False
        return not np.any(self.book.array)

    def _added(self) -> Any:
        nbytes = 4 * int(np.prod(self.shape, dtype=np.int64))
        if nbytes > _MOST_BYTES_IN_MEMORY:
            raise SamPluginsError(
                f"Labels for {self.shape} need {nbytes / 2**30:.1f} GB of memory, more than the "
                f"{_MOST_BYTES_IN_MEMORY >> 30} GB that are taken without asking: add a Labels "
                "layer of your own, for example of a zarr array on the disk, and choose it as the "
                "layer that objects go to."
            )
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_labels(
            np.zeros(self.shape, np.int32), name=OBJECTS_NAME, **self.placed()
        )
        self._viewer.layers.selection.active = active
        return layer

    def _checked(self, layer: Any) -> Any:
        if getattr(layer, "multiscale", False):
            raise SamPluginsError(
                f"{layer.name} has several resolutions, and objects can be written to one only: "
                "choose another Labels layer, or a new one."
            )
        if tuple(layer.data.shape) != self.shape:
            raise SamPluginsError(
                f"Objects of {self.name} need a Labels layer of shape {self.shape}, found "
                f"{layer.name} of {tuple(layer.data.shape)}: choose another, or a new one."
            )
        if not hasattr(type(layer.data), "__setitem__"):
            raise SamPluginsError(
                f"{layer.name} cannot be written to ({type(layer.data).__name__}): choose another "
                "Labels layer, or a new one."
            )
        if not self._lies_on_image(layer):
            self._warn(
                f"{layer.name} does not lie where {self.name} lies: objects are written into its "
                "pixels all the same. Give it the scale and the translation of the image to see "
                "them in their places."
            )
        return layer

    def _lies_on_image(self, layer: Any) -> bool:
        return all(
            np.allclose(*(getattr(x, "affine_matrix", x) for x in (getattr(layer, name), value)))
            for name, value in self.placed().items()
            if name in ("scale", "translate", "rotate", "shear", "affine")
        )
