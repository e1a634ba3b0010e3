"""Objects as GeoJSON that QuPath opens: polygons along the edges of pixels, with holes.

The corner of the first pixel is (0, 0). An object is one feature for each plane on which it lies;
what QuPath keeps when it writes a file again says which label it has: ``metadata.label``, or its
name.
"""

import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats.label_stack import LabelStack, PlaneIndex, label_image_objects
from sam_plugins.formats.outlines import Outline, Ring, fill_rings, mask_outlines
from sam_plugins.formats.whole import whole_file
from sam_plugins.types import Box

__all__ = ["ObjectNote", "from_geojson", "read_geojson", "to_feature", "write_geojson"]

_NAMESPACE = uuid.UUID("9d9f5d0b-6f7f-5a53-9d0c-2f0f5f1b7a11")
_MOST_BYTES = 2**30
_MOST_LABEL = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectNote:
    """What is known about an object besides its pixels.

    Parameters
    ----------
    name
        As people call it; the label itself where nothing is given.
    classification
        Its class, in QuPath a coloured group.
    measurements
        Name -> number.
    """

    name: str | None = None
    classification: str | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)


def to_feature(
    label: int,
    mask: NDArray[np.bool_],
    box: Box,
    plane: PlaneIndex = PlaneIndex(),  # noqa: B008
    *,
    note: ObjectNote | None = None,
    kind: Literal["annotation", "detection", "cell"] = "annotation",
    seed: str = "",
) -> dict[str, Any]:
    """One object on one plane: a GeoJSON feature, a dict that `json.dumps` takes.

    Parameters
    ----------
    label
        The object's label.
    mask, box
        (h, w) bool with at least a pixel, and its xyxy in the image.
    plane
        Where it lies.
    note
        Name, class and measurements.
    kind
        "annotation" can be edited in QuPath, "detection" is for very many objects.
    seed
        The feature's id depends on it, on the label and on the plane, and on nothing else: the
        same export has the same ids, and two pictures with different seeds have none in common.

    Raises
    ------
    ImageError
        If the mask is empty.
    """
    outlines = mask_outlines(mask, (box[0], box[1]))
    if not outlines:
        raise ImageError(f"Object {label} has no pixel on plane {tuple(plane)}: leave it out.")
    note = note or ObjectNote()
    polygons = [_coordinates(outline) for outline in outlines]
    single = len(polygons) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": polygons[0] if single else polygons,
        "plane": {"c": -1, "z": plane.z, "t": plane.t},
    }
    properties: dict[str, Any] = {
        "objectType": kind,
        "name": note.name or str(label),
        "metadata": {"label": str(label)},
    }
    if note.classification:
        properties["classification"] = {"name": note.classification}
    numbers = {name: float(value) for name, value in note.measurements.items()}
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    if finite:
        properties["measurements"] = finite
    identity = uuid.uuid5(_NAMESPACE, f"{seed}/{label}/{plane.t}/{plane.c}/{plane.z}")
    return {
        "type": "Feature",
        "id": str(identity),
        "geometry": geometry,
        "properties": properties,
    }


def _coordinates(outline: Outline) -> list[list[list[int]]]:
    return [_closed(outline.exterior), *(_closed(hole) for hole in outline.holes)]


def _closed(ring: Ring) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]


def write_geojson(
    path: str | Path,
    stack: LabelStack,
    *,
    notes: Mapping[int, ObjectNote] | None = None,
    kind: Literal["annotation", "detection", "cell"] = "annotation",
    seed: str = "",
) -> Iterator[int]:
    """Write all objects of a stack; nothing happens until it is iterated.

    Parameters
    ----------
    path
        ``.geojson`` or ``.json``.
    stack
        Labels, read one plane at a time. QuPath has no place for the channel of an object.
    notes
        Label -> what is known about it.
    kind, seed
        As in `to_feature`.

    Yields
    ------
    How many planes are written. The file appears after the last.

    Raises
    ------
    ImageError
        If a value is no label.
    OSError
        If the folder is missing or cannot be written.
    """
    notes = notes or {}
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        comma = "\n"
        for done, (index, plane) in enumerate(stack.planes(), 1):
            for label, mask, box in label_image_objects(plane):
                feature = to_feature(
                    label, mask, box, index, note=notes.get(label), kind=kind, seed=seed
                )
                file.write(comma + json.dumps(feature, ensure_ascii=False))
                comma = ",\n"
            if done < stack.plane_count:
                yield done
        file.write("\n]}\n")
    yield stack.plane_count


