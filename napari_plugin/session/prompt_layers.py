"""The two layers that show prompts and take them: points, and shapes for boxes and scribbles.

What a prompt says and whose it is stands in the layers' features, where it can be edited as well:
``label`` is "object" or "background", ``object`` the number of the object in the draft.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_plugin.session.draft import Draft
from napari_plugin.values import Plane, PromptSet, Scribble

__all__ = ["POINTS_NAME", "SHAPES_NAME", "PromptLayers", "Sign"]

Sign: TypeAlias = Literal["object", "background"]

POINTS_NAME = "SAM points"
SHAPES_NAME = "SAM boxes and scribbles"

_COLOURS: Mapping[str, str] = {"object": "#2ecc40", "background": "#ff4136"}
_LINES = ("path", "line", "polyline")


class PromptLayers:
    """Points and shapes of a viewer, as a draft.

    Parameters
    ----------
    viewer
        Where the layers are added, when they are first needed; a user may delete them at any time,
        which takes the prompts back.
    ndim
        Of the data of the Labels layer that the prompts belong to.
    placed
        What places such a layer in the world: scale, translate, ...
    on_change
        Called after each finished change that was not made here.
    """

    def __init__(
        self, viewer: Any, ndim: int, placed: Mapping[str, Any], on_change: Callable[[], None]
    ) -> None:
        self._viewer = viewer
        self._ndim = ndim
        self._placed = dict(placed)
        self._on_change = on_change
        self._quiet = 0
        self.sign: Sign = "object"
        self.number = 1
        self._points: Any = None
        self._shapes: Any = None
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def points(self) -> Any:
        """The Points layer, added if it is not there."""
        if self._points is None:
            size = self._marker_size()
            self._points = self._added(
                self._viewer.add_points,
                name=POINTS_NAME,
                features=_no_features(),
                face_color=_COLOURS["object"],
                border_color="white",
                size=size,
                out_of_slice_display=False,
            )
            self._points.events.data.connect(self._on_data)
            self._points.events.features.connect(self._on_features)
            self._set_defaults()
        return self._points

    @property
    def shapes(self) -> Any:
        """The Shapes layer, added if it is not there."""
        if self._shapes is None:
            self._shapes = self._added(
                self._viewer.add_shapes,
                name=SHAPES_NAME,
                features=_no_features(),
                face_color="transparent",
                edge_color=_COLOURS["object"],
                edge_width=self._marker_size() / 5,
            )
            self._shapes.events.data.connect(self._on_data)
            self._shapes.events.features.connect(self._on_features)
            self._set_defaults()
        return self._shapes

    @property
    def drawn(self) -> Any:
        """The Shapes layer, or None while nothing was drawn."""
        return self._shapes

    def holds(self, layer: Any) -> bool:
        """Whether a layer is one of the two."""
        return layer is not None and (layer is self._points or layer is self._shapes)

    def set_sign(self, sign: Sign) -> None:
        """What the next prompt says: "object" or "background"."""
        self.sign = sign
        self._set_defaults()

    def set_number(self, number: int) -> None:
        """Whose the next prompt is."""
        self.number = number
        self._set_defaults()

    def add_point(self, plane: Plane, xy: tuple[float, float], sign: Sign) -> None:
        """Add a point of the current object, as a click does."""
        before = self.sign
        with self._silently():
            layer = self.points
            self.set_sign(sign)
            layer.selected_data = set()
            layer.add(_data_of(plane, np.array([xy]))[0])
            layer.selected_data = set()
            self.set_sign(before)
        self._on_change()

    def read(self, rows: int, columns: int, before: Draft) -> Draft:
        """The draft that the layers show.

        Parameters
        ----------
        rows, columns
            Data axes that are shown as y and x.
        before
            Whose masks to start from, and chosen answers, are kept: layers cannot show them.

        Notes
        -----
        A second box of an object on the same plane becomes an object of its own: its number in the
        layer changes.
        """
        self._separate_boxes(rows, columns)
        found: dict[tuple[int, Plane], PromptSet] = {}
        for number, plane, said in before.prompts():
            if said.mask is not None:
                found[number, plane] = PromptSet(mask=said.mask)
        for number, label, coords in self._point_entries():
            plane, xy = _plane_of(coords[None], rows, columns)
            said = found.setdefault((number, plane), PromptSet())
            point = (float(xy[0, 0]), float(xy[0, 1]), label)
            found[number, plane] = replace(said, points=(*said.points, point))
        for number, label, kind, vertices in self._shape_entries():
            plane, xy = _plane_of(vertices, rows, columns)
            said = found.setdefault((number, plane), PromptSet())
            if kind in _LINES:
                line = Scribble(tuple((float(x), float(y)) for x, y in xy), label)
                said = replace(said, scribbles=(*said.scribbles, line))
            else:
                said = replace(said, boxes=(*said.boxes, _box_around(xy)))
            found[number, plane] = said
        objects: dict[int, dict[Plane, PromptSet]] = {}
        for (number, plane), said in found.items():
            if _same_start(said, before.get(number, plane)):
                said = replace(said, answer=before.get(number, plane).answer)
            objects.setdefault(number, {})[plane] = said
        return Draft(objects)

    def write(self, draft: Draft) -> None:
        """Show a draft in place of what is there."""
        points, shapes, kinds = [], [], []
        point_features: list[tuple[str, int]] = []
        shape_features: list[tuple[str, int]] = []
        for number, plane, said in draft.prompts():
            for x, y, label in said.points:
                points.append(_data_of(plane, np.array([(x, y)]))[0])
                point_features.append((_word(label), number))
            for x0, y0, x1, y1 in said.boxes:
                # Pixels lie around whole numbers here, and a box is given by its edges.
                corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) - 0.5
                shapes.append(_data_of(plane, corners))
                kinds.append("rectangle")
                shape_features.append(("object", number))
            for line in said.scribbles:
                shapes.append(_data_of(plane, np.array(line.vertices)))
                kinds.append("path")
                shape_features.append((_word(line.label), number))
        with self._silently():
            if points or self._points is not None:
                layer = self.points
                layer.selected_data = set()
                layer.data = np.array(points).reshape(-1, self._ndim)
                layer.features = _features(point_features)
            if shapes or self._shapes is not None:
                layer = self.shapes
                layer.selected_data = set()
                layer.data = []
                for corners, kind in zip(shapes, kinds, strict=True):
                    layer.add(corners, shape_type=kind)
                layer.features = _features(shape_features)
            self._recolour()
            self._set_defaults()

    def close(self) -> None:
        """Take the layers out of the viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        with self._silently():
            for layer in (self._points, self._shapes):
                if layer is not None and layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
        self._points = self._shapes = None

    # -- inside ------------------------------------------------------------------------------

    def _added(self, add: Callable[..., Any], **options: Any) -> Any:
        active = self._viewer.layers.selection.active
        with self._silently():
            layer = add(ndim=self._ndim, **options, **self._placed)
        self._viewer.layers.selection.active = active
        return layer

    def _marker_size(self) -> float:
        """About eight pixels of the screen, in pixels of the picture as it is shown now."""
        zoom = float(self._viewer.scene.camera.zoom) or 1.0
        scale = np.abs(np.asarray(self._placed.get("scale", [1.0]), float))[-2:]
        return float(np.clip(9 / (zoom * max(scale.mean(), 1e-12)), 1.0, 1e4))

    def _point_entries(self) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
        if self._points is None:
            return
        data = np.asarray(self._points.data, float)
        yield from zip(*_columns(self._points), data, strict=True)

    def _shape_entries(self) -> Iterator[tuple[int, int, str, NDArray[np.float64]]]:
        if self._shapes is None:
            return
        for number, label, kind, vertices in zip(
            *_columns(self._shapes), self._shapes.shape_type, self._shapes.data, strict=True
        ):
            yield number, label, str(kind), np.asarray(vertices, float)

    def _separate_boxes(self, rows: int, columns: int) -> None:
        entries = list(self._shape_entries())
        taken: set[tuple[int, Plane]] = set()
        numbers = [number for number, *_ in entries]
        highest = max([0, *numbers, *(number for number, *_ in self._point_entries())])
        for index, (number, _, kind, vertices) in enumerate(entries):
            plane, _ = _plane_of(vertices, rows, columns)
            if kind in _LINES:
                continue
            if (number, plane) in taken:
                highest += 1
                numbers[index] = number = highest
            taken.add((number, plane))
        if numbers != [number for number, *_ in entries]:
            words = [_word(label) for _, label, *_ in entries]
            with self._silently():
                self._shapes.features = _features(list(zip(words, numbers, strict=True)))

    def _part_newest_box(self) -> None:
        """A box that was drawn beside an object's points is about another object."""
        numbers, labels = _columns(self._shapes)
        kind = str(self._shapes.shape_type[-1]) if numbers else "path"
        if kind in _LINES:
            return
        own = numbers[-1]
        vertices = np.asarray(self._shapes.data[-1], float)
        low, high = vertices.min(0) - 0.5, vertices.max(0) + 0.5
        points = [coords for number, _, coords in self._point_entries() if number == own]
        # On the fixed axes low and high are half a slice apart from the box: the same slice.
        if not points or any(((low <= p) & (p <= high)).all() for p in points):
            return
        numbers[-1] = max([*numbers, *(number for number, *_ in self._point_entries())]) + 1
        words = [_word(label) for label in labels]
        with self._silently():
            self._shapes.features = _features(list(zip(words, numbers, strict=True)))

    def _set_defaults(self) -> None:
        defaults = _features([(self.sign, self.number)])
        with self._silently():
            if self._points is not None:
                self._points.feature_defaults = defaults
                if not self._points.selected_data:
                    self._points.current_face_color = _COLOURS[self.sign]
            if self._shapes is not None:
                self._shapes.feature_defaults = defaults
                if not self._shapes.selected_data:
                    self._shapes.current_edge_color = _COLOURS[self.sign]

    def _recolour(self) -> None:
        for layer, attribute in ((self._points, "face_color"), (self._shapes, "edge_color")):
            if layer is None or not len(layer.data):
                continue
            words = [_word(label) for label in _columns(layer)[1]]
            setattr(layer, attribute, [_COLOURS[word] for word in words])

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _on_data(self, event: Any) -> None:
        finished = str(getattr(event, "action", "changed")) in ("added", "removed", "changed")
        if finished and not self._quiet:
            if event.source is self._shapes and str(getattr(event, "action", "")) == "added":
                self._part_newest_box()
            self._on_change()

    def _on_features(self, event: Any) -> None:
        if self._quiet:
            return
        with self._silently():
            self._recolour()
        self._on_change()

    def _on_removed(self, event: Any) -> None:
        if self._quiet or not self.holds(event.value):
            return
        if event.value is self._points:
            self._points = None
        else:
            self._shapes = None
        self._on_change()


