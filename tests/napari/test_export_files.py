"""Files out of napari: every kind from one request, in steps that can be stopped."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_plugin.export import (
    KINDS,
    ExportRequest,
    ImageRecord,
    ModelRecord,
    Provenance,
    axis_letters,
    channels_of,
    export,
    export_paths,
)
from sam_plugins.errors import ImageError, SamPluginsError
from sam_plugins.formats import (
    ObjectNote,
    read_coco,
    read_geojson,
    read_label_tiff,
    read_label_zarr,
    read_roi_zip,
    roi_zip_to_labels,
)

LABELS = np.zeros((2, 3, 8, 9), np.int32)
LABELS[0, :2, 1:5, 2:7] = 4
LABELS[1, 1:, 3:8, 0:3] = 70_000
IMAGE = np.random.default_rng(0).integers(0, 4000, LABELS.shape).astype(np.uint16)

PROVENANCE = Provenance(
    model=ModelRecord(name="nano", model_id="m", encoder_id="e"),
    image=ImageRecord(
        name="cells", paths=("cells.tif",), fingerprint="f", shape=LABELS.shape, dtype="uint16"
    ),
    labels_shape=LABELS.shape,
    axes="TZYX",
    operations=(),
)


def request(folder, **changes):
    return ExportRequest(
        **{
            "folder": folder,
            "name": "cells",
            "kinds": tuple(KINDS),
            "labels": LABELS,
            "axes": "TZYX",
            "scale": (10, 2, 0.5, 0.25),
            "translate": (0, 5, 1, 2),
            "units": ("second", "micrometer", "micrometer", "micrometer"),
            "image_name": "cells.tif",
            "notes": {4: ObjectNote(classification="round")},
            "channels": channels_of("dapi", IMAGE),
            "provenance": PROVENANCE,
        }
        | changes
    )


def test_every_kind_holds_the_same_objects(tmp_path, require):
    require("zarr")
    asked = request(tmp_path / "new folder")
    steps = list(export(asked))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total == 6 * len(KINDS)
    paths = export_paths(asked)
    assert sorted(paths.values()) == sorted((tmp_path / "new folder").iterdir())
    for read in (read_label_tiff(paths["tiff"]), read_label_zarr(paths["zarr"])):
        np.testing.assert_array_equal(np.asarray(read.labels), LABELS)
        assert (read.axes, read.scale, read.translate) == ("TZYX", asked.scale, asked.translate)
        assert read.units == asked.units
    np.testing.assert_array_equal(
        read_geojson(paths["geojson"], LABELS.shape, "TZYX").labels, LABELS
    )
    rois = read_roi_zip(paths["imagej"])
    np.testing.assert_array_equal(roi_zip_to_labels(rois, LABELS.shape, "TZYX").labels, LABELS)
    pictures = read_coco(paths["coco"])
    assert [picture.file_name for picture in pictures][:2] == [
        "cells_t0001_z0001.tif",
        "cells_t0001_z0002.tif",
    ]
    assert [picture.labels for picture in pictures] == [(4,), (4,), (), (), (70_000,), (70_000,)]
    polygons = read_coco(paths["coco_polygons"])
    assert [[record.segmentation for record in each.records] for each in polygons] == [
        [record.segmentation for record in each.records] for each in pictures
    ]
    assert '"counts"' not in paths["coco_polygons"].read_text()
    rows = list(csv.DictReader(paths["measurements"].read_text().splitlines()))
    assert [(row["label"], row["t"], row["volume_px"]) for row in rows] == [
        ("4", "0", "40"),
        ("70000", "1", "30"),
    ]
    assert float(rows[0]["volume"]) == 40 * 2 * 0.5 * 0.25
    assert float(rows[0]["dapi_mean"]) == pytest.approx(IMAGE[LABELS == 4].mean())
    classes = json.loads(paths["geojson"].read_text())["features"]
    assert classes[0]["properties"]["classification"] == {"name": "round"}
    assert json.loads(paths["provenance"].read_text())["digest"].startswith("sha256:")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_stopping_leaves_complete_files_and_no_parts(tmp_path, require, kind):
    require("zarr")
    before = next(name for name in KINDS if name != kind)
    writing = export(request(tmp_path, kinds=(before, kind)))
    steps = [next(writing) for _ in range(6 + 3)]
    assert steps[-1].message == f"Writing cells{KINDS[kind].suffix}"
    writing.close()
    assert [path.name for path in tmp_path.iterdir()] == [f"cells{KINDS[before].suffix}"]


def test_nothing_is_replaced_unless_asked(tmp_path):
    list(export(request(tmp_path, kinds=("imagej",))))
    before = (tmp_path / "cells.rois.zip").read_bytes()
    with pytest.raises(SamPluginsError, match=r"cells\.rois\.zip would have to be replaced"):
        list(export(request(tmp_path, kinds=("geojson", "imagej"), labels=LABELS * 0)))
    assert [path.name for path in tmp_path.iterdir()] == ["cells.rois.zip"]
    assert (tmp_path / "cells.rois.zip").read_bytes() == before
    list(export(request(tmp_path, kinds=("imagej",), labels=LABELS * 0, overwrite=True)))
    assert read_roi_zip(tmp_path / "cells.rois.zip") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kinds": ()}, "found nothing"),
        ({"kinds": ("png",)}, "found png"),
        ({"name": "a/b"}, "plain name"),
        ({"name": ""}, "plain name"),
        ({"axes": "PZYX"}, "letters of T, C, Z, Y, X"),
        ({"scale": (1, 1, -0.5, 0.5)}, "mirrored"),
        ({"labels": LABELS.astype(float)}, "whole numbers"),
        ({"channels": {"dapi": IMAGE[0]}, "kinds": ("measurements",)}, "'dapi'"),
        ({"provenance": None, "kinds": ("provenance",)}, "how these objects were made"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(tmp_path, changes, words):
    with pytest.raises(SamPluginsError, match=words):
        list(export(request(tmp_path, **changes)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SamPluginsError, match="choose another folder"):
        list(export(request(tmp_path / "file" / "folder")))


@pytest.mark.parametrize(
    ("ndim", "options", "letters"),
    [
        (2, {}, "YX"),
        (3, {}, "ZYX"),
        (4, {}, "TZYX"),
        (5, {}, "TCZYX"),
        (3, {"names": ("time", "y", "x")}, "TYX"),
        (4, {"names": ("Z", "T", "", "")}, "ZTYX"),
        (4, {"names": ("axis 0", "t", "", "")}, "ZTYX"),
        (4, {"channel_axis": 1}, "ZCYX"),
        (3, {"channel_axis": 2}, "YXC"),
        (5, {"channel_axis": 0, "names": ("c", "p", "q", "y", "x")}, "CTZYX"),
        (3, {"rows": 2, "columns": 0}, "XZY"),
    ],
)
def test_axes_get_letters(ndim, options, letters):
    assert axis_letters(ndim, **options) == letters


def test_axes_without_letters_are_a_sentence():
    with pytest.raises(ImageError, match="6 axes"):
        axis_letters(6)
    with pytest.raises(ImageError, match="rows and columns"):
        axis_letters(2, channel_axis=0)


@given(st.integers(0, 2**20), st.sampled_from([None, 0, 1, 2]), st.booleans())
def test_channels_have_the_shape_of_labels_and_the_values_of_the_image(seed, axis, rgb):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 99, rng.integers(1, 5, 3).tolist() + [3] * rgb)
    channels = channels_of("a", data, channel_axis=None if rgb else axis, rgb=rgb)
    if rgb:
        assert list(channels) == ["a red", "a green", "a blue"]
    for number, view in enumerate(channels.values()):
        if rgb:
            whole = data[..., number]
        else:
            whole = data if axis is None else np.take(data, [number], axis)
        assert view.shape == whole.shape
        at = tuple(int(rng.integers(0, side)) for side in whole.shape)
        for where in ((at[0], slice(None), slice(0, 2)), (slice(None), at[1], at[2])):
            np.testing.assert_array_equal(view[where], whole[where])
