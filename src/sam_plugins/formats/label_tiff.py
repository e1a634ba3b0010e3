"""Stacks of labels as OME-TIFF: axes, voxel size and place in the file, page by page."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tifffile

from sam_plugins.errors import ImageError
from sam_plugins.formats.label_stack import LabelStack
from sam_plugins.formats.whole import whole_file

__all__ = ["read_label_tiff", "write_label_tiff"]

_SYMBOLS = {
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "second": "s",
    "millisecond": "ms",
    "minute": "min",
    "hour": "h",
    "pixel": "pixel",
}
"""OME's symbol of a unit."""

_PER_CENTIMETRE = {
    "nanometer": 1e7,
    "micrometer": 1e4,
    "millimeter": 10.0,
    "centimeter": 1.0,
    "meter": 0.01,
}
_CLASSIC_BYTES = 2**32 - 2**25
_MOST_BYTES = 2**34
_SMALL_BYTES = 1 << 26
_MOST_PACKED = 20_000
"""Bytes of labels that one byte of a file may hold: more than any usual compression makes."""
_SIZES = {"X": "PhysicalSizeX", "Y": "PhysicalSizeY", "Z": "PhysicalSizeZ", "T": "TimeIncrement"}
_POSITIONS = {"X": "PositionX", "Y": "PositionY", "Z": "PositionZ", "T": "DeltaT"}