def _no_features() -> dict[str, Any]:
    return _features([])


def _features(entries: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        "label": np.array([word for word, _ in entries], object),
        "object": np.array([number for _, number in entries], int),
    }


def _columns(layer: Any) -> tuple[list[int], list[int]]:
    """Numbers of objects, and labels, of what a layer holds; what was left empty is object 1."""
    count, features = len(layer.data), layer.features
    numbers = list(features["object"]) if "object" in features else [1] * count
    words = list(features["label"]) if "label" in features else ["object"] * count
    return (
        # What a table left empty is NaN, which is not greater than anything.
        [int(number) if number > 0 else 1 for number in numbers],
        [0 if str(word) == "background" else 1 for word in words],
    )


def _word(label: int) -> Sign:
    return "object" if label else "background"


def _plane_of(
    coords: NDArray[np.float64], rows: int, columns: int
) -> tuple[Plane, NDArray[np.float64]]:
    """The plane that vertices (N, ndim) lie on, by the first, and their (N, 2) xy in it.

    napari draws a pixel around its whole number, and so do prompts.
    """
    index = [round(float(value)) for value in coords[0]]
    index[rows] = index[columns] = 0
    return Plane(rows, columns, tuple(index)), coords[:, [columns, rows]]


def _data_of(plane: Plane, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) xy of a plane as data coordinates (N, ndim)."""
    coords = np.tile(np.asarray(plane.index, float), (len(xy), 1))
    coords[:, plane.columns], coords[:, plane.rows] = xy[:, 0], xy[:, 1]
    return coords


def _box_around(xy: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """The xyxy around vertices, by the edges of pixels; at least a pixel wide and high."""
    low, high = xy.min(0) + 0.5, xy.max(0) + 0.5
    high = np.maximum(high, low + 1)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _same_start(said: PromptSet, before: PromptSet) -> bool:
    """Whether the first step asks the same, so that a chosen answer still means the same."""
    return (
        said.boxes == before.boxes
        and said.scribbles == before.scribbles
        and said.mask == before.mask
        and said.points[:1] == before.points[:1]
    )
