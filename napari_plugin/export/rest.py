"""`rest_operation`: what no other operation makes, as pixels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.export.operations import Operation, paint_operation
from napari_plugin.values import Plane, PlaneMask, plane_slices
from sam_plugins.masks import mask_to_box

__all__ = ["rest_operation"]


def rest_operation(made: Any, labels: Any, axes: str) -> Operation | None:
    """The last operation of a document: it paints what differs, so that a replay ends the same.

    Parameters
    ----------
    made
        The labels that the other operations make.
    labels
        The labels as they are, of the same shape: with brush strokes and other programs' objects.
    axes
        A letter for each axis, see `axes.axis_letters`.

    Returns
    -------
    None where nothing differs.
    """
    shape = tuple(int(side) for side in labels.shape)
    rows, columns = axes.index("Y"), axes.index("X")
    sides = [1 if axis in (rows, columns) else side for axis, side in enumerate(shape)]
    changes = [
        change
        for index in np.ndindex(*sides)
        for change in _differences(Plane(rows, columns, tuple(map(int, index))), made, labels)
    ]
    return paint_operation(changes, shape, origin="rest") if changes else None


def _differences(plane: Plane, made: Any, labels: Any) -> Iterator[tuple[int, PlaneMask]]:
    """Value by value what has to be painted on a plane."""
    before, now = _read(made, plane), _read(labels, plane)
    differs = before != now
    if not differs.any():
        return
    for value in np.unique(now[differs]).tolist():
        pixels = differs & (now == value)
        x0, y0, x1, y1 = box = mask_to_box(pixels)
        yield int(value), PlaneMask(plane, box, pixels[y0:y1, x0:x1])


def _read(labels: Any, plane: Plane) -> NDArray[Any]:
    part: NDArray[Any] = np.asarray(labels[plane_slices(plane)])
    return part if plane.rows < plane.columns else part.T
