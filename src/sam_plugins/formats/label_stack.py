"""Labels of more than one plane: what a value's axes mean, how large a voxel is, plane by plane."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins.errors import ImageError
from sam_plugins.types import Box, Size

__all__ = ["LabelStack", "PlaneIndex", "label_image_objects"]

_ORDER = "TCZYX"
_MOST_LABELS = 2**32 - 1
_FEW_LABELS = 1 << 22
"""Up to this highest label a table with an entry for each is cheaper than sorting the pixels."""

UNITS = {
    "nm": "nanometer",
    "um": "micrometer",
    "µm": "micrometer",
    "μm": "micrometer",
    "micron": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "s": "second",
    "ms": "millisecond",
    "min": "minute",
    "h": "hour",
    "px": "pixel",
    "": "pixel",
}
"""Abbreviations of units; a unit is called by its full name everywhere."""


class PlaneIndex(NamedTuple):
    """Which plane of a stack, counted from 0; 0 where the stack has no such axis."""

    t: int = 0
    c: int = 0
    z: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LabelStack:
    """Labels with axes, voxel size and place. Every value is one object's label, 0 is none's.

    Parameters
    ----------
    labels
        NumPy, zarr, dask or whatever is indexed like them: integers or bool, not negative. Only
        one plane at a time is read.
    axes
        A letter for each axis of `labels`, of T, C, Z, Y, X in any order; Y and X must be there.
    scale
        Size of a voxel along each axis, greater than 0; 1 by default.
    translate
        World coordinate of the centre of the first voxel along each axis; 0 by default.
    units
        Of each axis: "micrometer", "second", "pixel", or an abbreviation; "pixel" by default.

    Raises
    ------
    ImageError
        If the axes do not fit the array, the values are no labels, or a size is not positive.
    """

    labels: Any
    axes: str = "YX"
    scale: tuple[float, ...] = field(default=())
    translate: tuple[float, ...] = field(default=())
    units: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        axes, shape = self.axes.upper(), tuple(int(n) for n in self.labels.shape)
        if len(axes) != len(shape) or len(set(axes)) != len(axes) or not set(axes) <= set(_ORDER):
            raise ImageError(
                f"Labels of shape {shape} need {len(shape)} different letters of T, C, Z, Y, X as "
                f"axes, found '{self.axes}'."
            )
        if not {"Y", "X"} <= set(axes) or 0 in shape:
            raise ImageError(f"Labels need rows Y and columns X, found '{axes}' of shape {shape}.")
        dtype = np.dtype(self.labels.dtype)
        if not (np.issubdtype(dtype, np.integer) or dtype == np.bool_):
            raise ImageError(f"Labels must be whole numbers, found {dtype}: convert them first.")
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "scale", _per_axis("scale", self.scale, axes, 1.0))
        object.__setattr__(self, "translate", _per_axis("translate", self.translate, axes, 0.0))
        if min(self.scale) <= 0:
            raise ImageError(f"The sizes of a voxel must be greater than 0, found {self.scale}.")
        units = tuple(UNITS.get(str(unit), str(unit)) for unit in self.units) or ("pixel",) * len(
            axes
        )
        if len(units) != len(axes):
            raise ImageError(f"units must have one name for each of '{axes}', found {units}.")
        object.__setattr__(self, "units", units)

    @property
    def canonical_axes(self) -> str:
        """The axes in the order T, C, Z, Y, X: that of files and of `planes`."""
        return "".join(letter for letter in _ORDER if letter in self.axes)

    @property
    def canonical_shape(self) -> tuple[int, ...]:
        """The lengths of `canonical_axes`."""
        return tuple(self.length(letter) for letter in self.canonical_axes)

    @property
    def size(self) -> Size:
        """(H, W) of a plane."""
        return self.length("Y"), self.length("X")

    @property
    def plane_count(self) -> int:
        """How many planes there are."""
        return math.prod(self.canonical_shape[:-2])

    def length(self, letter: str) -> int:
        """How long an axis is; 1 where there is none of this letter."""
        at = self.axes.find(letter)
        return 1 if at < 0 else int(self.labels.shape[at])

    def scale_of(self, letter: str) -> float:
        """The size of a voxel along an axis; 1 where there is none."""
        at = self.axes.find(letter)
        return 1.0 if at < 0 else self.scale[at]

    def translate_of(self, letter: str) -> float:
        """The world coordinate of the first voxel's centre along an axis; 0 where there is none."""
        at = self.axes.find(letter)
        return 0.0 if at < 0 else self.translate[at]

    def unit_of(self, letter: str) -> str:
        """The unit of an axis; "pixel" where there is none."""
        at = self.axes.find(letter)
        return "pixel" if at < 0 else self.units[at]

    def plane_indices(self) -> Iterator[PlaneIndex]:
        """All planes, z fastest."""
        for t, c, z in np.ndindex(self.length("T"), self.length("C"), self.length("Z")):
            yield PlaneIndex(t, c, z)

    def plane(self, index: PlaneIndex) -> NDArray[Any]:
        """One plane, (H, W) of the type of `labels`.

        Raises
        ------
        ImageError
            If a label is negative or does not fit 32 bits.
        """
        at = {"T": index.t, "C": index.c, "Z": index.z}
        where = tuple(at.get(letter, slice(None)) for letter in self.axes)
        plane: NDArray[Any] = np.asarray(self.labels[where])
        if self.axes.index("Y") > self.axes.index("X"):
            plane = plane.T
        if (plane.dtype.kind == "i" and plane.min() < 0) or int(plane.max()) > _MOST_LABELS:
            raise ImageError(
                f"Labels must be 0 to {_MOST_LABELS}, found {plane.min()}..{plane.max()}."
            )
        return plane

    def planes(self) -> Iterator[tuple[PlaneIndex, NDArray[Any]]]:
        """Every plane, z fastest, read when it is its turn."""
        for index in self.plane_indices():
            yield index, self.plane(index)

    def stored_dtype(self) -> np.dtype[Any]:
        """uint16 where every label fits, otherwise uint32; looks at the values only if it must."""
        dtype = np.dtype(self.labels.dtype)
        if dtype.itemsize <= 2:
            return np.dtype(np.uint16)
        fits = all(int(plane.max()) < 2**16 for _, plane in self.planes())
        return np.dtype(np.uint16 if fits else np.uint32)


