"""The kinds of files that can be exported: a line of data for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, TypeAlias

from napari_plugin.export.provenance import write_provenance
from napari_plugin.export.request import ExportRequest
from sam_plugins.errors import SamPluginsError
from sam_plugins.formats import (
    CocoImage,
    LabelStack,
    label_image_to_records,
    measure_labels,
    write_coco,
    write_geojson,
    write_label_tiff,
    write_label_zarr,
    write_measurements,
    write_roi_zip,
)

__all__ = ["KINDS", "ExportKind"]

Writer: TypeAlias = Callable[[Path, LabelStack, ExportRequest], Iterator[int]]
"""Writes a file; yields how many planes are done. The file appears whole, at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportKind:
    """A kind of file.

    Parameters
    ----------
    name
        A short word.
    title
        What a menu says.
    suffix
        What the file's name ends with.
    write
        Writes it.
    note
        What it cannot hold or how it holds it, in a sentence.
    """

    name: str
    title: str
    suffix: str
    write: Writer
    note: str


def _tiff(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    return write_label_tiff(path, stack)


def _zarr(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    return write_label_zarr(path, stack, overwrite=request.overwrite)


def _coco(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    return _coco_document(path, stack, request, "run_lengths")


def _coco_polygons(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    return _coco_document(path, stack, request, "polygons")


def _coco_document(
    path: Path,
    stack: LabelStack,
    request: ExportRequest,
    segmentation: Literal["run_lengths", "polygons"],
) -> Iterator[int]:
    name = PurePath(request.image_name)
    images = []
    for done, (index, plane) in enumerate(stack.planes(), 1):
        where = "".join(
            f"_{axis}{getattr(index, axis) + 1:04d}"
            for axis in "tcz"
            if stack.length(axis.upper()) > 1
        )
        records, labels = label_image_to_records(plane)
        images.append(
            CocoImage(
                file_name=f"{name.stem}{where}{name.suffix}",
                size=stack.size,
                records=records,
                labels=labels,
            )
        )
        yield done
    info = {"description": f"Objects of {name.name}, made with sam-plugins"}
    write_coco(path, images, info, segmentation=segmentation)


def _geojson(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    return write_geojson(path, stack, notes=request.notes, seed=request.image_name)


def _imagej(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    return write_roi_zip(path, stack)


def _measurements(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    for step in measure_labels(stack, request.channels):
        if isinstance(step, int):
            yield step
        else:
            write_measurements(path, step)


def _provenance(path: Path, stack: LabelStack, request: ExportRequest) -> Iterator[int]:
    if request.provenance is None:
        raise SamPluginsError(
            "Nothing is known about how these objects were made: provenance can be exported for "
            "objects that were made with this plugin."
        )
    return write_provenance(path, request.provenance, stack)


KINDS: dict[str, ExportKind] = {
    kind.name: kind
    for kind in (
        ExportKind(
            name="tiff",
            title="Labels, OME-TIFF",
            suffix=".labels.ome.tif",
            write=_tiff,
            note="All axes in the order T, C, Z, Y, X, with the size of a voxel and its unit. "
            "Rotation and shear are not kept.",
        ),
        ExportKind(
            name="zarr",
            title="Labels, OME-Zarr",
            suffix=".labels.ome.zarr",
            write=_zarr,
            note="A folder with a pyramid, for large stacks. Rotation and shear are not kept.",
        ),
        ExportKind(
            name="coco",
            title="COCO JSON, run lengths",
            suffix=".coco.json",
            write=_coco,
            note="COCO knows pictures and no stacks: each plane is a picture of its own, and an "
            "object has an annotation on each, with its label in 'label'.",
        ),
        ExportKind(
            name="coco_polygons",
            title="COCO JSON, polygons",
            suffix=".coco-polygons.json",
            write=_coco_polygons,
            note="For programs that read no run lengths. COCO's polygons have no holes: objects "
            "with holes have run lengths nevertheless. Each plane is a picture of its own.",
        ),
        ExportKind(
            name="geojson",
            title="GeoJSON for QuPath",
            suffix=".geojson",
            write=_geojson,
            note="In pixels. An object is a polygon on each plane, with its label as name.",
        ),
        ExportKind(
            name="imagej",
            title="ImageJ regions",
            suffix=".rois.zip",
            write=_imagej,
            note="For ImageJ's ROI manager. In pixels; an object is a region on each plane.",
        ),
        ExportKind(
            name="measurements",
            title="Measurements, CSV",
            suffix=".measurements.csv",
            write=_measurements,
            note="With z a row is a volume, otherwise an object on a plane. Lengths are in the "
            "units of the layer, and in pixels.",
        ),
        ExportKind(
            name="provenance",
            title="Provenance, JSON",
            suffix=".sam.json",
            write=_provenance,
            note="Model, prompts and settings: 'sam-plugins napari replay' makes the same masks "
            "from it and the image.",
        ),
    )
}
"""Name -> kind."""
