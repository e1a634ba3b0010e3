"""`Numbering`: values for new objects, never one that is taken or was given out before."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_plugin.objects import finding
from napari_plugin.objects.errors import LabelsError

__all__ = ["Numbering"]

# An array of this size is searched for its highest value each time a number is asked for.
_SEARCHED_EACH_TIME = 1 << 24


class Numbering:
    """The numbers of the objects of one labels array.

    Parameters
    ----------
    array
        Integer labels, N-D.
    given
        Numbers that were given out in a session before.
    """

    def __init__(self, array: Any, given: Iterable[int] = ()) -> None:
        self._array = array
        self._given = set(given)
        self._highest: int | None = None

    def rebind(self, array: Any) -> None:
        """Go on with another array."""
        self._array, self._highest = array, None

    def saw(self, value: int) -> None:
        """Learn of a value that somebody else wrote, so that it is not given out."""
        if self._highest is not None:
            self._highest = max(self._highest, value)

    def use(self, value: int) -> None:
        """Learn of a value that is an object's."""
        self._given.add(value)

    def refresh(self) -> None:
        """Search the array again, if that is quick, or if it was never searched."""
        size = int(np.prod(self._array.shape, dtype=np.int64))
        if self._highest is None or size <= _SEARCHED_EACH_TIME:
            self._highest = finding.highest(self._array)

    @property
    def largest(self) -> int:
        """The largest number that the type of the labels holds."""
        return int(np.iinfo(self._array.dtype).max)

    def check(self, number: int) -> None:
        """LabelsError unless the labels can hold a number."""
        if not 0 < number <= self.largest:
            raise LabelsError(f"An object has a number from 1 to {self.largest}, found {number}.")

    def next(self) -> int:
        """The next number, as of the last `refresh`; LabelsError if there is none."""
        if self._highest is None:
            self.refresh()
        number = max(self._highest or 0, max(self._given, default=0)) + 1
        if number <= self.largest:
            return number
        return finding.lowest_free(self._array, self._given, self.largest)

    def take(self) -> int:
        """The next number, which is given out with this."""
        number = self.next()
        self._given.add(number)
        return number
