"""`ImageChoice`: which layers and channels the model is shown, and how bright."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from sam_plugins.errors import ImageError

__all__ = ["ImageChoice", "IntensityKind", "guess_channel_axis"]

IntensityKind: TypeAlias = Literal["percentile", "contrast_limits"]

_CHANNEL_WORDS = ("c", "ch", "channel", "channels")
_MOST_GUESSED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """What of which layers the model is shown.

    Parameters
    ----------
    layers
        Names of the layers, for a record.
    channel_axis
        The axis of the data that holds channels, or None.
    channels
        Numbers of the channels shown as red, green and blue, one to three; None for the first
        three, or all of fewer.
    intensity
        "percentile": black and white are percentiles of the values of the whole layer.
        "contrast_limits": as the layer is displayed when annotation begins.
    limits
        The values that became black and white, a pair for each channel shown; None until they are
        known. Given ones are taken as they are: so a replay sees what was seen.
    level
        Of a layer with several resolutions; 0 is the finest.
    """

    layers: tuple[str, ...] = ()
    channel_axis: int | None = None
    channels: tuple[int, ...] | None = None
    intensity: IntensityKind = "percentile"
    limits: tuple[tuple[float, float], ...] | None = None
    level: int = 0

    def __post_init__(self) -> None:
        if self.intensity not in get_args(IntensityKind):
            raise ImageError(
                f"Brightness must be one of {', '.join(get_args(IntensityKind))}, found "
                f"{self.intensity!r}."
            )
        if self.channels is not None and not 1 <= len(self.channels) <= 3:
            raise ImageError(f"One to three channels can be shown, found {self.channels}.")

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
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(
                f"An image choice must be an object with layers, channels and intensity, found "
                f"{found!r:.200} ({error})."
            ) from error


def guess_channel_axis(layer: Any) -> int | None:
    """The axis of a layer that probably holds channels; None if there is none.

    One that is named so; otherwise one of two to five entries before the last two axes, where
    there is just one of them and the layer has four axes or more.
    """
    if getattr(layer, "rgb", False):
        return None
    labels = [str(label).strip().lower() for label in layer.axis_labels]
    named = [axis for axis, label in enumerate(labels) if label in _CHANNEL_WORDS]
    if named:
        return named[0]
    shape = layer.data[0].shape if layer.multiscale else layer.data.shape
    small = [axis for axis in range(len(shape) - 2) if 2 <= shape[axis] <= _MOST_GUESSED]
    return small[0] if len(small) == 1 and len(shape) >= 4 else None
