"""Files out of napari: label images, COCO, GeoJSON, ImageJ regions, tables, and provenance."""

from napari_plugin.export.axes import ChannelView, axis_letters, channels_of
from napari_plugin.export.exporting import export, export_paths
from napari_plugin.export.kinds import KINDS, ExportKind
from napari_plugin.export.operations import (
    Operation,
    accept_operation,
    delete_operation,
    merge_operation,
    paint_operation,
    relabel_operation,
    split_operation,
)
from napari_plugin.export.provenance import (
    ImageRecord,
    ModelRecord,
    Provenance,
    labels_digest,
    read_provenance,
    software_versions,
    write_provenance,
)
from napari_plugin.export.replay import Answer, ObjectAgreement, compare_labels, replay
from napari_plugin.export.request import ExportRequest
from napari_plugin.export.rest import rest_operation

__all__ = [
    "KINDS",
    "Answer",
    "ChannelView",
    "ExportKind",
    "ExportRequest",
    "ImageRecord",
    "ModelRecord",
    "ObjectAgreement",
    "Operation",
    "Provenance",
    "accept_operation",
    "axis_letters",
    "channels_of",
    "compare_labels",
    "delete_operation",
    "export",
    "export_paths",
    "labels_digest",
    "merge_operation",
    "paint_operation",
    "read_provenance",
    "relabel_operation",
    "replay",
    "rest_operation",
    "software_versions",
    "split_operation",
    "write_provenance",
]
