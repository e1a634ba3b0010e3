"""How numbers become brightness: one pair of limits per image, then a straight line to 0..255."""

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import ImageError

__all__ = ["Intensity", "intensity_limits", "to_uint8"]

Kind: TypeAlias = Literal["percentile", "minmax", "limits", "dtype"]

_DEFAULT_PERCENTILES = (0.1, 99.9)
_MOST_SAMPLES = 2**24
_BLOCK_VALUES = 2**22


@dataclass(frozen=True, slots=True)
class Intensity:
    """Which values become black and white.

    Parameters
    ----------
    kind
        - ``"percentile"``: the percentiles `low` and `high` of the values, 0.1 and 99.9 unless
          given. Where they coincide (a few bright spots on a flat background) the extremes are
          taken. Of more than 2^24 values, evenly spaced ones are used.
        - ``"minmax"``: the smallest and the largest value.
        - ``"limits"``: `low` and `high` themselves.
        - ``"dtype"``: the whole range of the dtype; 0 and 1 for floats.
    low, high
        See `kind`; not allowed for ``"minmax"`` and ``"dtype"``.
    per_channel
        Decide for each channel apart. By default all channels share one pair, which keeps their
        relative brightness.

    Raises
    ------
    ImageError
        If the kind is unknown, or `low` and `high` do not fit it.
    """

    kind: Kind = "percentile"
    low: float | None = None
    high: float | None = None
    per_channel: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("percentile", "minmax", "limits", "dtype"):
            raise ImageError(
                f"Intensity kind must be percentile, minmax, limits or dtype, found {self.kind!r}."
            )
        given = [value for value in (self.low, self.high) if value is not None]
        if self.kind in ("minmax", "dtype"):
            if given:
                raise ImageError(
                    f"Intensity {self.kind!r} takes no low and high, found {given}: leave them "
                    "out, or use kind 'limits'."
                )
            return
        low, high = self._bounds()
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ImageError(
                f"Intensity low and high must be finite and in order, found {low} and {high}."
            )
        if self.kind == "percentile" and not 0 <= low < high <= 100:
            raise ImageError(
                "Intensity percentiles must be in order and within 0 to 100, found "
                f"{low} and {high}."
            )

    def _bounds(self) -> tuple[float, float]:
        if self.kind == "limits":
            if self.low is None or self.high is None:
                raise ImageError("Intensity 'limits' needs both low and high: give two numbers.")
            return self.low, self.high
        low, high = _DEFAULT_PERCENTILES
        return low if self.low is None else self.low, high if self.high is None else self.high

    def limits_of(self, values: NDArray[Any]) -> tuple[float, float]:
        """The values of a finite, non-empty numeric array that become black and white."""
        if self.kind == "limits":
            return self._bounds()
        if self.kind == "dtype":
            return _dtype_range(values.dtype)
        if self.kind == "percentile":
            low, high = _percentiles(values, self._bounds())
            if low < high:
                return low, high
        return float(values.min()), float(values.max())


def intensity_limits(
    array: NDArray[Any], intensity: Intensity | None = None
) -> tuple[float, float]:
    """The two values that become black and white, decided over the whole array at once.

    For a stack, decide once and reuse: ``Intensity("limits", *intensity_limits(stack))``.

    Parameters
    ----------
    array
        Numbers or bool, any shape.
    intensity
        None means: uint8 stays as it is (0 and 255), bool is 0 and 1, floats that lie within 0..1
        and whose 99.9th percentile is at least 0.5 are display values (0 and 1), everything else
        is stretched between its percentiles 0.1 and 99.9. `Intensity.per_channel` plays no part
        here: the array is one set of values.

    Returns
    -------
    low, high
        low <= high; equal for a constant array.

    Raises
    ------
    ImageError
        If the array is empty, not numeric, or has NaN or infinite values.
    """
    values = numeric(array)
    if not values.size:
        raise ImageError(f"The image is empty, its shape is {values.shape}: give at least a pixel.")
    check_finite(values)
    if intensity is not None and values.dtype != bool:
        return intensity.limits_of(values)
    if values.dtype in (bool, np.uint8):
        return _dtype_range(values.dtype)
    low, high = Intensity().limits_of(values)
    if values.dtype.kind == "f" and high >= 0.5 and values.min() >= 0 and values.max() <= 1:
        return 0.0, 1.0
    return low, high


def numeric(array: Any) -> NDArray[Any]:
    """A NumPy array of bool, integers or floats in native byte order, without a copy if it can.

    Raises
    ------
    ImageError
        If it is no array, or holds anything else.
    """
    try:
        values = np.asarray(array)
    except Exception as error:
        raise ImageError(
            f"An image must be a NumPy array or convertible to one, found {type(array).__name__}: "
            f"{error}."
        ) from error
    if values.dtype.kind == "c":
        raise ImageError(
            f"An image must hold real numbers, found {values.dtype}: take numpy.abs or "
            "numpy.angle of it first."
        )
    if values.dtype.kind not in "buif" or values.dtype.itemsize > 8:
        raise ImageError(
            "An image must hold bool, integers or floats of up to 64 bits, found dtype "
            f"{values.dtype} ({type(array).__name__}): convert it first."
        )
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def check_finite(values: NDArray[Any]) -> None:
    """Raise `ImageError` for NaN or infinity, and say how many."""
    if values.dtype.kind == "f":
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise ImageError(
                f"The image has NaN or infinite values ({bad:,} of {values.size:,}): replace them "
                "first, for example with numpy.nan_to_num."
            )


def to_uint8(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map `low` to 0 and `high` to 255 along a straight line, clipped and rounded to nearest.

    Parameters
    ----------
    values
        (H, W) finite numbers or bool in native byte order.
    low, high
        low <= high. If equal, what is above becomes 255 and all else 0.

    Returns
    -------
    (H, W) uint8, a new array.
    """
    if values.dtype == bool:
        values = values.view(np.uint8)
    if values.dtype.kind in "ui" and values.dtype.itemsize <= 2:
        patterns = np.dtype(f"u{values.dtype.itemsize}")
        every = np.arange(2 ** (8 * patterns.itemsize), dtype=patterns).view(values.dtype)
        return np.take(_line(every, low, high), values.view(patterns))
    out = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_VALUES // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        out[start : start + rows] = _line(values[start : start + rows], low, high)
    return out


def _line(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if low == high:
        return (values > low).astype(np.uint8) * np.uint8(255)
    # The range of the largest floats does not overflow when it is halved first.
    scale = 1.0 if math.isfinite(high - low) else 0.5
    line = np.clip(np.multiply(values, scale, dtype=np.float64), low * scale, high * scale)
    line -= low * scale
    line /= high * scale - low * scale
    line *= 255
    levels: NDArray[np.uint8] = np.rint(line).astype(np.uint8)
    return levels


def _dtype_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "bf":
        return 0.0, 1.0
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


def _percentiles(values: NDArray[Any], percentiles: tuple[float, float]) -> tuple[float, float]:
    """Two percentiles, of evenly spaced values along the two longest axes where there are many."""
    if values.size > _MOST_SAMPLES:
        step = math.ceil(math.sqrt(values.size / _MOST_SAMPLES))
        longest = np.argsort(values.shape, kind="stable")[-2:]
        steps = (step if axis in longest else 1 for axis in range(values.ndim))
        values = values[tuple(slice(None, None, step) for step in steps)]
    halves = np.multiply(values, 0.5, dtype=np.float64)
    low, high = np.percentile(halves, percentiles)
    return 2 * float(low), 2 * float(high)
