"""Which axis of a layer probably holds channels."""

from collections.abc import Mapping
from typing import Any

__all__ = ["guess_channel_axis"]

_NAMES = ("c", "ch", "channel", "channels")
_FEWEST, _MOST = 2, 5


def guess_channel_axis(layer: Any) -> int | None:
    """The data axis that is named as channels or looks like them: a default to offer, no decision.

    Parameters
    ----------
    layer
        A napari Image layer.

    Returns
    -------
    The axis whose label, or letter in ``layer.metadata["axes"]``, says channel; otherwise the first
    axis of 2 to 5 entries of data with more than two axes, unless it is one of the last two, which
    are y and x. None for rgb layers, whose colours napari knows, and where nothing looks like it.
    """
    if getattr(layer, "rgb", False):
        return None
    data = layer.data[0] if layer.multiscale else layer.data
    shape = tuple(int(side) for side in data.shape)
    if len(shape) < 3:
        return None
    for names in (layer.axis_labels, _metadata_axes(layer.metadata)):
        if len(names) == len(shape):
            found = [axis for axis, name in enumerate(names) if str(name).lower() in _NAMES]
            if len(found) == 1:
                return found[0]
            if _says_all(names):
                return None
    small = [axis for axis in range(len(shape) - 2) if _FEWEST <= shape[axis] <= _MOST]
    return small[0] if small else None


def _says_all(names: Any) -> bool:
    """Whether somebody named the axes; napari's own names are numbers."""
    return not any(str(name).lstrip("-").isdigit() for name in names)


def _metadata_axes(metadata: Any) -> tuple[str, ...]:
    axes = metadata.get("axes") if isinstance(metadata, Mapping) else None
    if isinstance(axes, str):
        return tuple(axes)
    if isinstance(axes, list | tuple):
        return tuple(
            str(axis.get("name", "")) if isinstance(axis, Mapping) else str(axis) for axis in axes
        )
    return ()
