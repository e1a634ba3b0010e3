"""What can be measured of labelled objects, as a table and as CSV.

A stack with z has one row for each object and time point, measured as a volume; without z, one row
for each object and plane. Lengths are in pixels (``_px``) and in the units of the stack.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError
from sam_plugins.formats.label_stack import LabelStack, PlaneIndex
from sam_plugins.formats.whole import whole_file

__all__ = ["Measurements", "measure_labels", "write_measurements"]

Measurements: TypeAlias = dict[str, NDArray[Any]]
"""Columns of one length, by name, in order."""

_SHAPES = {
    "eccentricity": "eccentricity",
    "solidity": "solidity",
    "equivalent_diameter_area": "equivalent_diameter",
}
"""What scikit-image calls it, and what the table does."""


def measure_labels(
    stack: LabelStack, channels: Mapping[str, Any] | None = None
) -> Iterator[int | Measurements]:
    """Measure every object; nothing happens until it is iterated.

    Parameters
    ----------
    stack
        Read one plane at a time.
    channels
        Name -> intensities, of the shape and axes of the labels; read one plane at a time.

    Yields
    ------
    How many planes are measured, and at last the table:

    - ``label``; ``t`` and ``c``, from 0, where the stack has these axes;
    - ``area_px`` and ``area``, with z ``volume_px`` and ``volume``;
    - ``centroid_x_px``, ... from the first pixel's centre, and ``centroid_x``, ... in the world;
    - ``bbox_x0_px``, ``bbox_x1_px``, ...: the first pixel and the one after the last;
    - ``equivalent_diameter`` of the disk or ball of this size;
    - without z ``eccentricity``, ``solidity``, ``perimeter_px`` and ``perimeter``, which is NaN
      where pixels are not square;
    - ``<channel>_mean``, ``_min``, ``_max``, ``_std`` over the pixels that are numbers;
    - ``unit`` of the lengths; "mixed" where the axes differ in theirs.

    Raises
    ------
    ImageError
        If a channel has another shape than the labels, or a value is no label.
    """
    channels = dict(channels or {})
    for name, values in channels.items():
        if tuple(values.shape) != tuple(stack.labels.shape):
            raise ImageError(
                f"Channel {name!r} must have the shape of the labels, {tuple(stack.labels.shape)}, "
                f"found {tuple(values.shape)}."
            )
    parts: list[Measurements] = []
    for done, (index, plane) in enumerate(stack.planes(), 1):
        shown = {name: _intensities(stack, values, index) for name, values in channels.items()}
        parts.append(_of_plane(stack, index, plane, shown))
        yield done
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    yield _table(stack, columns, list(channels))


def _intensities(stack: LabelStack, values: Any, index: PlaneIndex) -> NDArray[np.float64]:
    at = {"T": index.t, "C": index.c, "Z": index.z}
    plane = np.asarray(values[tuple(at.get(axis, slice(None)) for axis in stack.axes)], np.float64)
    return plane.T if stack.axes.index("Y") > stack.axes.index("X") else plane


def _of_plane(
    stack: LabelStack,
    index: PlaneIndex,
    plane: NDArray[Any],
    channels: Mapping[str, NDArray[np.float64]],
) -> Measurements:
    """Sums of one plane that those of other planes can be added to, one row for each object."""
    y, x = np.nonzero(plane)
    labels, inside = np.unique(plane[y, x].astype(np.int64), return_inverse=True)
    count = len(labels)
    pixels = np.bincount(inside, minlength=count)
    columns: Measurements = {
        "label": labels,
        "t": np.full(count, index.t),
        "c": np.full(count, index.c),
        "pixels": pixels,
    }
    for axis, places in (("x", x), ("y", y), ("z", np.full(len(x), index.z))):
        columns[axis] = np.bincount(inside, places, count)
        columns[f"{axis}0"] = _least(places, inside, count)
        columns[f"{axis}1"] = 1 - _least(-places, inside, count)
    for name, image in channels.items():
        values = image[y, x]
        numbers = ~np.isnan(values)
        values, where = values[numbers], inside[numbers]
        known = np.bincount(where, minlength=count)
        mean = np.bincount(where, values, count) / np.maximum(known, 1)
        columns[f"{name}/known"], columns[f"{name}/sum"] = known, mean * known
        columns[f"{name}/spread"] = np.bincount(where, (values - mean[where]) ** 2, count)
        columns[f"{name}/mean"] = mean
        columns[f"{name}/min"] = _least(values, where, count)
        columns[f"{name}/max"] = -_least(-values, where, count)
    if "Z" not in stack.axes:
        columns |= _shapes(plane, labels, stack)
    return columns


def _least(values: NDArray[Any], inside: NDArray[np.int64], count: int) -> NDArray[Any]:
    whole = np.issubdtype(values.dtype, np.integer)
    least = np.full(count, np.iinfo(np.int64).max if whole else np.inf)
    least = least.astype(np.int64) if whole else least
    np.minimum.at(least, inside, values)
    return least


def _shapes(plane: NDArray[Any], labels: NDArray[np.int64], stack: LabelStack) -> Measurements:
    """What scikit-image measures of objects in a plane, in the order of `labels`."""
    if not len(labels):
        return {name: np.zeros(0) for name in (*_SHAPES.values(), "perimeter_px")}
    places = (np.searchsorted(labels, plane) + 1) * (plane != 0)
    spacing = (stack.scale_of("Y"), stack.scale_of("X"))
    # Slow to import, and needed for measuring only.
    from skimage.measure import regionprops_table

    measured: Any = regionprops_table
    found = measured(places, properties=tuple(_SHAPES), spacing=spacing)
    shapes = {ours: np.asarray(found[theirs], float) for theirs, ours in _SHAPES.items()}
    round_about = measured(places, properties=("perimeter",))
    return shapes | {"perimeter_px": np.asarray(round_about["perimeter"], float)}


def _table(stack: LabelStack, columns: Measurements, channels: list[str]) -> Measurements:
    """Add up what belongs to one object."""
    deep = "Z" in stack.axes
    order = np.lexsort((columns["label"], columns["c"], columns["t"]))
    columns = {name: column[order] for name, column in columns.items()}
    keys = np.stack([columns[name] for name in ("t", "c", "label")])
    first = np.flatnonzero(np.any(np.diff(keys, axis=1, prepend=-1) != 0, axis=0))

    def total(name: str) -> NDArray[Any]:
        return np.add.reduceat(columns[name], first) if len(first) else columns[name]

    pixels = total("pixels")
    table: Measurements = {"label": columns["label"][first]}
    table |= {axis: columns[axis][first] for axis in "tc" if axis.upper() in stack.axes}
    axes = "xyz" if deep else "xy"
    amount = "volume" if deep else "area"
    voxel = math.prod(stack.scale_of(axis.upper()) for axis in axes)
    table |= {f"{amount}_px": pixels, amount: pixels * voxel}
    for axis in axes:
        table[f"centroid_{axis}_px"] = total(axis) / np.maximum(pixels, 1)
    for axis in axes:
        scale, first_centre = stack.scale_of(axis.upper()), stack.translate_of(axis.upper())
        table[f"centroid_{axis}"] = table[f"centroid_{axis}_px"] * scale + first_centre
    for axis in axes:
        for reduced, end in ((np.minimum, "0"), (np.maximum, "1")):
            column = columns[axis + end]
            table[f"bbox_{axis}{end}_px"] = (
                reduced.reduceat(column, first) if len(first) else column
            )
    if deep:
        table["equivalent_diameter"] = np.cbrt(6 * table["volume"] / np.pi)
    else:
        table |= {name: columns[name][first] for name in (*_SHAPES.values(), "perimeter_px")}
        square = math.isclose(stack.scale_of("Y"), stack.scale_of("X"))
        table["perimeter"] = table["perimeter_px"] * (stack.scale_of("X") if square else np.nan)
    group = np.cumsum(np.isin(np.arange(len(order)), first)) - 1
    for name in channels:
        table |= _intensity_columns(name, columns, first, group)
    units = {stack.unit_of(axis.upper()) for axis in axes}
    table["unit"] = np.full(len(first), units.pop() if len(units) == 1 else "mixed", dtype=object)
    return table


def _intensity_columns(
    name: str, columns: Measurements, first: NDArray[np.int64], group: NDArray[np.int64]
) -> Measurements:
    if not len(first):
        return {f"{name}_{what}": np.zeros(0) for what in ("mean", "min", "max", "std")}
    known = np.add.reduceat(columns[f"{name}/known"], first)
    count = np.where(known > 0, known, np.nan)
    mean = np.add.reduceat(columns[f"{name}/sum"], first) / count
    # Squares around the means of the planes, and those of these means around the whole one.
    beside = columns[f"{name}/known"] * (columns[f"{name}/mean"] - mean[group]) ** 2
    spread = np.add.reduceat(columns[f"{name}/spread"] + np.nan_to_num(beside), first)
    none = np.where(known > 0, 0.0, np.nan)
    return {
        f"{name}_mean": mean,
        f"{name}_min": np.minimum.reduceat(columns[f"{name}/min"], first) + none,
        f"{name}_max": np.maximum.reduceat(columns[f"{name}/max"], first) + none,
        f"{name}_std": np.sqrt(spread / count),
    }


def write_measurements(path: str | Path, table: Measurements) -> None:
    """Write a table as CSV with a line of names; NaN is an empty cell.

    A spreadsheet takes text that begins with =, +, - or @ for a formula: names of channels that do
    get an apostrophe before them.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_harmless(name) for name in table])
        writer.writerows(
            zip(*(map(_cell, column.tolist()) for column in table.values()), strict=True)
        )


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
