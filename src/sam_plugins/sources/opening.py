"""`open_source`: whatever holds a large picture, by one function."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam_plugins.errors import ImageError
from sam_plugins.images import Intensity, Limits, load_image
from sam_plugins.ports import ImageSource
from sam_plugins.sources.raw import ArrayWindows, RawWindows, TiffFrames
from sam_plugins.sources.rgb import RgbSource

__all__ = ["SOURCE_LIMITS", "open_source"]

SOURCE_LIMITS = Limits(max_pixels=2**40, max_bytes=2**44, max_pages=1_000_000)
"""For pictures that are read by window: a million pixels squared, 16 TiB."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_source(
    source: Any,
    *,
    axes: str | None = None,
    channels: int | Sequence[int] | None = None,
    intensity: Intensity | None = None,
    limits: Limits = SOURCE_LIMITS,
) -> ImageSource:
    """Open a picture of any size to be read by window.

    Parameters
    ----------
    source
        A path, or an array. Paths: TIFF (uncompressed pages are mapped into memory, of others only
        the strips or tiles are decoded that a window meets), zarr folders (of an OME-Zarr picture
        the full resolution), ``.npy`` (mapped). PNG, JPEG and the other formats of `load_image`
        cannot be read in parts and are held whole. Arrays: NumPy, memory maps, zarr, dask and
        whatever else is indexed like them. An `ImageSource` is returned itself.
    axes
        A letter for each axis of an array or zarr: "YX", "YXC", "TCYX", see `sources.axes`. By
        default those of OME-Zarr's metadata, or a guess. Of a TIFF it names the axis of channels
        only, where the file does not: "CYX" reads the pages of a plain stack as channels.
    channels
        Channel numbers for red, green and blue, or one for grey; needed for more than three.
    intensity
        How values other than uint8 become uint8, decided once for the whole source.
    limits
        What may be claimed; pixels are never read whole.

    Raises
    ------
    ImageError
        If it is missing, damaged, no picture, or its axes or channels cannot be told.
    LimitError
        If it is larger than `limits` allow.
    MissingExtraError
        If it is zarr, and zarr is not installed.
    """
    if isinstance(source, str | os.PathLike):
        raw = _opened_path(Path(source), axes, limits)
    elif hasattr(source, "read") and hasattr(source, "shape"):
        found: ImageSource = source
        return found
    elif hasattr(source, "shape") and hasattr(source, "dtype"):
        raw = ArrayWindows(source, axes=axes, name="The image", limits=limits)
    else:
        raise ImageError(
            "A source must be a path, an array with shape and dtype, or an ImageSource, found "
            f"{type(source).__name__}: open it first."
        )
    return RgbSource(raw, channels=channels, intensity=intensity)


def _opened_path(path: Path, axes: str | None, limits: Limits) -> RawWindows:
    if path.is_dir() or path.suffix == ".zarr":
        from sam_plugins.sources.zarr_folder import zarr_array

        array, named = zarr_array(path)
        return ArrayWindows(array, axes=axes or named, name=f"'{path}'", limits=limits)
    if path.suffix == ".npy" and path.is_file():
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ImageError(
                f"'{path}' is a damaged .npy file ({error}): copy or make it again."
            ) from error
        return ArrayWindows(mapped, axes=axes, name=f"'{path}'", limits=limits)
    if _is_tiff(path):
        return TiffFrames(path, channel_axis=_channel_axis(axes), limits=limits)
    return ArrayWindows(load_image(path), axes="YXC", name=f"'{path}'", limits=limits)


def _channel_axis(axes: str | None) -> int | None:
    """Where a TIFF keeps channels, from letters; None leaves that to the file."""
    if axes is None:
        return None
    return next((axes.upper().index(letter) for letter in "SC" if letter in axes.upper()), None)


def _is_tiff(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in _TIFF
    except OSError:
        return False
