"""Measurements against scikit-image on whole volumes, and against what is known by hand."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_stacks import label_stacks, run
from scipy.ndimage import binary_fill_holes
from skimage.measure import regionprops

from sam_plugins.errors import ImageError
from sam_plugins.formats import (
    CocoImage,
    LabelStack,
    from_coco,
    label_image_to_records,
    measure_labels,
    records_to_label_image,
    rle_to_crop,
    to_coco,
    write_measurements,
)


@given(st.integers(0, 2**32), st.sampled_from(["YX", "ZYX", "XZY"]))
@settings(max_examples=40, deadline=None)
def test_objects_measure_what_scikit_image_says(seed, axes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, tuple(rng.integers(1, 6, len(axes)))) * 1000
    image = rng.normal(500, 1, labels.shape)
    scale = tuple(rng.uniform(0.1, 3, len(axes)).tolist())
    translate = tuple(rng.uniform(-5, 5, len(axes)).tolist())
    stack = LabelStack(labels, axes, scale, translate)
    table = run(measure_labels(stack, {"dapi": image}))
    regions = regionprops(labels // 1000, image, spacing=scale)
    assert table["label"].tolist() == [1000 * region.label for region in regions]
    deep = len(axes) == 3
    for row, region in enumerate(regions):

        def of(name, row=row):
            return table[name][row]

        assert of("volume_px" if deep else "area_px") == region.num_pixels
        assert of("volume" if deep else "area") == pytest.approx(region.area)
        assert of("equivalent_diameter") == pytest.approx(region.equivalent_diameter_area)
        values = image[labels == of("label")]
        assert of("dapi_mean") == pytest.approx(values.mean())
        assert of("dapi_std") == pytest.approx(values.std(), abs=1e-9)
        assert (of("dapi_min"), of("dapi_max")) == (values.min(), values.max())
        for at, letter in enumerate(axes.lower()):
            expected = region.centroid[at] + translate[at]
            assert of(f"centroid_{letter}") == pytest.approx(expected)
            box = of(f"bbox_{letter}0_px"), of(f"bbox_{letter}1_px")
            assert box == (region.bbox[at], region.bbox[at + len(axes)])
        if not deep:
            assert of("eccentricity") == pytest.approx(region.eccentricity, abs=1e-6)
            assert of("solidity") == pytest.approx(region.solidity)


@given(label_stacks())
@settings(max_examples=30, deadline=None)
def test_rows_are_objects_at_a_time_and_all_pixels_are_counted(stack):
    *planes, table = measure_labels(stack)
    assert planes == list(range(1, stack.plane_count + 1))
    count = table["volume_px" if "Z" in stack.axes else "area_px"]
    assert count.sum() == np.count_nonzero(stack.labels)
    assert len({len(column) for column in table.values()}) == 1
    keys = [table[name].tolist() for name in ("t", "c", "label") if name in table]
    assert len(set(zip(*keys, strict=True))) == len(count)


def test_a_square_by_hand_in_micrometres(tmp_path):
    labels = np.zeros((1, 8, 8), int)
    labels[0, 2:6, 1:5] = 3
    stack = LabelStack(labels, "TYX", (10, 0.5, 0.5), (0, 1, 2), ("s", "um", "um"))
    image = np.full(labels.shape, 7.0)
    image[0, 2, 1] = np.nan
    table = run(measure_labels(stack, {"=a": image, "none": np.full(labels.shape, np.nan)}))
    write_measurements(tmp_path / "m.csv", table)
    (row,) = csv.DictReader((tmp_path / "m.csv").read_text().splitlines())
    assert row["label"] == "3"
    assert row["t"] == "0"
    assert (float(row["area_px"]), float(row["area"]), row["unit"]) == (16, 4, "micrometer")
    assert (float(row["centroid_x"]), float(row["centroid_y"])) == (2 + 0.5 * 2.5, 1 + 0.5 * 3.5)
    assert float(row["perimeter"]) == 0.5 * float(row["perimeter_px"]) == 6
    assert float(row["'=a_mean"]) == 7
    assert row["none_mean"] == row["none_min"] == row["none_std"] == ""


def test_without_objects_there_is_a_line_of_names(tmp_path):
    table = run(
        measure_labels(LabelStack(np.zeros((2, 3, 3), int), "ZYX"), {"a": np.zeros((2, 3, 3))})
    )
    write_measurements(tmp_path / "m.csv", table)
    (line,) = (tmp_path / "m.csv").read_text().splitlines()
    assert line.startswith("label,volume_px,volume,")


def test_perimeters_of_oblong_pixels_are_not_made_up():
    table = run(measure_labels(LabelStack(np.ones((3, 3), int), "YX", (1, 2))))
    assert np.isnan(table["perimeter"]).all()
    assert (table["perimeter_px"] > 0).all()


def test_a_channel_of_another_shape_is_refused():
    with pytest.raises(ImageError, match="'gfp'"):
        run(measure_labels(LabelStack(np.ones((3, 3), int)), {"gfp": np.ones((3, 4))}))


@given(label_stacks(axes=("YX",)))
@settings(max_examples=50)
def test_labels_are_ids_in_coco_and_come_back(stack):
    labels = stack.labels
    records, numbers = label_image_to_records(labels)
    first = CocoImage(file_name="a.png", size=labels.shape, records=records, labels=numbers)
    document = to_coco([first])
    assert [each["id"] for each in document["annotations"]] == list(numbers)
    (back,) = from_coco(document)
    assert back.labels == numbers == tuple(n for n in np.unique(labels).tolist() if n)
    order = np.array([0, *numbers])
    np.testing.assert_array_equal(order[records_to_label_image(back.records, labels.shape)], labels)
    for record, number in zip(records, numbers, strict=True):
        x, y = record.point_coords
        assert labels[int(y), int(x)] == number


@given(label_stacks(axes=("YX",)))
@settings(max_examples=80, deadline=None)
def test_polygons_of_coco_are_the_same_masks(stack):
    records, _ = label_image_to_records(stack.labels)
    image = CocoImage(file_name="a.png", size=stack.labels.shape, records=records)
    document = to_coco([image], segmentation="polygons")
    (back,) = from_coco(json.loads(json.dumps(document)))
    assert [each.segmentation for each in back.records] == [r.segmentation for r in records]
    for annotation, record in zip(document["annotations"], records, strict=True):
        crop, _ = rle_to_crop(record.segmentation)
        holes = not crop.all() and (binary_fill_holes(crop) != crop).any()
        if not holes:
            assert isinstance(annotation["segmentation"], list)


def test_ids_of_several_planes_stay_unique_and_labels_are_kept():
    records, numbers = label_image_to_records(np.array([[5, 0], [0, 9]]))
    image = CocoImage(file_name="a", size=(2, 2), records=records, labels=numbers)
    document = to_coco([image, image])
    assert [each["id"] for each in document["annotations"]] == [1, 2, 3, 4]
    assert [each["label"] for each in document["annotations"]] == [5, 9, 5, 9]
    assert [found.labels for found in from_coco(document)] == [(5, 9), (5, 9)]


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.full((2, 2), -1), np.zeros(3, int)])
def test_what_is_no_label_image_makes_no_records(labels):
    with pytest.raises(ImageError, match="integers from 0"):
        label_image_to_records(labels)
