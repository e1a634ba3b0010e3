"""Stacks of labels as OME-TIFF and OME-Zarr: values, axes, sizes and places come back."""

import contextlib
import json

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_stacks import canonical, label_stacks, run

from sam_plugins import open_source
from sam_plugins.errors import ImageError
from sam_plugins.formats import (
    LabelStack,
    PlaneIndex,
    label_image_objects,
    read_label_tiff,
    read_label_zarr,
    write_label_tiff,
    write_label_zarr,
)


def same_places(back, stack):
    for letter in back.axes.replace("C", ""):
        assert back.scale_of(letter) == pytest.approx(stack.scale_of(letter), rel=1e-12)
        assert back.translate_of(letter) == pytest.approx(stack.translate_of(letter), rel=1e-12)
        assert back.unit_of(letter) == stack.unit_of(letter)


@given(label_stacks())
@settings(max_examples=60, deadline=None)
def test_tiff_round_trips_exactly(tmp_path_factory, stack):
    path = tmp_path_factory.mktemp("tiff") / "a.ome.tif"
    assert run(write_label_tiff(path, stack)) == stack.plane_count
    back = read_label_tiff(path)
    assert back.labels.dtype == (np.uint16 if stack.labels.max() < 2**16 else np.uint32)
    # TIFF does not tell an axis of length 1 from none.
    np.testing.assert_array_equal(np.squeeze(back.labels), np.squeeze(canonical(stack)))
    same_places(back, stack)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@given(stack=label_stacks())
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_zarr_round_trips_exactly(tmp_path_factory, require, version, stack):
    require("zarr")
    path = tmp_path_factory.mktemp("zarr") / "a.ome.zarr"
    assert run(write_label_zarr(path, stack, version=version)) == stack.plane_count
    back = read_label_zarr(path)
    assert back.axes == stack.canonical_axes
    assert back.labels.dtype == (np.uint16 if stack.labels.max() < 2**16 else np.uint32)
    np.testing.assert_array_equal(back.labels[:], canonical(stack))
    same_places(back, stack)
    frames = open_source(path).shape
    assert (frames[1:], frames[0]) == (stack.size, stack.plane_count // stack.length("C"))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_of_a_pyramid_lie_on_each_other(tmp_path, require, version):
    zarr = require("zarr")
    labels = np.arange(1100 * 1300, dtype=np.uint32).reshape(1, 1100, 1300)
    stack = LabelStack(labels, "ZYX", (2, 0.5, 0.25), (7, 1, 3), ("um", "um", "um"))
    run(write_label_zarr(tmp_path / "a.zarr", stack, version=version))
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    attributes = dict(group.attrs)
    picture = attributes.get("ome", attributes)["multiscales"][0]
    assert [axis["unit"] for axis in picture["axes"]] == ["micrometer"] * 3
    assert len(picture["datasets"]) == 3
    for level, dataset in enumerate(picture["datasets"]):
        scale, translation = dataset["coordinateTransformations"]
        assert scale["scale"] == [2, 0.5 * 2**level, 0.25 * 2**level]
        assert translation["translation"] == [7, 1, 3]
        step = 2**level
        np.testing.assert_array_equal(group[dataset["path"]][0], labels[0, ::step, ::step])
    name = "zarr.json" if version == "0.5" else ".zattrs"
    assert "image-label" in json.dumps(json.loads((tmp_path / "a.zarr" / name).read_text()))


def test_a_zarr_that_is_there_is_replaced_only_if_asked(tmp_path, require):
    require("zarr")
    path = tmp_path / "a.zarr"
    run(write_label_zarr(path, LabelStack(np.ones((2, 2), int))))
    with pytest.raises(ImageError, match="overwriting"):
        run(write_label_zarr(path, LabelStack(np.full((2, 2), 5))))
    stopped = write_label_zarr(path, LabelStack(np.full((2, 2, 2), 5), "ZYX"), overwrite=True)
    next(stopped)
    stopped.close()
    assert read_label_zarr(path).labels[:].tolist() == [[1, 1], [1, 1]]
    run(write_label_zarr(path, LabelStack(np.full((2, 2), 5)), overwrite=True))
    assert read_label_zarr(path).labels[:].tolist() == [[5, 5], [5, 5]]
    assert [file.name for file in tmp_path.iterdir()] == ["a.zarr"]


def test_a_tiff_is_written_page_by_page_and_whole_or_not_at_all(tmp_path):
    class Planes:
        shape, dtype, asked = (4, 3, 5), np.dtype(np.uint8), 0

        def __getitem__(self, where):
            self.asked += 1
            return np.full((3, 5), where[0], np.uint8)

    planes = Planes()
    writing = write_label_tiff(tmp_path / "a.tif", LabelStack(planes, "ZYX"))
    assert planes.asked == 0
    assert next(writing) == 1
    assert planes.asked == 1
    writing.close()
    assert list(tmp_path.iterdir()) == []
    run(write_label_tiff(tmp_path / "a.tif", LabelStack(planes, "ZYX")))
    assert tifffile.imread(tmp_path / "a.tif").max(axis=(1, 2)).tolist() == [0, 1, 2, 3]


def test_imagej_and_others_see_micrometres_without_ome(tmp_path):
    stack = LabelStack(np.ones((2, 3), int), "YX", (0.5, 0.25), units=("um", "um"))
    run(write_label_tiff(tmp_path / "a.tif", stack))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        across, down = (tags[name].value for name in ("XResolution", "YResolution"))
        assert (across[0] / across[1], down[0] / down[1]) == (40_000, 20_000)
        assert file.is_ome


def test_a_stack_of_imagej_is_read_with_its_voxels(tmp_path):
    labels = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    tifffile.imwrite(
        tmp_path / "a.tif",
        labels,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "TZYX", "unit": "um", "spacing": 1.5, "finterval": 10},
    )
    stack = read_label_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(stack.labels, labels)
    assert (stack.axes, stack.scale) == ("TZYX", (10, 1.5, 0.5, 0.25))
    assert stack.units == ("second", "micrometer", "micrometer", "micrometer")


