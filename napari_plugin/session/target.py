"""`Target`: one picture with the Labels layer that its objects go to, their book and journal."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_plugin.layers import ImageChoice, LayerImage, fingerprint
from napari_plugin.session.pictures import Pictures
from sam_plugins.errors import SamPluginsError

__all__ = ["OBJECTS_NAME", "Target"]

OBJECTS_NAME = "Objects"

_MOST_BYTES_IN_MEMORY = 4 << 30


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
        Called with sentences about the journal.

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
    ) -> None:
        self.image = LayerImage(layers, choice)
        self.fingerprint = fingerprint(self.image)
        self.pictures = Pictures(lambda plane: self.image.source(plane), detail)
        self.layers = tuple(layers)
        self.labels = self._checked(labels) if labels is not None else self._added(viewer)
        self._warn = warn


def new_labels(shape: tuple[int, ...]) -> Any:
    """Empty labels of a shape, int32.

    Raises
    ------
    SamPluginsError
        If they do not fit into memory.
    """
    nbytes = 4 * int(np.prod(shape, dtype=np.int64))
    if nbytes > _MOST_BYTES_IN_MEMORY:
        raise SamPluginsError(
            f"Labels for {shape} need {nbytes / 2**30:.1f} GB of memory, and at most "
            f"{_MOST_BYTES_IN_MEMORY >> 30} are taken without asking: add a Labels layer of your "
            "own, for example a zarr array on the disk, and choose it as the target."
        )
    return np.zeros(shape, np.int32)
