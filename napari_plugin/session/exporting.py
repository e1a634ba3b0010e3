"""From an annotated picture to an `ExportRequest`, provenance included."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_plugin.export import (
    ExportRequest,
    ImageRecord,
    ModelRecord,
    Provenance,
    axis_letters,
    channels_of,
    export,
)
from napari_plugin.service import ServiceState
from napari_plugin.session.annotator import Annotator
from napari_plugin.session.pictures import tiling_for
from napari_plugin.session.target import Target
from sam_plugins import Progress
from sam_plugins.errors import SamPluginsError

__all__ = ["exported"]

_ENGINES = ("openvino", "torch", "plain")
"""Those that can be asked for by name when a document is replayed."""

_WHOLE = {"tiff", "zarr"}
"""Kinds that hold every pixel of every object."""


def exported(
    annotator: Annotator,
    state: ServiceState,
    folder: Path,
    kinds: Sequence[str],
    *,
    overwrite: bool,
) -> Iterator[Progress]:
    """Write the objects of a picture to files; see `napari_plugin.export.export`.

    What is written is what the layer holds at the call, whatever is painted meanwhile.

    Raises
    ------
    SamPluginsError
        At the call, if there is no picture, or nothing is known of how its objects were made where
        that is asked for.
    """
    target = annotator.target
    if target is None:
        raise SamPluginsError("There are no objects to export: use an image first.")
    if target.problem:
        raise SamPluginsError(target.problem)
    labels, changes = target.current()
    provenance = _provenance(target, state, annotator.policy)
    if "provenance" in kinds and provenance is None:
        raise SamPluginsError(
            "Provenance names the model, and none is ready: wait for it, or leave provenance out."
        )
    request = ExportRequest(
        folder=folder,
        name=_file_name(target.name),
        kinds=tuple(kinds),
        labels=labels,
        axes=_letters(target),
        scale=_numbers(target.labels.scale),
        translate=_numbers(target.labels.translate),
        units=_units(target),
        image_name=_file_name(target.name),
        channels=_channels(target),
        overwrite=overwrite,
    )
    return _events(request, target, provenance, changes)


def _events(
    request: ExportRequest, target: Target, provenance: Provenance | None, changes: int
) -> Iterator[Progress]:
    if provenance is not None and "provenance" in request.kinds:
        yield Progress(0, 1, "Gathering what was done")
        done = target.log.operations(provenance, request.labels)
        request = replace(request, provenance=replace(provenance, operations=done))
    yield from export(request)
    if _WHOLE & set(request.kinds):
        target.note_saved(changes)


def _provenance(target: Target, state: ServiceState, policy: str) -> Provenance | None:
    info = state.info
    if info is None:
        return None
    image = target.image
    paths = [getattr(layer.source, "path", None) for layer in target.layers]
    data = target.layers[0].data[0] if target.layers[0].multiscale else target.layers[0].data
    return Provenance(
        model=ModelRecord(
            name=str(state.request.model or info.name),
            model_id=info.model_id,
            encoder_id=info.encoder_id,
            precision=info.numerics,
            engine=info.engine if info.engine in _ENGINES else "auto",
        ),
        image=ImageRecord(
            name=target.name,
            paths=tuple(str(path) for path in paths if path),
            fingerprint=target.fingerprint,
            shape=tuple(int(n) for n in data.shape),
            dtype=str(np.dtype(data.dtype)),
            choice=image.choice.to_json(),
        ),
        labels_shape=target.shape,
        axes=_letters(target),
        operations=(),
        scale=_numbers(target.labels.scale),
        translate=_numbers(target.labels.translate),
        units=_units(target),
        tiles=tiling_for(target.pictures.detail, info.image_size),
        settings={"policy": policy, "detail": target.pictures.detail},
    )


def _letters(target: Target) -> str:
    return axis_letters(
        len(target.shape),
        channel_axis=target.image.choice.channel_axis,
        names=tuple(str(name) for name in target.layers[0].axis_labels),
    )


def _channels(target: Target) -> dict[str, Any]:
    axis = target.image.choice.channel_axis
    found: dict[str, Any] = {}
    for layer in target.layers:
        data = layer.data[0] if layer.multiscale else layer.data
        found |= channels_of(str(layer.name), data, channel_axis=axis, rgb=bool(layer.rgb))
    return found


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _units(target: Target) -> tuple[str, ...]:
    return tuple(str(unit) for unit in target.labels.units)


def _file_name(name: str) -> str:
    """A layer's name as a file's."""
    kept = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(" .")
    return kept[:100] or "image"
