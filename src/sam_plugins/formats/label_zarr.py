"""Stacks of labels as OME-Zarr: a pyramid with axes, voxel size and place, plane by plane."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sam_plugins.errors import ImageError, MissingExtraError
from sam_plugins.formats.label_stack import LabelStack
from sam_plugins.formats.whole import whole_folder

__all__ = ["read_label_zarr", "write_label_zarr"]

_CHUNK = 1024
_SMALLEST_LEVEL = 512
_KINDS = {"T": "time", "C": "channel"}


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError(
            "Labels as OME-Zarr need the package zarr, which is not installed: pip install "
            "'sam-plugins[large]'."
        ) from error
    return zarr


def write_label_zarr(
    path: str | Path,
    stack: LabelStack,
    *,
    version: Literal["0.4", "0.5"] = "0.4",
    overwrite: bool = False,
) -> Iterator[int]:
    """Write labels as an OME-Zarr folder; nothing happens until it is iterated.

    Parameters
    ----------
    path
        The folder, usually ``.zarr`` or ``.ome.zarr``.
    stack
        Read one plane at a time. uint16, or uint32 where a label needs it.
    version
        Of OME-Zarr: 0.4 is zarr format 2, which more programs read; 0.5 is format 3.
    overwrite
        Replace what is there.

    Yields
    ------
    How many planes are written. The folder appears after the last; closing the generator before
    leaves nothing.

    Notes
    -----
    Lower levels take every second pixel of the level above, from the first: labels are never
    mixed, and the first pixel's centre stays where it is, so that all levels have one translation.

    Raises
    ------
    ImageError
        If the folder is there and may not be replaced, or a value is no label.
    MissingExtraError
        If zarr is not installed.
    OSError
        If the folder above is missing or cannot be written.
    """
    if version not in ("0.4", "0.5"):
        raise ImageError(f"OME-Zarr is written in version 0.4 or 0.5, found {version!r}.")
    zarr = _zarr()
    with whole_folder(path, overwrite=overwrite) as partial:
        dtype, (height, width) = stack.stored_dtype(), stack.size
        group = zarr.open_group(str(partial), mode="w", zarr_format=2 if version == "0.4" else 3)
        named = {"dimension_names": list(stack.canonical_axes.lower())} if version == "0.5" else {}
        levels: list[Any] = []
        while not levels or max(height, width) > _SMALLEST_LEVEL:
            if levels:
                height, width = -(-height // 2), -(-width // 2)
            leading = stack.canonical_shape[:-2]
            levels.append(
                group.create_array(
                    str(len(levels)),
                    shape=(*leading, height, width),
                    chunks=(*(1 for _ in leading), min(height, _CHUNK), min(width, _CHUNK)),
                    dtype=dtype,
                    fill_value=0,
                    chunk_key_encoding={
                        "name": "v2" if version == "0.4" else "default",
                        "separator": "/",
                    },
                    **named,
                )
            )
        described = _described(stack, len(levels), Path(path).name, version)
        group.attrs.update(described if version == "0.4" else {"ome": described})
        for done, (index, plane) in enumerate(stack.planes(), 1):
            where = tuple(getattr(index, axis) for axis in stack.canonical_axes[:-2].lower())
            for step, level in enumerate(levels):
                level[where] = plane[:: 2**step, :: 2**step].astype(dtype)
            if done < stack.plane_count:
                yield done
    yield stack.plane_count


def _described(stack: LabelStack, levels: int, name: str, version: str) -> dict[str, Any]:
    """The metadata of a multiscale picture that is labels."""
    axes = []
    for letter in stack.canonical_axes:
        axis = {"name": letter.lower(), "type": _KINDS.get(letter, "space")}
        if letter != "C" and stack.unit_of(letter) != "pixel":
            axis["unit"] = stack.unit_of(letter)
        axes.append(axis)
    translation = [stack.translate_of(letter) for letter in stack.canonical_axes]
    datasets = []
    for number in range(levels):
        scale = [
            stack.scale_of(letter) * (2**number if letter in "YX" else 1)
            for letter in stack.canonical_axes
        ]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(translation):
            transformations.append({"type": "translation", "translation": translation})
        datasets.append({"path": str(number), "coordinateTransformations": transformations})
    multiscale = {"name": name, "axes": axes, "datasets": datasets, "type": "nearest"}
    described: dict[str, Any] = {"multiscales": [multiscale], "image-label": {"version": version}}
    if version == "0.4":
        multiscale["version"] = version
    else:
        described["version"] = version
        del described["image-label"]["version"]
    return described


def read_label_zarr(path: str | Path) -> LabelStack:
    """Open labels in OME-Zarr for reading plane by plane, at full resolution.

    Raises
    ------
    ImageError
        If it is not there, no OME-Zarr picture, or its values are no labels.
    MissingExtraError
        If zarr is not installed.
    """
    zarr = _zarr()
    if not Path(path).exists():
        raise ImageError(f"'{path}' does not exist: check the path of the labels.")
    try:
        group = zarr.open_group(str(path), mode="r")
        attributes = dict(group.attrs)
        picture = attributes.get("ome", attributes)["multiscales"][0]
        array = group[str(picture["datasets"][0]["path"])]
        axes = picture["axes"]
        letters = "".join(str(axis["name"])[:1].upper() for axis in axes)
        scale, translate = np.ones(len(axes)), np.zeros(len(axes))
        for transformation in (
            *picture["datasets"][0].get("coordinateTransformations", ()),
            *picture.get("coordinateTransformations", ()),
        ):
            if transformation["type"] == "scale":
                factors = np.asarray(transformation["scale"], float)
                scale, translate = scale * factors, translate * factors
            elif transformation["type"] == "translation":
                translate = translate + np.asarray(transformation["translation"], float)
        units = tuple(str(axis.get("unit", "pixel")) for axis in axes)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(
            f"'{path}' cannot be read as labels in OME-Zarr ({reason.rstrip('.')}): give the "
            "folder that holds its metadata."
        ) from error
    return LabelStack(array, letters, tuple(scale.tolist()), tuple(translate.tolist()), units)