def write_label_tiff(path: str | Path, stack: LabelStack) -> Iterator[int]:
    """Write labels as OME-TIFF; nothing happens until it is iterated.

    Parameters
    ----------
    path
        ``.tif`` or ``.tiff``. BigTIFF where it could exceed 4 GB.
    stack
        Read one plane at a time; uint16, or uint32 where a label needs it, compressed by zlib.

    Yields
    ------
    How many planes are written. The file appears after the last; closing the generator before
    leaves nothing.

    Raises
    ------
    ImageError
        If the ending is another one, or a value is no label.
    OSError
        If the folder is missing or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise ImageError(f"A TIFF of labels is named .tif or .tiff, found {path.name}.")
    dtype = stack.stored_dtype()
    nbytes = math.prod(stack.canonical_shape) * dtype.itemsize
    with (
        whole_file(path) as partial,
        tifffile.TiffWriter(partial, bigtiff=nbytes > _CLASSIC_BYTES) as writer,
    ):
        for done, (_, plane) in enumerate(stack.planes(), 1):
            writer.write(
                np.ascontiguousarray(plane, dtype),
                compression="zlib",
                photometric="minisblack",
                metadata=None,
                description=_described(stack, dtype, path.name) if done == 1 else None,
                **_resolution(stack),
            )
            if done < stack.plane_count:
                yield done
    yield stack.plane_count


def _described(stack: LabelStack, dtype: np.dtype[Any], name: str) -> bytes:
    """OME-XML of the whole file."""
    height, width = stack.size
    metadata: dict[str, Any] = {"Name": name}
    plane: dict[str, Any] = {}
    for letter in stack.axes.replace("C", ""):
        # OME knows pixels as a length and nothing like it as a time.
        unit = stack.unit_of(letter)
        symbol = _SYMBOLS.get(unit, "reference frame")
        symbol = "s" if letter == "T" and symbol in ("pixel", "reference frame") else symbol
        size, position = _SIZES[letter], _POSITIONS[letter]
        first, step = stack.translate_of(letter), stack.scale_of(letter)
        metadata[size], metadata[size + "Unit"] = step, symbol
        plane[position] = [
            first + step * {"Z": index.z, "T": index.t}.get(letter, 0)
            for index in stack.plane_indices()
        ]
        plane[position + "Unit"] = [symbol] * stack.plane_count
    described = tifffile.OmeXml()
    described.addimage(
        dtype,
        stack.canonical_shape,
        (stack.plane_count, 1, 1, height, width, 1),
        axes=stack.canonical_axes,
        Plane=plane,
        **metadata,
    )
    return described.tostring().encode("utf-8")


def _resolution(stack: LabelStack) -> dict[str, Any]:
    """Pixels per centimetre, for programs that read no OME-XML."""
    units = [_PER_CENTIMETRE.get(stack.unit_of(letter)) for letter in "XY"]
    if None in units:
        return {}
    across, down = (
        float(per or 1) / stack.scale_of(letter) for per, letter in zip(units, "XY", strict=True)
    )
    return {"resolution": (across, down), "resolutionunit": "CENTIMETER"}


def read_label_tiff(path: str | Path) -> LabelStack:
    """Read labels that `write_label_tiff`, ImageJ or another program wrote.

    Scale, place and units are those of OME-XML or of ImageJ's own metadata, where there are any.

    Raises
    ------
    ImageError
        If it is no TIFF, damaged, not integers, in colour, or larger than 16 GiB.
    OSError
        If it cannot be opened.
    """
    path = Path(path)
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            nbytes = math.prod(series.shape) * series.dtype.itemsize
            if nbytes > _MOST_BYTES:
                raise ImageError(
                    f"'{path}' says that it holds {nbytes / 2**30:.1f} GiB of labels, at most "
                    f"{_MOST_BYTES / 2**30:.0f} are read at once: use OME-Zarr for so many."
                )
            _check_plausible(path, nbytes)
            axes = series.axes.replace("I", "Z").replace("Q", "Z")
            places = _ome_places(file) if file.is_ome else _imagej_places(file)
            labels = series.asarray()
    except (ImageError, OSError):
        raise
    except Exception as error:
        # A damaged file ends in any error at all of the library that decodes it.
        raise ImageError(f"'{path}' cannot be read as labels: {error}.") from error
    if "S" in axes:
        raise ImageError(f"'{path}' is a colour picture: a colour picture of labels is not labels.")
    found = [places.get(letter, (1.0, 0.0, "pixel")) for letter in axes]
    scale, translate, units = zip(*found, strict=True)
    return LabelStack(labels, axes, scale, translate, units)


def _check_plausible(path: Path, nbytes: int) -> None:
    """Refuse what no file of this size can hold, before memory is taken for it."""
    size = path.stat().st_size
    if nbytes > _SMALL_BYTES + _MOST_PACKED * size:
        raise ImageError(
            f"'{path}' says that it holds {nbytes / 2**20:,.0f} MiB of labels and has {size:,} "
            "bytes, which is too few for that: it is damaged, copy or download it again."
        )


_Places: TypeAlias = dict[str, tuple[float, float, str]]
"""Scale, translate and unit of some axes."""


def _ome_places(file: Any) -> _Places:
    document = tifffile.xml2dict(file.ome_metadata)
    image = _first(document["OME"]["Image"])
    pixels = image["Pixels"]
    plane = _first(pixels.get("Plane", {}))
    names = {symbol: name for name, symbol in _SYMBOLS.items()} | {"reference frame": "pixel"}
    places = {}
    for letter, size in _SIZES.items():
        if size in pixels:
            unit = str(pixels.get(size + "Unit", "s" if letter == "T" else "µm"))
            position = _number(plane.get(_POSITIONS[letter]), 0.0)
            places[letter] = (_number(pixels[size], 1.0), position, names.get(unit, unit))
    return places


def _imagej_places(file: Any) -> _Places:
    """ImageJ has pixels per unit in the resolution, and the name of the unit in a text."""
    described = file.imagej_metadata or {}
    unit = str(described.get("unit", "pixel")).replace("\\u00B5", "µ")
    places = {}
    for letter, name in (("X", "XResolution"), ("Y", "YResolution")):
        tag = file.pages[0].tags.get(name)
        if "unit" in described and tag is not None and tag.value[0]:
            places[letter] = (tag.value[1] / tag.value[0], 0.0, unit)
    if "spacing" in described:
        places["Z"] = (_number(described["spacing"], 1.0), 0.0, unit)
    if described.get("finterval"):
        places["T"] = (_number(described["finterval"], 1.0), 0.0, "second")
    return places


def _first(found: Any) -> Any:
    return found[0] if isinstance(found, list | tuple) and found else found


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise
