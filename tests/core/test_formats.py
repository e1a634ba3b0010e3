"""Masks to files and back: what goes out comes back, and damaged input is named."""

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PillowImage
from pycocotools import mask as coco_mask

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats import (
    CocoImage,
    crop_to_rle,
    from_coco,
    mask_to_rle,
    read_coco,
    read_label_image,
    record_to_published,
    records_to_label_image,
    rle_area,
    rle_to_crop,
    rle_to_mask,
    rle_to_runs,
    runs_to_rle,
    to_coco,
    write_coco,
    write_label_image,
)
from sam_plugins.masks import mask_to_box
from sam_plugins.types import MaskRecord

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))


def record_of(mask, iou=0.9, point=(1.5, 2.0)):
    return MaskRecord(
        segmentation=mask_to_rle(mask),
        box=mask_to_box(mask),
        area=int(mask.sum()),
        predicted_iou=iou,
        stability_score=0.97,
        point_coords=point,
        crop_box=(0, 0, mask.shape[1], mask.shape[0]),
    )


@given(MASKS)
def test_run_lengths_round_trip_exactly_and_agree_with_the_coco_api(mask):
    rle = mask_to_rle(mask)
    assert isinstance(rle["counts"], str)
    np.testing.assert_array_equal(rle_to_mask(rle), mask)
    np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)
    assert rle_area(rle) == mask.sum() == coco_mask.area(rle)


@given(MASKS)
def test_a_crop_and_its_box_are_the_whole_mask(mask):
    crop, box = rle_to_crop(mask_to_rle(mask))
    assert box == mask_to_box(mask)
    assert crop_to_rle(crop, box, mask.shape) == mask_to_rle(mask)


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=40))
def test_long_runs_and_negative_differences_decode(runs):
    height = 7
    runs = [*runs, -sum(runs) % height]
    if not sum(runs):
        runs[-1] += height
    size = [height, sum(runs) // height]
    packed = coco_mask.frPyObjects({"size": size, "counts": runs}, *size)
    expected = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[1], height).T
    np.testing.assert_array_equal(rle_to_mask(packed), expected)
    np.testing.assert_array_equal(rle_to_mask({"size": size, "counts": runs}), expected)


@given(st.lists(st.integers(1, 2**24), min_size=1, max_size=40), st.booleans())
def test_run_lengths_are_compressed_as_the_coco_api_does(runs, starts_with_mask):
    runs = [0, *runs] if starts_with_mask else runs
    size = (sum(runs), 1)
    rle = runs_to_rle(np.array(runs, np.int64), size)
    assert rle["counts"] == coco_mask.frPyObjects({"size": list(size), "counts": runs}, *size)[
        "counts"
    ].decode("ascii")
    assert rle_to_runs(rle).tolist() == runs


def test_run_lengths_of_another_size_are_refused():
    for runs in ([5], [3, 4], [-1, 7], []):
        with pytest.raises(ImageError, match="add up"):
            runs_to_rle(np.array(runs, np.int64), (2, 3))


@given(MASKS, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_crop_is_encoded_as_its_whole_image(mask, left, top, right, bottom):
    height, width = mask.shape
    whole = np.pad(mask, ((top, bottom), (left, right)))
    box = (left, top, left + width, top + height)
    assert crop_to_rle(mask, box, whole.shape) == mask_to_rle(whole)


def test_a_crop_needs_the_shape_of_its_box_inside_the_image():
    crop = np.ones((2, 3), bool)
    assert crop_to_rle(crop, (1, 1, 4, 3), (5, 5))["size"] == [5, 5]
    for box in ((1, 1, 3, 3), (3, 1, 6, 3), (-1, 1, 2, 3)):
        with pytest.raises(ImageError, match="shape of its box"):
            crop_to_rle(crop, box, (5, 5))


def test_a_small_crop_of_a_huge_image_costs_nothing_of_its_size():
    rle = crop_to_rle(np.ones((2, 2), bool), (40_000, 50_000, 40_002, 50_002), (2**16, 2**16 - 1))
    assert rle_area(rle) == 4


def test_the_best_lies_on_top_if_asked():
    large, small = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    small[1:3, 1:3] = True
    records = [record_of(small, iou=0.5), record_of(large, iou=0.6)]
    assert (records_to_label_image(records, (4, 4), best_on_top=True) == 2).all()
    equal = [record_of(large, iou=0.6), record_of(small, iou=0.6)]
    assert (records_to_label_image(equal, (4, 4), best_on_top=True) == 2).sum() == 4


def test_an_unknown_form_of_published_records_is_refused():
    with pytest.raises(ImageError, match="uncompressed_rle"):
        record_to_published(record_of(np.ones((2, 2), bool)), "polygons")


def test_pixels_are_read_column_by_column():
    mask = np.zeros((2, 3), bool)
    mask[:, 1] = True
    assert rle_to_mask({"size": [2, 3], "counts": [2, 2, 2]}).tolist() == mask.tolist()


@given(st.text(max_size=12))
@settings(max_examples=300)
def test_a_foreign_string_is_decoded_whole_or_refused(text):
    rle = {"size": [10, 10], "counts": text}
    try:
        mask = rle_to_mask(rle)
    except ImageError:
        return
    np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [10, 10], "counts": "0"},
        {"size": [10, 10], "counts": ""},
        {"size": [10, 10], "counts": [50, 49]},
        {"size": [10, 10], "counts": [-1, 101]},
        {"size": [10, 10], "counts": [50.0, 50.0]},
        {"size": [10, 10]},
        {"size": [10], "counts": "0"},
        {"size": [0, 10], "counts": ""},
        {"size": [2**17, 2**17], "counts": [2**34]},
        {"counts": "0"},
        "o0",
    ],
)
def test_a_damaged_encoding_is_refused(rle):
    with pytest.raises(ImageError):
        rle_to_mask(rle)


def test_a_mask_without_pixels_is_refused():
    with pytest.raises(ImageError, match="found"):
        mask_to_rle(np.zeros((0, 5), bool))


@given(st.lists(hnp.arrays(bool, (9, 13)), max_size=4), st.floats(0, 1), st.floats(-5, 20))
def test_a_coco_document_round_trips_exactly(masks, iou, x):
    records = tuple(record_of(mask, iou, (x, 3.25)) for mask in masks)
    image = CocoImage(file_name="cells/ä.png", size=(9, 13), records=records)
    empty = CocoImage(file_name="none.png", size=(4, 4), records=())
    document = json.loads(json.dumps(to_coco([image, empty], {"model": "x"})))
    (first, second) = from_coco(document)
    assert (first.file_name, first.size, second.records) == ("cells/ä.png", (9, 13), ())
    for before, after in zip(records, first.records, strict=True):
        for field in MaskRecord.__slots__:
            if field == "box" and before.area == 0:
                continue
            assert getattr(after, field) == getattr(before, field), field


def test_boxes_in_a_coco_document_are_xywh(tmp_path):
    mask = np.zeros((10, 20), bool)
    mask[2:5, 6:16] = True
    path = tmp_path / "coco.json"
    write_coco(path, [CocoImage(file_name="a.png", size=(10, 20), records=(record_of(mask),))])
    (annotation,) = json.loads(path.read_text())["annotations"]
    assert annotation["bbox"] == [6, 2, 10, 3]
    assert annotation["area"] == 30
    assert read_coco(path)[0].records[0].box == (6, 2, 16, 5)
    assert [p.name for p in tmp_path.iterdir()] == ["coco.json"]


def test_polygons_and_plain_run_lengths_of_others_are_read():
    images = [{"id": "a", "file_name": "a.png", "height": 10, "width": 10}]
    polygon = {"image_id": "a", "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]], "score": 0.25}
    plain = {"image_id": "a", "segmentation": {"size": [10, 10], "counts": [10, 20, 70]}}
    document = {"images": images, "annotations": [polygon, plain]}
    first, second = from_coco(document)[0].records
    assert (first.box, first.area, first.predicted_iou) == ((2, 2, 6, 6), 16, 0.25)
    assert first.point_coords == (4.0, 4.0)
    assert (second.box, second.area, second.predicted_iou) == ((1, 0, 3, 10), 20, 1.0)
    assert second.crop_box == (0, 0, 10, 10)


GOOD_IMAGE = {"id": 1, "file_name": "a.png", "height": 4, "width": 4}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "images"),
        ({"images": 3}, "images"),
        ({"images": [{"id": 1}]}, "file_name"),
        ({"images": [GOOD_IMAGE, GOOD_IMAGE]}, "same|Two"),
        ({"images": [GOOD_IMAGE], "annotations": [{"image_id": 2}]}, "2"),
        ({"images": [GOOD_IMAGE], "annotations": ["x"]}, "picture"),
        ({"images": [GOOD_IMAGE], "annotations": [{"id": 7, "image_id": 1}]}, "7 of a.png"),
        (
            {
                "images": [GOOD_IMAGE],
                "annotations": [{"image_id": 1, "segmentation": {"size": [5, 4], "counts": [20]}}],
            },
            "size|for",
        ),
        (
            {"images": [GOOD_IMAGE], "annotations": [{"image_id": 1, "segmentation": [["x"] * 6]}]},
            "cannot be read",
        ),
    ],
)
def test_a_document_that_is_not_coco_says_what_is_wrong(document, words):
    with pytest.raises(DatasetError, match=words):
        from_coco(document)


def test_a_file_that_is_not_json_is_named(tmp_path):
    path = tmp_path / "notes.json"
    path.write_text("{half")
    with pytest.raises(DatasetError, match=r"notes\.json"):
        read_coco(path)


def test_smaller_objects_lie_on_top_whatever_their_order():
    large, small = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
    large[:, :6] = True
    small[2:4, 4:7] = True
    for records in ([record_of(large), record_of(small)], [record_of(small), record_of(large)]):
        labels = records_to_label_image(records, (6, 8))
        small_label = 1 + [r.area for r in records].index(6)
        assert (labels == small_label).tolist() == small.tolist()
        assert (labels == 3 - small_label).tolist() == (large & ~small).tolist()


def test_no_records_make_an_empty_label_image():
    assert records_to_label_image([], (3, 5)).tolist() == np.zeros((3, 5), int).tolist()


def test_a_record_of_another_image_is_refused():
    with pytest.raises(ImageError, match=r"Record 0"):
        records_to_label_image([record_of(np.ones((3, 5), bool))], (5, 3))


@given(
    labels=hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 70)
    ),
    scale=st.sampled_from([1, 900, 60_000_000]),
    suffix=st.sampled_from([".png", ".tif", ".tiff", ".PNG"]),
)
@settings(max_examples=60, deadline=None)
def test_label_images_round_trip_exactly(tmp_path_factory, labels, scale, suffix):
    path = tmp_path_factory.mktemp("labels") / f"a{suffix}"
    labels = labels * scale
    if suffix.lower() == ".png" and labels.max() > 65535:
        with pytest.raises(ImageError, match=r"\.tif"):
            write_label_image(path, labels)
        assert not list(path.parent.iterdir())
        return
    write_label_image(path, labels)
    back = read_label_image(path)
    assert back.dtype == (np.uint16 if labels.max() <= 65535 else np.uint32)
    np.testing.assert_array_equal(back, labels)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "labels", "words"),
    [
        ("a.jpg", np.ones((2, 2), int), "found a.jpg"),
        ("a.png", np.ones((2, 2)), "integers"),
        ("a.png", np.ones((2, 2, 3), int), "integers"),
        ("a.png", np.full((2, 2), -1), "-1"),
    ],
)
def test_what_is_not_a_label_image_is_not_written(tmp_path, name, labels, words):
    with pytest.raises(ImageError, match=words):
        write_label_image(tmp_path / name, labels)


def test_what_is_not_a_label_image_is_not_read(tmp_path):
    PillowImage.new("RGB", (3, 3)).save(tmp_path / "rgb.png")
    tifffile.imwrite(tmp_path / "float.tif", np.zeros((3, 3), np.float32))
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "text.tif").write_text("not a picture")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ImageError, match=path.name):
            read_label_image(path)
