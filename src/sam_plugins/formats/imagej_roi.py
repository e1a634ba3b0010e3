"""One ImageJ region of interest, as the bytes of a ``.roi`` file: areas only.

Numbers are big-endian. A header of 64 bytes, then the corners, then a second header of 64 bytes
with the position in a hyperstack, then the name. One piece without holes is a polygon; holes and
several pieces are a composite: a path of moves and lines in float32.
"""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.label_stack import PlaneIndex
from sam_plugins.formats.outlines import Outline

__all__ = ["ImageJRoi", "decode_roi", "encode_roi", "outlines_to_roi"]

_VERSION = 228
_HEADER = struct.Struct(">4sHBxhhhhH16xhiiihhBBhii")
_HEADER_2 = struct.Struct(">4xiiiii40x")
_POLYGON, _RECTANGLE, _FREEHAND, _TRACED = 0, 1, 7, 8
_SUBPIXEL = 128
_MOVE, _LINE, _QUADRATIC, _CUBIC, _CLOSE = range(5)
_NUMBERS = {_MOVE: 2, _LINE: 2, _QUADRATIC: 4, _CUBIC: 6, _CLOSE: 0}
_LARGEST_SHORT = 2**15 - 1
_EXACT_FLOAT = 2**24
_MOST_CORNERS = 10_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ImageJRoi:
    """An area on one plane, or on all.

    Parameters
    ----------
    name
        As the ROI manager lists it.
    rings
        (N, 2) xy corners each; a pixel belongs to it if its centre lies in an odd number of them.
    plane
        Where it lies, counted from 0; None for every plane.
    """

    name: str
    rings: tuple[NDArray[np.float64], ...] = field(default=())
    plane: PlaneIndex | None = None


def outlines_to_roi(
    name: str, outlines: list[Outline], plane: PlaneIndex | None = None
) -> ImageJRoi:
    """The region of an object."""
    rings = [ring for outline in outlines for ring in (outline.exterior, *outline.holes)]
    return ImageJRoi(name=name, rings=tuple(ring.astype(float) for ring in rings), plane=plane)


