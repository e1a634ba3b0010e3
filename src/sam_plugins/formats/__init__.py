"""Masks to files and back: COCO, SA-1B, YOLO, label images, GeoJSON, ImageJ, measurements.

One file per format. Everything here is NumPy, Pillow, tifffile and pycocotools; nothing loads a
model.
"""

from sam_plugins.formats.brush_rle import brush_rle_to_crop, crop_to_brush_rle
from sam_plugins.formats.coco import CocoImage, to_coco, write_coco
from sam_plugins.formats.coco_reading import (
    coco_categories,
    from_coco,
    read_coco,
    read_coco_document,
)
from sam_plugins.formats.geojson import (
    ObjectNote,
    from_geojson,
    read_geojson,
    to_feature,
    write_geojson,
)
from sam_plugins.formats.imagej_roi import ImageJRoi, decode_roi, encode_roi, outlines_to_roi
from sam_plugins.formats.label_image import (
    label_image_to_records,
    read_label_image,
    records_to_label_image,
    write_label_image,
)
from sam_plugins.formats.label_stack import LabelStack, PlaneIndex, label_image_objects
from sam_plugins.formats.label_tiff import read_label_tiff, write_label_tiff
from sam_plugins.formats.label_zarr import read_label_zarr, write_label_zarr
from sam_plugins.formats.measurements import Measurements, measure_labels, write_measurements
from sam_plugins.formats.outlines import Outline, fill_rings, mask_outlines
from sam_plugins.formats.polygons import SimplifiedPolygons, simplified_polygons
from sam_plugins.formats.published import OutputMode, record_to_published
from sam_plugins.formats.ring_runs import rings_to_rle
from sam_plugins.formats.rle import (
    crop_to_rle,
    mask_to_rle,
    rle_area,
    rle_to_box,
    rle_to_crop,
    rle_to_mask,
    rle_to_runs,
    runs_to_rle,
)
from sam_plugins.formats.roi_zip import read_roi_zip, roi_zip_to_labels, write_roi_zip
from sam_plugins.formats.sa1b import Sa1bImage, from_sa1b, read_sa1b, to_sa1b, write_sa1b
from sam_plugins.formats.sa1b_folder import (
    read_sa1b_folder,
    sa1b_file_name,
    sa1b_files,
    write_sa1b_folder,
)
from sam_plugins.formats.strangers import check_file_name
from sam_plugins.formats.whole import whole_file, whole_folder
from sam_plugins.formats.yolo_data import YoloData, read_yolo_data, write_yolo_data
from sam_plugins.formats.yolo_reading import from_yolo_labels, read_yolo_labels
from sam_plugins.formats.yolo_seg import (
    YoloObject,
    to_yolo_labels,
    write_yolo_labels,
    yolo_label_name,
)

__all__ = [
    "CocoImage",
    "ImageJRoi",
    "LabelStack",
    "Measurements",
    "ObjectNote",
    "Outline",
    "OutputMode",
    "PlaneIndex",
    "Sa1bImage",
    "SimplifiedPolygons",
    "YoloData",
    "YoloObject",
    "brush_rle_to_crop",
    "check_file_name",
    "coco_categories",
    "crop_to_brush_rle",
    "crop_to_rle",
    "decode_roi",
    "encode_roi",
    "fill_rings",
    "from_coco",
    "from_geojson",
    "from_sa1b",
    "from_yolo_labels",
    "label_image_objects",
    "label_image_to_records",
    "mask_outlines",
    "mask_to_rle",
    "measure_labels",
    "outlines_to_roi",
    "read_coco",
    "read_coco_document",
    "read_geojson",
    "read_label_image",
    "read_label_tiff",
    "read_label_zarr",
    "read_roi_zip",
    "read_sa1b",
    "read_sa1b_folder",
    "read_yolo_data",
    "read_yolo_labels",
    "record_to_published",
    "records_to_label_image",
    "rings_to_rle",
    "rle_area",
    "rle_to_box",
    "rle_to_crop",
    "rle_to_mask",
    "rle_to_runs",
    "roi_zip_to_labels",
    "runs_to_rle",
    "sa1b_file_name",
    "sa1b_files",
    "simplified_polygons",
    "to_coco",
    "to_feature",
    "to_sa1b",
    "to_yolo_labels",
    "whole_file",
    "whole_folder",
    "write_coco",
    "write_geojson",
    "write_label_image",
    "write_label_tiff",
    "write_label_zarr",
    "write_measurements",
    "write_roi_zip",
    "write_sa1b",
    "write_sa1b_folder",
    "write_yolo_data",
    "write_yolo_labels",
    "yolo_label_name",
]
