"""Objects followed through z or t: from the slices where they are known to all others."""

from collections.abc import Iterator, Mapping

from sam_plugins.automatic import Progress
from sam_plugins.ports import Followed, ImageSource, Key, Lost, Segmenter
from sam_plugins.volume.follow import VolumePropagator

__all__ = ["Followed", "Key", "Lost", "VolumePropagator", "follow_objects"]


def follow_objects(
    segmenter: Segmenter,
    source: ImageSource,
    keys: Mapping[int, Mapping[int, Key]],
    *,
    frames: range | None = None,
) -> Iterator[Progress | Followed | Lost]:
    """`VolumePropagator.propagate` with its defaults."""
    return VolumePropagator(segmenter).propagate(source, keys, frames=frames)