def encode_roi(roi: ImageJRoi, *, position: int = 0) -> bytes:
    """The bytes of a ``.roi`` file.

    Parameters
    ----------
    roi
        With corners at whole numbers.
    position
        Number of the slice from 1, for programs that know a stack and no hyperstack; 0 for none.

    Raises
    ------
    ImageError
        If it has no corner, or one that ImageJ's numbers cannot hold.
    """
    if not roi.rings or any(len(ring) < 3 for ring in roi.rings):
        raise ImageError(f"Region {roi.name} has no area: leave it out.")
    corners = np.concatenate(roi.rings)
    if np.abs(corners).max() > _EXACT_FLOAT or (corners != np.round(corners)).any():
        raise ImageError(
            f"Region {roi.name} must have corners at whole numbers up to {_EXACT_FLOAT}, which is "
            "what an ImageJ region holds exactly: write GeoJSON for a larger picture."
        )
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    simple = len(roi.rings) == 1 and len(corners) < 2**16
    simple = simple and min(left, top) >= 0 and max(right, bottom) <= _LARGEST_SHORT
    if simple:
        body = (corners - (left, top)).astype(">i2").tobytes(order="F")
        count, path_length = len(corners), 0
    else:
        path = np.concatenate([_path(ring) for ring in roi.rings]).astype(">f4")
        body, count, path_length = path.tobytes(), 0, len(path)
    bounds = (int(np.clip(edge, -(2**15), _LARGEST_SHORT)) for edge in (top, left, bottom, right))
    second = _HEADER.size + len(body)
    header = _HEADER.pack(
        b"Iout",
        _VERSION,
        _POLYGON if simple else _RECTANGLE,
        *bounds,
        count,
        0,
        path_length,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        position,
        second,
    )
    name = roi.name.encode("utf-16-be")
    plane = (0, 0, 0) if roi.plane is None else (roi.plane.c + 1, roi.plane.z + 1, roi.plane.t + 1)
    tail = _HEADER_2.pack(*plane, second + _HEADER_2.size if name else 0, len(name) // 2)
    return bytes(header + body + tail + name)


def _path(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.empty((len(ring), 3))
    steps[:, 0], steps[:, 1:] = _LINE, ring
    steps[0, 0] = _MOVE
    return np.append(steps.ravel(), _CLOSE)


def decode_roi(data: bytes, name: str = "") -> ImageJRoi:
    """Read the bytes of a ``.roi`` file: polygons, rectangles, outlines and composites.

    Parameters
    ----------
    data
        All of the file.
    name
        What to call it where it has no name.

    Raises
    ------
    DatasetError
        If they are damaged, or no area with straight sides: a line, a point, an oval.
    """
    shown = name or "The region"
    try:
        fields = _HEADER.unpack_from(data)
        if fields[0] != b"Iout":
            raise DatasetError(f"{shown} is no ImageJ region: it must begin with 'Iout'.")
        kind, (top, left, bottom, right), count = fields[2], fields[3:7], fields[7]
        path_length, options, second = fields[9], fields[13], fields[18]
        if not count:
            (count,) = struct.unpack_from(">i", data, 18)
        if not (0 <= path_length <= _MOST_CORNERS and 0 <= count <= _MOST_CORNERS):
            raise DatasetError(f"{shown} says that it has {max(path_length, count)} corners.")
        if path_length:
            rings = _rings(np.frombuffer(data, ">f4", path_length, _HEADER.size), shown)
        elif kind == _RECTANGLE:
            box = [(left, top), (right, top), (right, bottom), (left, bottom)]
            rings = (np.array(box, np.float64),)
        elif kind in (_POLYGON, _FREEHAND, _TRACED) and count >= 3:
            rings = (_corners(data, count, options, left, top),)
        else:
            raise DatasetError(
                f"{shown} is no area with straight sides (type {kind}): make it a polygon in "
                "ImageJ, or leave it out."
            )
        found, plane = _named_and_placed(data, second)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{shown} is a damaged ImageJ region: {error}.") from error
    return ImageJRoi(name=found or name, rings=rings, plane=plane)


def _corners(data: bytes, count: int, options: int, left: int, top: int) -> NDArray[np.float64]:
    if options & _SUBPIXEL:
        offset = _HEADER.size + 4 * count
        exact = np.frombuffer(data, ">f4", 2 * count, offset).reshape(2, count).T
        corners: NDArray[np.float64] = exact.astype(np.float64)
        if not np.isfinite(corners).all():
            raise ValueError("a corner is no number")
        return corners
    whole = np.frombuffer(data, ">u2", 2 * count, _HEADER.size).reshape(2, count).T
    corners = whole.astype(np.float64)
    corners += (left, top)
    return corners


def _rings(path: NDArray[np.float32], shown: str) -> tuple[NDArray[np.float64], ...]:
    """The closed lines of a composite's path."""
    values, rings, ring = path.tolist(), [], list[tuple[float, float]]()
    at = 0
    while at < len(values):
        step = values[at]
        if step not in _NUMBERS or at + _NUMBERS[step] >= len(values) + (step == _CLOSE):
            raise ValueError(f"its path has no step {step}")
        if step in (_QUADRATIC, _CUBIC):
            raise DatasetError(f"{shown} has curves: make it a polygon in ImageJ, or leave it out.")
        if step in (_MOVE, _CLOSE) and ring:
            rings.append(ring)
            ring = []
        if step in (_MOVE, _LINE):
            ring.append((values[at + 1], values[at + 2]))
        at += 1 + _NUMBERS[step]
    rings += [ring] if ring else []
    arrays = tuple(np.array(each, np.float64) for each in rings if len(each) >= 3)
    if not arrays or not all(np.isfinite(each).all() for each in arrays):
        raise ValueError("its path encloses nothing")
    return arrays


def _named_and_placed(data: bytes, second: int) -> tuple[str, PlaneIndex | None]:
    if not 0 < second <= len(data) - 24:
        return "", None
    c, z, t, start, length = struct.unpack_from(">4xiiiii", data, second)
    name = ""
    if start > 0 and 0 < length <= 10_000:
        name = data[start : start + 2 * length].decode("utf-16-be")
    if not (c > 0 or z > 0 or t > 0):
        return name, None
    return name, PlaneIndex(max(t - 1, 0), max(c - 1, 0), max(z - 1, 0))