def test_pages_without_a_word_about_axes_are_a_z_stack(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.ones((3, 4, 5), np.uint8), photometric="minisblack", metadata=None
    )
    stack = read_label_tiff(tmp_path / "a.tif")
    assert (stack.axes, stack.scale, stack.units) == ("ZYX", (1, 1, 1), ("pixel",) * 3)


@pytest.mark.parametrize(
    "text", ["<OME", "<OME></OME>", "<OME><Image/></OME>", '<OME xmlns="x"><Image>7</Image></OME>']
)
def test_damaged_ome_xml_is_named_or_left_out(tmp_path, text):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.ones((4, 5), np.uint8), metadata=None, description=text + "</OME>")
    with contextlib.suppress(ImageError):
        assert read_label_tiff(path).size == (4, 5)


@given(st.integers(0, 500), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_damaged_tiff_is_a_sentence_or_read(tmp_path_factory, at, value):
    path = tmp_path_factory.mktemp("damage") / "a.tif"
    run(write_label_tiff(path, LabelStack(np.arange(12).reshape(3, 4))))
    data = bytearray(path.read_bytes())
    data[at % len(data)] = value
    path.write_bytes(bytes(data))
    with contextlib.suppress(ImageError):
        read_label_tiff(path)


def test_a_tiff_that_says_more_than_it_can_hold_takes_no_memory(tmp_path):
    path = tmp_path / "a.tif"
    run(write_label_tiff(path, LabelStack(np.arange(12).reshape(3, 4))))
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for tag in ("ImageWidth", "ImageLength"):
            data[file.pages[0].tags[tag].valueoffset + 1] = 0xFF  # 65 thousand in place of 3 or 4
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="too few"):
        read_label_tiff(path)


def test_large_stacks_are_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr("sam_plugins.formats.label_tiff._CLASSIC_BYTES", 10)
    run(write_label_tiff(tmp_path / "a.tif", LabelStack(np.ones((2, 3), int))))
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"


@pytest.mark.parametrize(
    ("labels", "axes", "more", "words"),
    [
        (np.ones((2, 2)), "YX", {}, "whole numbers"),
        (np.ones((2, 2), int), "ZYX", {}, "letters"),
        (np.ones((2, 2), int), "YY", {}, "letters"),
        (np.ones((2, 2), int), "ZX", {}, "rows Y"),
        (np.ones((2, 2), int), "PX", {}, "letters"),
        (np.ones((2, 0), int), "YX", {}, "rows Y"),
        (np.ones((2, 2), int), "YX", {"scale": (1, 0)}, "greater than 0"),
        (np.ones((2, 2), int), "YX", {"scale": (1, np.inf)}, "finite"),
        (np.ones((2, 2), int), "YX", {"translate": (1,)}, "translate"),
        (np.ones((2, 2), int), "YX", {"units": ("um",)}, "units"),
    ],
)
def test_what_is_no_stack_of_labels_is_refused(labels, axes, more, words):
    with pytest.raises(ImageError, match=words):
        LabelStack(labels, axes, **more)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_values_that_are_no_labels_are_refused_and_nothing_is_written(tmp_path, value):
    stack = LabelStack(np.full((2, 2), value))
    with pytest.raises(ImageError, match="Labels must be 0"):
        run(write_label_tiff(tmp_path / "a.tif", stack))
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_labels_are_named(tmp_path, require):
    require("zarr")
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((3, 3, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(tmp_path / "float.tif", np.zeros((3, 3), np.float32))
    (tmp_path / "text.tif").write_text("not a picture")
    (tmp_path / "folder.zarr").mkdir()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ImageError):
            (read_label_zarr if path.is_dir() else read_label_tiff)(path)
    with pytest.raises(ImageError, match="does not exist"):
        read_label_zarr(tmp_path / "none.zarr")
    with pytest.raises(ImageError, match=r"\.tif"):
        run(write_label_tiff(tmp_path / "a.png", LabelStack(np.ones((2, 2), int))))
    with pytest.raises(ImageError, match=r"0\.4"):
        run(write_label_zarr(tmp_path / "a.zarr", LabelStack(np.ones((2, 2), int)), version="9"))


def test_planes_come_in_order_with_rows_first():
    labels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    planes = dict(LabelStack(labels, "ZTXY").planes())
    assert list(planes)[:3] == [PlaneIndex(0, 0, 0), PlaneIndex(0, 0, 1), PlaneIndex(1, 0, 0)]
    np.testing.assert_array_equal(planes[PlaneIndex(2, 0, 1)], labels[1, 2].T)


@given(label_stacks(axes=("YX",)))
@settings(max_examples=80)
def test_objects_of_a_plane_are_its_labels(stack):
    plane, rebuilt = stack.plane(PlaneIndex()), np.zeros_like(stack.labels)
    found = list(label_image_objects(plane))
    assert [label for label, _, _ in found] == [n for n in np.unique(plane).tolist() if n]
    for label, crop, (x0, y0, x1, y1) in found:
        assert crop.any(axis=0)[[0, -1]].all()
        assert crop.any(axis=1)[[0, -1]].all()
        rebuilt[y0:y1, x0:x1][crop] = label
    np.testing.assert_array_equal(rebuilt, plane)
