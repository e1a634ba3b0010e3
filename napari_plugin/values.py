"""What the parts of the plugin hand to each other: planes, prompts, and masks on planes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins import Interaction
from sam_plugins.errors import PromptError
from sam_plugins.types import Box, Rle

__all__ = [
    "POLICIES",
    "OverlapPolicy",
    "Plane",
    "PlaneMask",
    "PromptSet",
    "Scribble",
    "plane_slices",
]


@dataclass(frozen=True, slots=True)
class OverlapPolicy:
    """Whose a pixel is that a new object and a kept one claim.

    Parameters
    ----------
    title
        In words.
    takes
        Whether the new object takes the pixels that others hold.
    """

    title: str
    takes: bool


POLICIES: Mapping[str, OverlapPolicy] = MappingProxyType(
    {
        "keep": OverlapPolicy("kept objects keep their pixels", False),
        "overwrite": OverlapPolicy("the new object takes them", True),
    }
)
"""Every policy by the name that records hold."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A 2-D slice of the data of a Labels layer.

    Parameters
    ----------
    rows, columns
        The data axes that are shown as y and x.
    index
        One entry for each data axis: where it is cut; 0 at `rows` and `columns`.
    """

    rows: int
    columns: int
    index: tuple[int, ...]

    def at(self, axis: int, position: int) -> "Plane":
        """The parallel plane at another position of one of the fixed axes."""
        index = list(self.index)
        index[axis] = position
        return Plane(self.rows, self.columns, tuple(index))

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"rows": self.rows, "columns": self.columns, "index": list(self.index)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Plane":
        """The plane that `to_json` wrote; ValueError, TypeError or KeyError for anything else."""
        index = tuple(int(position) for position in found["index"])
        plane = cls(int(found["rows"]), int(found["columns"]), index)
        inside = range(len(index))
        if plane.rows == plane.columns or not {plane.rows, plane.columns} <= set(inside):
            raise ValueError(f"rows and columns must be two axes of {len(index)}, found {found!r}")
        return plane


def plane_slices(plane: Plane, box: Box | None = None) -> tuple[Any, ...]:
    """What indexes the data of a layer so that (h, w) comes out, if `rows` < `columns`.

    Parameters
    ----------
    plane
        Which slice.
    box
        xyxy within the plane; all of it by default.

    Notes
    -----
    Where `rows` > `columns` (axes transposed in the viewer) the result of indexing is (w, h) and
    must be transposed.
    """
    where: list[Any] = list(plane.index)
    x0, y0, x1, y1 = (None, None, None, None) if box is None else box
    where[plane.rows], where[plane.columns] = slice(y0, y1), slice(x0, x1)
    return tuple(where)


@dataclass(frozen=True, slots=True)
class Scribble:
    """A line drawn by hand: (x, y) pixels of the plane; label 1 is foreground, 0 background."""

    vertices: tuple[tuple[float, float], ...]
    label: int


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All that a user said about one object on one plane, in the order in which it was said.

    Parameters
    ----------
    points
        (x, y, label): pixels of the plane, 1 foreground and 0 background.
    boxes
        xyxy in pixels of the plane; at most one for one object.
    scribbles
        Lines drawn on the object or beside it.
    mask
        What to start from: COCO run lengths over the plane, of an object made by another program.
    answer
        Which of the ambiguous answers was chosen, counted from the highest predicted IoU; None
        for the best.
    """

    points: tuple[tuple[float, float, int], ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    scribbles: tuple[Scribble, ...] = ()
    mask: Rle | None = None
    answer: int | None = None

    def __bool__(self) -> bool:
        return bool(self.points or self.boxes or self.scribbles or self.mask)

    def interaction(self) -> Interaction:
        """The prompts as the core takes them; of several boxes the last one counts.

        The session and a replay ask by this alone, so that they ask the same.
        """
        return Interaction(
            points=self.points,
            box=self.boxes[-1] if self.boxes else None,
            scribbles=tuple((line.vertices, line.label) for line in self.scribbles),
            mask=self.mask,
            answer=self.answer,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "points": [list(point) for point in self.points],
            "boxes": [list(box) for box in self.boxes],
            "scribbles": [
                {"vertices": [list(v) for v in line.vertices], "label": line.label}
                for line in self.scribbles
            ],
            "mask": self.mask,
            "answer": self.answer,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "PromptSet":
        """The prompts that `to_json` wrote.

        Raises
        ------
        PromptError
            If it is anything else.
        """
        try:
            return cls(
                points=tuple(_point(values) for values in found.get("points", ())),
                boxes=tuple(_numbers(values, 4) for values in found.get("boxes", ())),  # type: ignore[misc]
                scribbles=tuple(
                    Scribble(
                        tuple(_numbers(v, 2) for v in line["vertices"]),  # type: ignore[misc]
                        _label(line["label"]),
                    )
                    for line in found.get("scribbles", ())
                ),
                mask=None if found.get("mask") is None else dict(found["mask"]),
                answer=None if found.get("answer") is None else int(found["answer"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PromptError(
                f"Prompts must be an object with points, boxes and scribbles, found {found!r:.200} "
                f"({error})."
            ) from error


def _numbers(values: Sequence[Any], count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite numbers, found {values!r}")
    return numbers


def _label(value: Any) -> int:
    if value not in (0, 1):
        raise ValueError(f"expected a label 0 or 1, found {value!r}")
    return int(value)


def _point(values: Sequence[Any]) -> tuple[float, float, int]:
    x, y, label = values
    return (*_numbers((x, y), 2), _label(label))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, eq=False)
class PlaneMask:
    """A mask on one plane, cut to what it covers.

    Parameters
    ----------
    plane
        Where.
    box
        xyxy of `crop` in pixels of the plane, x1 and y1 exclusive.
    crop
        (y1 - y0, x1 - x0) bool, rows first.
    """

    plane: Plane
    box: Box
    crop: NDArray[np.bool_]