def read_geojson(path: str | Path, shape: Sequence[int], axes: str = "YX") -> LabelStack:
    """Read a GeoJSON file of polygons as labels; see `from_geojson`.

    Raises
    ------
    DatasetError
        If it is larger than 1 GiB, no JSON, or not such a document.
    OSError
        If it cannot be opened.
    """
    path = Path(path)
    if path.stat().st_size > _MOST_BYTES:
        raise DatasetError(f"'{path}' is larger than 1 GiB: use a label image instead.")
    try:
        document = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"'{path}' must be GeoJSON, and is no JSON: {error}.") from error
    try:
        return from_geojson(document, shape, axes)
    except DatasetError as error:
        raise DatasetError(f"'{path}': {error}") from error


def from_geojson(document: Any, shape: Sequence[int], axes: str = "YX") -> LabelStack:
    """Labels from the polygons of a GeoJSON document, our own or QuPath's.

    Parameters
    ----------
    document
        A FeatureCollection, a list of features, or one feature. A pixel belongs to a polygon if
        its centre lies inside. Where features overlap the later one lies on top; parts outside the
        picture are left out.
    shape, axes
        Of the labels; axes are letters of T, C, Z, Y, X. Features are put where their ``plane``
        says.

    Returns
    -------
    A stack of uint32. A feature's label is ``metadata.label`` of its properties; else its name, if
    that is a number; else the next one that no feature has.

    Raises
    ------
    DatasetError
        If it is no such document, or a feature has no polygon or lies on no plane of `shape`.
    """
    labels = np.zeros(tuple(int(n) for n in shape), np.uint32)
    stack = LabelStack(labels, axes)
    planes = dict(stack.planes())
    features = document.get("features", [document]) if isinstance(document, Mapping) else document
    if not isinstance(features, list) or not all(isinstance(each, Mapping) for each in features):
        raise DatasetError("A GeoJSON document needs a list 'features' and has none.")
    known = [_label(feature) for feature in features]
    following = max((label for label in known if label), default=0)
    for number, (feature, found) in enumerate(zip(features, known, strict=True)):
        label = found
        if label is None:
            following += 1
            label = following
        try:
            index, polygons = _plane(feature), _polygons(feature.get("geometry"))
            if index not in planes:
                raise ValueError(f"it lies on {index}, which labels of {tuple(shape)} do not have")
            for rings in polygons:
                _paint(planes[index], rings, label)
        except (
            AttributeError,
            ImageError,
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
        ) as error:
            raise DatasetError(f"Feature {number} cannot be read: {error}.") from error
    return stack


def _label(feature: Mapping[str, Any]) -> int | None:
    properties = feature.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    metadata = properties.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    for value in (metadata.get("label"), properties.get("label"), properties.get("name")):
        text = str(value)
        if re.fullmatch(r"[0-9]{1,10}", text) and 0 < int(text) <= _MOST_LABEL:
            return int(text)
    return None


def _plane(feature: Mapping[str, Any]) -> PlaneIndex:
    """Where a feature lies; its channel is -1 for all, which is the first here."""
    geometry: Any = feature.get("geometry") or {}
    found: dict[str, Any] = dict(geometry.get("plane") or {})
    t, c, z = (int(found[axis]) if axis in found else 0 for axis in "tcz")
    return PlaneIndex(t, max(c, 0), z)


def _polygons(geometry: Any) -> list[list[Any]]:
    kind = geometry["type"] if isinstance(geometry, Mapping) else None
    if kind == "Polygon":
        return [geometry["coordinates"]]
    if kind == "MultiPolygon":
        return list(geometry["coordinates"])
    if kind == "GeometryCollection":
        return [rings for part in geometry["geometries"] for rings in _polygons(part)]
    raise ValueError(f"a geometry must be Polygon or MultiPolygon, found {kind!r}")


def _paint(plane: NDArray[Any], rings: Sequence[Any], label: int) -> None:
    corners = [np.asarray(ring, np.float64)[:, :2] for ring in rings]
    if not corners or not all(len(ring) and np.isfinite(ring).all() for ring in corners):
        raise ValueError("a polygon needs rings of finite xy pairs")
    height, width = plane.shape
    low, high = corners[0].min(axis=0), corners[0].max(axis=0)
    x0, y0 = (int(max(math.floor(value), 0)) for value in low)
    x1, y1 = (int(min(math.ceil(v), n)) for v, n in zip(high, (width, height), strict=True))
    if x0 < x1 and y0 < y1:
        plane[y0:y1, x0:x1][fill_rings(corners, (x0, y0, x1, y1))] = label
