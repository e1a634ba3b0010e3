"""`FoundMasks`: masks that a job found rather than a prompt, until they are kept."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from napari_plugin.values import Plane, PlaneMask

__all__ = ["FIRST_FOUND", "FoundMasks"]

FIRST_FOUND = 1 << 20
"""Objects of their own are numbered from here, so that prompts drawn later are never about them."""


class FoundMasks:
    """Masks by number of the object, then by plane, and where they come from."""

    def __init__(self) -> None:
        self._masks: dict[int, dict[Plane, PlaneMask]] = {}
        self._origins: dict[int, str] = {}
        self._ids: dict[int, int] = {}
        self.cleared = 0
        """How often they were forgotten: what is found for an earlier time is not wanted."""

    def __bool__(self) -> bool:
        return bool(self._masks)

    @property
    def masks(self) -> Mapping[int, Mapping[Plane, PlaneMask]]:
        """The masks of each object."""
        return MappingProxyType(self._masks)

    @property
    def origins(self) -> Mapping[int, str]:
        """Where each comes from: "automatic" or "propagated"."""
        return MappingProxyType(self._origins)

    @property
    def ids(self) -> Mapping[int, int]:
        """Which numbers stand for kept objects, and for which."""
        return MappingProxyType(self._ids)

    @property
    def next_number(self) -> int:
        """A number that no object has, neither here nor in a draft."""
        return max([FIRST_FOUND - 1, *self._masks, *self._ids]) + 1

    def add(self, number: int, mask: PlaneMask, origin: str) -> None:
        """Take a mask; a former one on its plane goes."""
        self._masks.setdefault(number, {})[mask.plane] = mask
        self._origins[number] = origin

    def on(self, plane: Plane) -> dict[int, PlaneMask]:
        """The masks on a plane."""
        return {n: planes[plane] for n, planes in self._masks.items() if plane in planes}

    def begin_along(self, axis: int, plane: Plane, ids: Mapping[int, int]) -> None:
        """Make room on the planes parallel to one along an axis, for objects of these ids."""
        for planes in self._masks.values():
            for old in [p for p in planes if p.at(axis, plane.index[axis]) == plane]:
                del planes[old]
        self._masks = {number: planes for number, planes in self._masks.items() if planes}
        self._ids = {number: i for number, i in self._ids.items() if number in self._masks}
        self._ids |= ids

    def keep_for(self, numbers: Collection[int]) -> None:
        """Forget what was found for prompted objects that are not among these any more."""
        for number in [n for n in self._masks if n < FIRST_FOUND and n not in numbers]:
            del self._masks[number]

    def clear(self, but: Collection[int] = ()) -> None:
        """Forget all of them, but those of some objects."""
        self._masks = {number: planes for number, planes in self._masks.items() if number in but}
        self._origins = {number: self._origins[number] for number in self._masks}
        self._ids = {number: i for number, i in self._ids.items() if number in self._masks}
        self.cleared += 1
