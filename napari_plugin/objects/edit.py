"""`Edit`: pixels that were written, and how to take them back without touching later work."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_plugin.objects.regions import Region, Slices, inflate, read, tight

__all__ = ["Edit", "Patch", "write"]


@dataclass(frozen=True, slots=True)
class Patch:
    """Pixels of one box that were given one new value.

    Parameters
    ----------
    region
        Which pixels changed; pixels that held the value before are not among them.
    old
        What they held, compressed: one value of `dtype` for each, in C order.
    dtype
        Of the labels.
    new
        What they hold now.
    """

    region: Region
    old: bytes
    dtype: np.dtype[Any]
    new: int

    @property
    def nbytes(self) -> int:
        """What it costs to remember."""
        return len(self.region.packed) + len(self.old) + 200

    def _old(self, count: int) -> NDArray[Any]:
        return np.frombuffer(inflate(self.old, count * self.dtype.itemsize), self.dtype)

    def swap(self, array: Any, *, back: bool) -> int:
        """Give the old values back, or write the new one again; how many pixels changed."""
        where, mask = self.region.slices, self.region.mask()
        values = np.array(read(array, where))
        now, old = values[mask], self._old(int(mask.sum()))
        expected, wanted = (self.new, old) if back else (old, np.full_like(old, self.new))
        same = now == expected
        now[same] = wanted[same]
        if same.any():
            values[mask] = now
            array[where] = values
        return int(same.sum())


def write(
    array: Any, where: Slices, mask: NDArray[np.bool_], value: int
) -> tuple[Patch | None, int]:
    """Give the pixels of a mask one value.

    Parameters
    ----------
    array
        Labels, N-D.
    where
        A box of the data.
    mask
        bool, of the shape of the box.
    value
        What they hold afterwards.

    Returns
    -------
    patch, changed
        How to take it back, and how many pixels changed; None and 0 if all held the value.
    """
    values = np.array(read(array, where))
    changes = mask & (values != value)
    count = int(np.count_nonzero(changes))
    if count == 0:
        return None, 0
    old = zlib.compress(values[changes].tobytes(), 1)
    values[changes] = value
    array[where] = values
    return Patch(Region.of(*tight(where, changes)), old, values.dtype, value), count


@dataclass(frozen=True, slots=True)
class Edit:
    """Patches in the order in which they were written."""

    patches: tuple[Patch, ...] = ()

    @classmethod
    def of(cls, patches: Sequence[Patch | None]) -> "Edit":
        """An edit of those patches that changed anything."""
        return cls(tuple(patch for patch in patches if patch is not None))

    @property
    def nbytes(self) -> int:
        """What it costs to remember, in bytes."""
        return sum(patch.nbytes for patch in self.patches)

    @property
    def regions(self) -> tuple[Slices, ...]:
        """The boxes that were written."""
        boxes = {(patch.region.start, patch.region.shape): patch.region for patch in self.patches}
        return tuple(region.slices for region in boxes.values())

    def revert(self, array: Any) -> int:
        """Take back what was written, where it is still as it was written.

        Returns
        -------
        changed
            Pixels; those that hold another value by now (a brush, another program) are left alone.
        """
        return sum(patch.swap(array, back=True) for patch in reversed(self.patches))

    def reapply(self, array: Any) -> int:
        """Write it again, where the array still holds what it held before; pixels changed."""
        return sum(patch.swap(array, back=False) for patch in self.patches)
