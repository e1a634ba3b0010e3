"""Where an object is: its pixels, its parts, and which values are free."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.regions import Region, Slices, blocks_of, in_box, read, tight
from napari_plugin.values import Plane, PlaneMask
from sam_plugins.formats import crop_to_rle
from sam_plugins.types import Rle

__all__ = ["components", "cut", "highest", "lowest_free", "mask_on", "pixels_of", "plane_rle"]


def pixels_of(array: Any, value: int) -> Iterator[tuple[Slices, NDArray[np.bool_]]]:
    """Every pixel that holds a value: boxes of the data and a mask on each; all blocks are read."""
    for where in blocks_of(array):
        mask = read(array, where) == value
        if mask.any():
            yield tight(where, mask)


def highest(array: Any) -> int:
    """The largest value in the array; at least 0."""
    return max((int(read(array, where).max(initial=0)) for where in blocks_of(array)), default=0)


def lowest_free(array: Any, used: set[int], largest: int) -> int:
    """The smallest value from 1 to `largest` that neither the array nor `used` holds.

    Raises
    ------
    LabelsError
        If there is none.
    """
    taken = set(used)
    for where in blocks_of(array):
        taken.update(np.unique(read(array, where)).tolist())
        if len(taken) > largest + 1:
            break
    for value in range(1, largest + 1):
        if value not in taken:
            return value
    raise LabelsError(
        f"The Labels layer holds {_type_name(array)} and can number {largest} objects; all numbers "
        "have been used. Convert the layer to a larger type (right-click the layer: Convert data "
        "type: uint16 or larger)."
    )


def _type_name(array: Any) -> str:
    """The name of the type of the labels."""
    return str(np.dtype(array.dtype))


def mask_on(array: Any, value: int, plane: Plane) -> PlaneMask | None:
    """The pixels of a plane that hold a value, cut to what they cover; None if there are none."""
    where = [slice(position, position + 1) for position in plane.index]
    for axis in (plane.rows, plane.columns):
        where[axis] = slice(0, int(array.shape[axis]))
    mask = read(array, tuple(where)) == value
    if not mask.any():
        return None
    box, found = tight(tuple(where), mask)
    rows, columns = box[plane.rows], box[plane.columns]
    crop = np.ascontiguousarray(in_box(plane, found))
    return PlaneMask(plane, (columns.start, rows.start, columns.stop, rows.stop), crop)


def plane_rle(mask: PlaneMask, shape: Sequence[int]) -> Rle:
    """A mask as run lengths over its whole plane, of labels with a shape."""
    size = (int(shape[mask.plane.rows]), int(shape[mask.plane.columns]))
    return crop_to_rle(mask.crop, mask.box, size)


def _whole(array: Any, value: int) -> tuple[Slices, NDArray[np.bool_]]:
    boxes = [where for where, _ in pixels_of(array, value)]
    if not boxes:
        raise LabelsError(f"There is no object {value} in the Labels layer.")
    outer = tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )
    elements = prod(part.stop - part.start for part in outer)
    if elements > 1 << 30:
        raise LabelsError(
            f"Object {value} lies in a box of {elements} pixels, too large to find its parts. "
            "Split it on one plane with a line."
        )
    return outer, read(array, outer) == value


def components(array: Any, value: int) -> list[Region]:
    """The connected parts of an object, corners included, the largest first."""
    where, mask = _whole(array, value)
    found, count = ndimage.label(mask, np.ones((3,) * mask.ndim, bool))
    return _parts(where, found, count)


def cut(array: Any, value: int, plane: Plane, way: Sequence[tuple[float, float]]) -> list[Region]:
    """The parts into which a line cuts an object on one plane, the largest first.

    Parameters
    ----------
    array
        Labels, N-D.
    value
        The object.
    plane
        Where the line was drawn; the other planes are not touched.
    way
        (x, y) vertices in pixels of the plane.

    Notes
    -----
    The pixels under the line go to the part that is nearest.
    """
    # Slow to import, and rarely needed.
    from skimage.draw import line

    mask = mask_on(array, value, plane)
    if mask is None:
        raise LabelsError(f"There is no object {value} on this plane.")
    x0, y0, _, _ = mask.box
    rest = mask.crop.copy()
    for (ax, ay), (bx, by) in pairwise(way):
        ends = (round(ay) - y0, round(ax) - x0, round(by) - y0, round(bx) - x0)
        rows, columns = line(*ends)  # type: ignore[no-untyped-call]
        inside = (rows >= 0) & (rows < rest.shape[0]) & (columns >= 0) & (columns < rest.shape[1])
        rest[rows[inside], columns[inside]] = False
    # Sides only: a line of single pixels lets parts touch at corners.
    found, count = ndimage.label(rest)
    if count == 0:
        return []
    nearest = ndimage.distance_transform_edt(
        found == 0, return_distances=False, return_indices=True
    )
    found = np.where(mask.crop, found[tuple(nearest)], 0)
    ordered = found if plane.rows < plane.columns else found.T
    where = [slice(position, position + 1) for position in plane.index]
    where[plane.rows] = slice(y0, y0 + rest.shape[0])
    where[plane.columns] = slice(x0, x0 + rest.shape[1])
    shape = [part.stop - part.start for part in where]
    return _parts(tuple(where), ordered.reshape(shape), count)


def _parts(where: Slices, found: NDArray[Any], count: int) -> list[Region]:
    sizes = np.bincount(found.ravel(), minlength=count + 1)[1:]
    regions = []
    for part in np.argsort(-sizes, kind="stable"):
        if sizes[part]:
            regions.append(Region.of(*tight(where, found == part + 1)))
    return regions
