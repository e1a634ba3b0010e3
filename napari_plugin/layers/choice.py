"""What of the layers is segmented, and how its numbers become brightness: plain, for provenance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sam_plugins.errors import ImageError

__all__ = ["ImageChoice", "IntensityChoice"]

IntensityChoice: TypeAlias = Literal["percentile", "contrast_limits"]


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """Which layers, channels and brightness a user chose.

    Parameters
    ----------
    layers
        Names of the Image layers: one, or up to three of one channel each as red, green, blue.
    channel_axis
        The data axis of one layer that holds its channels; None where there is none. Not for rgb
        layers, whose colours are no data axis of napari.
    channels
        Which entries of `channel_axis` become red, green and blue: one (grey) to three. None means
        all, where there are no more than three.
    intensity
        "percentile": black and white at the percentiles 0.1 and 99.9 of the whole stack, hot
        pixels do not count; uint8 stays as it is. "contrast_limits": those of the layers.
    limits
        The values that become black and white in each channel shown, once they are decided; None
        before, and where they are to be decided anew. They count whatever `intensity` says.
    level
        Of a multiscale layer; 0 is the finest.

    Raises
    ------
    ImageError
        If a value is not of its kind.
    """

    layers: tuple[str, ...]
    channel_axis: int | None = None
    channels: tuple[int, ...] | None = None
    intensity: IntensityChoice = "percentile"
    limits: tuple[tuple[float, float], ...] | None = None
    level: int = 0

    def __post_init__(self) -> None:
        if self.intensity not in ("percentile", "contrast_limits"):
            raise ImageError(
                "Brightness must be 'percentile' or 'contrast_limits', found "
                f"{self.intensity!r}: choose one of the two."
            )
        if self.channels is not None and not 1 <= len(self.channels) <= 3:
            raise ImageError(
                "One to three channels can be shown as red, green and blue, found "
                f"{len(self.channels)}: choose those that matter."
            )
        if self.limits is not None and not all(
            math.isfinite(low) and math.isfinite(high) and low <= high for low, high in self.limits
        ):
            raise ImageError(
                f"Black and white must be finite numbers in order, found {self.limits}: set the "
                "contrast limits of the layer again."
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "layers": list(self.layers),
            "channel_axis": self.channel_axis,
            "channels": None if self.channels is None else list(self.channels),
            "intensity": self.intensity,
            "limits": None if self.limits is None else [list(pair) for pair in self.limits],
            "level": self.level,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "ImageChoice":
        """The choice that `to_json` wrote.

        Raises
        ------
        ImageError
            If it is anything else.
        """
        try:
            axis, channels, limits = (found[n] for n in ("channel_axis", "channels", "limits"))
            return cls(
                layers=tuple(str(name) for name in found["layers"]),
                channel_axis=None if axis is None else int(axis),
                channels=None if channels is None else tuple(int(c) for c in channels),
                intensity=found["intensity"],
                limits=None
                if limits is None
                else tuple((float(low), float(high)) for low, high in limits),
                level=int(found["level"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(
                "A choice of an image must be an object with layers, channel_axis, channels, "
                f"intensity, limits and level, found {found!r:.200} ({error})."
            ) from error
