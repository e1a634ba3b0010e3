"""Where the data of a Labels layer lie relative to those of an image layer, and in the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Placement"]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A Labels layer over an image layer.

    A coordinate ``c`` of Labels data (voxel centres at integers) is ``factors * c + shift`` in the
    coordinates of the image layer, which are those of its finest level.

    Parameters
    ----------
    layer
        The image layer; its transforms are read anew at each use, for a user may change them.
    factors
        (ndim,) voxels of the image layer that one of the Labels layer spans.
    shift
        (ndim,) where the centre of its voxel 0 lies.
    """

    layer: Any
    factors: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def spanning(cls, layer: Any, factors: Sequence[float]) -> "Placement":
        """Voxels of `factors` whose first corner is that of the image's first voxel.

        So napari places the coarser levels of a multiscale image, and one voxel over all channels.
        """
        sides = np.asarray(factors, np.float64)
        return cls(layer, sides, (sides - 1) / 2)

    def moved(self, start: Sequence[float]) -> "Placement":
        """The placement of a crop whose voxel 0 is the voxel `start` of this."""
        shift = self.factors * np.asarray(start, np.float64) + self.shift
        return Placement(self.layer, self.factors, shift)

    def to_world(self, units: Sequence[Any] | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """(ndim, ndim) and (ndim,): world = matrix @ c + offset.

        Parameters
        ----------
        units
            Of the axes of the world, of which the last belong to the layer; the layer's by default.
        """
        count = len(self.factors)
        origin = np.asarray(self.layer.data_to_world([0.0] * count), np.float64)
        steps = [self.layer.data_to_world(row) for row in np.eye(count)]
        linear = np.stack([np.asarray(step, np.float64) - origin for step in steps], axis=1)
        matrix, offset = linear * self.factors, linear @ self.shift + origin
        ratio = _unit_ratio(self.layer.units, units)
        return matrix * ratio[:, None], offset * ratio

    def kwargs(self) -> dict[str, Any]:
        """For ``viewer.add_labels`` and the like."""
        layer = self.layer
        count = len(self.factors)
        origin = np.asarray(layer.data_to_world([0.0] * count), np.float64)
        moved = np.asarray(layer.data_to_world(self.shift), np.float64) - origin
        # napari scales first, then shears, rotates and translates, and applies `affine` at the end.
        before = np.linalg.solve(np.asarray(layer.affine.linear_matrix, np.float64), moved)
        return {
            "scale": np.asarray(layer.scale, np.float64) * self.factors,
            "translate": np.asarray(layer.translate, np.float64) + before,
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": np.array(layer.affine.affine_matrix),
            "units": tuple(layer.units),
            "axis_labels": tuple(layer.axis_labels),
        }


def _unit_ratio(own: Sequence[Any], world: Sequence[Any] | None) -> NDArray[np.float64]:
    """How many units of the world one of the layer is, for each axis; 1 where nothing says."""
    ratio = np.ones(len(own))
    if world is None or len(world) < len(own):
        return ratio
    for axis, (mine, theirs) in enumerate(zip(own, world[len(world) - len(own) :], strict=True)):
        if mine != theirs:
            try:
                ratio[axis] = float((1 * mine).to(theirs).magnitude)
            except Exception:
                # Lengths and pixels side by side: napari draws them as if they were the same.
                ratio[axis] = 1.0
    return ratio