def _per_axis(what: str, values: Sequence[float], axes: str, default: float) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values) or (default,) * len(axes)
    if len(numbers) != len(axes) or not all(math.isfinite(number) for number in numbers):
        raise ImageError(
            f"{what} must have one finite number for each of '{axes}', found {tuple(values)}."
        )
    return numbers


def label_image_objects(
    labels: NDArray[Any],
) -> Iterator[tuple[int, NDArray[np.bool_], Box]]:
    """The objects of one plane in the order of their labels.

    Parameters
    ----------
    labels
        (H, W) integers or bool, 0 background, not negative.

    Yields
    ------
    label, crop, box
        The label, the object's pixels as (h, w) bool, and their xyxy with x1 and y1 exclusive.
    """
    if labels.dtype == np.bool_:
        labels = labels.astype(np.uint8)
    if not labels.size or not labels.any():
        return
    numbers: Sequence[int] | NDArray[Any]
    if int(labels.max()) <= _FEW_LABELS:
        places, numbers = labels.astype(np.int32, copy=False), range(int(labels.max()) + 1)
    else:
        numbers, inverse = np.unique(labels, return_inverse=True)
        places = inverse.reshape(labels.shape).astype(np.int32)
        if numbers[0] != 0:
            places, numbers = places + 1, np.concatenate(([0], numbers))
    for place, found in enumerate(ndimage.find_objects(places), 1):
        if found is not None:
            rows, columns = found
            yield (
                int(numbers[place]),
                places[found] == place,
                (columns.start, rows.start, columns.stop, rows.stop),
            )
