"""Which labels are one object: those with an equal value of one attribute."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.geometry import FloatBox
from sam_plugins.types import Box

__all__ = ["Objects", "Part"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one label says about its object.

    Parameters
    ----------
    label
        The FiftyOne Detection or Keypoint.
    given_box, box
        xyxy float pixels as given, and clipped to the picture.
    mask
        (h, w) bool and its xyxy pixels.
    point_coords, point_labels
        (N, 2) float64 xy pixels and (N,) int32 of 1 and 0.
    """

    label: Any
    given_box: FloatBox | None = None
    box: FloatBox | None = None
    mask: tuple[NDArray[np.bool_], Box] | None = None
    point_coords: NDArray[np.float64] | None = None
    point_labels: NDArray[np.int32] | None = None


class Objects:
    """Labels gathered into objects, in the order in which each object was first named.

    Boxes are added first, then masks, then points. A box is an object of its own. A mask joins the
    box that has its value of the attribute, points the box, the mask or the points that have it.

    Parameters
    ----------
    attribute
        "index", "instance" or any attribute; empty links nothing. Neither does the value None.
    """

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute
        self._objects: list[list[Part]] = []
        self._with_value: dict[Hashable, list[list[Part]]] = {}

    def __iter__(self) -> Iterator[list[Part]]:
        return iter(self._objects)

    def add(self, part: Part) -> None:
        """Take one more label.

        Raises
        ------
        SampleError
            If its value is that of several objects, or its object has another mask.
        """
        value = self._value(part.label)
        known = self._with_value.setdefault(value, []) if value is not None else []
        apart = part.mask is not None and all(each[0].box is None for each in known)
        if part.box is not None or apart or not known:
            self._objects.append([part])
            known.append(self._objects[-1])
            return
        if len(known) > 1:
            raise SampleError(
                f"{len(known)} objects have {self._attribute} {value!r}, so that it cannot be "
                "told which of them this label is about: give each a value of its own."
            )
        if part.mask is not None and any(each.mask is not None for each in known[0]):
            raise SampleError(
                f"Another mask has {self._attribute} {value!r}: give each object a value of its "
                "own."
            )
        known[0].append(part)

    def _value(self, label: Any) -> Hashable | None:
        """What links a label; lists and the like, which cannot be compared so, link nothing."""
        if not self._attribute:
            return None
        value = label.get_attribute_value(self._attribute, None)
        value = getattr(value, "id", value)
        return value if isinstance(value, Hashable) else None
