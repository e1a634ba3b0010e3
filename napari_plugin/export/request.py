"""`ExportRequest`: everything that files are made from, taken from the layers beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_plugin.export.provenance import Provenance
from sam_plugins.errors import ImageError
from sam_plugins.formats import LabelStack, ObjectNote

__all__ = ["ExportRequest"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ExportRequest:
    """What is exported, where to, and as what.

    Parameters
    ----------
    folder
        Where the files go; made if it is not there.
    name
        What their names begin with, usually the image's without its ending.
    kinds
        Keys of `kinds.KINDS`.
    labels
        The data of the Labels layer: NumPy, zarr, dask. Not copied: give a copy, or do not paint
        while it is exported.
    axes
        A letter for each of its axes, see `axes.axis_letters`.
    scale, translate, units
        Of each axis, as the layer has them.
    image_name
        The file name of the image, for COCO.
    notes
        Label -> name, class and measurements of the object.
    channels
        Name -> intensities of the labels' shape that are measured, see `axes.channels_of`.
    provenance
        How the objects were made; needed for the kind "provenance".
    overwrite
        Replace files of these names.
    """

    folder: Path
    name: str
    kinds: tuple[str, ...]
    labels: Any
    axes: str
    scale: tuple[float, ...] = ()
    translate: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    image_name: str = "image"
    notes: Mapping[int, ObjectNote] = field(default_factory=dict)
    channels: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance | None = None
    overwrite: bool = False

    def stack(self) -> LabelStack:
        """The labels with their axes.

        Raises
        ------
        ImageError
            If they do not fit each other, or the layer is shown mirrored.
        """
        if any(size < 0 for size in self.scale):
            raise ImageError(
                f"The layer is shown mirrored (its scale is {self.scale}), which files cannot say: "
                "give it a scale greater than 0."
            )
        return LabelStack(self.labels, self.axes, self.scale, self.translate, self.units)
