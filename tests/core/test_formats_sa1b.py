"""The SA-1B format: exact there and back, published form, and nothing believed of strangers."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from sam_plugins.errors import DatasetError
from sam_plugins.formats import (
    Sa1bImage,
    check_file_name,
    from_sa1b,
    mask_to_rle,
    read_sa1b,
    read_sa1b_folder,
    record_to_published,
    rle_to_box,
    rle_to_mask,
    sa1b_file_name,
    sa1b_files,
    to_sa1b,
    write_sa1b,
    write_sa1b_folder,
)
from sam_plugins.masks import mask_to_box
from sam_plugins.types import MaskRecord

GOLDEN = Path(__file__).parents[1] / "data" / "formats" / "sa_7.json"
KEYS = {
    "id",
    "segmentation",
    "bbox",
    "area",
    "predicted_iou",
    "stability_score",
    "crop_box",
    "point_coords",
}
MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))
SCORES = st.floats(-2, 2)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
EXTRAS = st.dictionaries(st.text().filter(lambda name: name not in KEYS), JSON, max_size=3)


def record_of(mask, iou=0.9, stability=0.97, point=(1.5, 2.0), crop_box=None):
    height, width = mask.shape
    return MaskRecord(
        segmentation=mask_to_rle(mask),
        box=mask_to_box(mask),
        area=int(mask.sum()),
        predicted_iou=iou,
        stability_score=stability,
        point_coords=point,
        crop_box=crop_box or (0, 0, width, height),
    )


def image_of(*masks, **fields):
    records = tuple(record_of(mask) for mask in masks)
    values = {"image_id": 1, "file_name": "sa_1.jpg", "size": masks[0].shape, "records": records}
    return Sa1bImage(**(values | fields))


@st.composite
def images(draw):
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    masks = draw(st.lists(hnp.arrays(bool, (height, width)), max_size=4))
    x0, y0 = draw(st.integers(0, width)), draw(st.integers(0, height))
    crop = (x0, y0, draw(st.integers(x0, width)), draw(st.integers(y0, height)))
    numbers = st.floats(-1e6, 1e6)
    records = tuple(
        record_of(mask, draw(SCORES), draw(SCORES), (draw(numbers), draw(numbers)), crop)
        for mask in masks
    )
    ids = st.lists(
        st.integers(-(2**53), 2**53), min_size=len(masks), max_size=len(masks), unique=True
    )
    return Sa1bImage(
        image_id=draw(st.integers(0, 2**53)),
        file_name=draw(st.sampled_from(["sa_1.jpg", "sub/ä b.png"])),
        size=(height, width),
        records=records,
        ids=tuple(draw(ids)),
        extras=tuple(draw(EXTRAS) for _ in records) if draw(st.booleans()) else (),
        about=draw(st.just({}) | st.just({"split": "train", "tags": ["a", {"b": None}]})),
    )


@given(images())
@settings(max_examples=200, deadline=None)
def test_a_picture_round_trips_exactly(image):
    back = from_sa1b(json.loads(json.dumps(to_sa1b(image), allow_nan=False)))
    expected = image if any(image.extras) else replace(image, extras=())
    assert asdict(back) == asdict(expected)


@given(MASKS)
def test_the_box_of_run_lengths_is_that_of_their_pixels(mask):
    assert rle_to_box(mask_to_rle(mask)) == mask_to_box(mask)


@given(st.lists(hnp.arrays(bool, (9, 13)), min_size=1, max_size=4))
def test_pycocotools_reads_the_same_masks(masks):
    document = json.loads(json.dumps(to_sa1b(image_of(*masks))))
    for mask, annotation in zip(masks, document["annotations"], strict=True):
        rle = annotation["segmentation"]
        np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)
        assert annotation["area"] == coco_mask.area(rle)
        x, y, width, height = coco_mask.toBbox(rle).tolist()
        assert annotation["bbox"] == [x, y, max(width - 1, 0), max(height - 1, 0)]


def test_without_extras_the_form_is_the_published_one():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 6:16] = True
    image = image_of(mask)
    document = to_sa1b(image)
    assert document["image"] == {
        "image_id": 1,
        "width": 20,
        "height": 10,
        "file_name": "sa_1.jpg",
    }
    (annotation,) = document["annotations"]
    assert set(document) == {"image", "annotations"}
    assert set(annotation) == KEYS
    assert annotation["bbox"] == [6, 2, 9, 2]
    assert annotation["crop_box"] == [0, 0, 20, 10]
    assert annotation["point_coords"] == [[1.5, 2.0]]
    published = record_to_published(image.records[0], "coco_rle")
    assert {key: annotation[key] for key in published} == published


def golden():
    first, second = np.zeros((2, 6, 8), bool)
    first[1:5, 2:7] = True
    first[2:4, 3:5] = False
    second[0, 0] = second[5, 7] = True
    records = (
        record_of(first, 0.984375, 0.9765625, (2.5, 1.5)),
        record_of(second, 0.875, 0.953125, (7.0, 5.0), (4, 0, 8, 6)),
    )
    return Sa1bImage(
        image_id=7, file_name="sa_7.jpg", size=(6, 8), records=records, ids=(5317, 5318)
    )


def test_the_golden_file_is_written_and_read(tmp_path):
    write_sa1b(tmp_path / "sa_7.json", golden())
    assert (tmp_path / "sa_7.json").read_bytes() == GOLDEN.read_bytes().rstrip(b"\n")
    assert asdict(read_sa1b(GOLDEN)) == asdict(golden())
    assert os.listdir(tmp_path) == ["sa_7.json"]


def test_plain_run_lengths_and_foreign_boxes_are_read():
    document = to_sa1b(golden())
    first = document["annotations"][0]
    runs = coco_mask.decode(first["segmentation"]).ravel("F")
    edges = np.flatnonzero(np.diff(runs, prepend=0, append=2))
    first["segmentation"]["counts"] = np.diff(edges, prepend=0).tolist()
    first["bbox"] = [2.0, 1.0, 5.0, 4.0]
    first["category_id"] = 3
    back = from_sa1b(document)
    assert list(map(asdict, back.records)) == list(map(asdict, golden().records))
    assert back.extras == ({"category_id": 3}, {})


def test_a_folder_is_written_and_read_one_picture_at_a_time(tmp_path):
    masks = [np.eye(4, 5, k, dtype=bool) for k in range(3)]
    names = ["b/x.png", "b/y.jpg", "a.tif"]
    made = []

    def pictures():
        for number, (mask, name) in enumerate(zip(masks, names, strict=True)):
            made.append(name)
            yield image_of(mask, image_id=number, file_name=name)

    writing = write_sa1b_folder(tmp_path / "out", pictures())
    assert made == []
    assert not (tmp_path / "out").exists()
    assert next(writing) == tmp_path / "out" / "b" / "x.json"
    assert made == ["b/x.png"]
    assert len(list(writing)) == 2
    (tmp_path / "out" / ".half.json").write_text("{")
    found = list(read_sa1b_folder(tmp_path / "out"))
    assert [str(path.relative_to(tmp_path / "out")) for path, _ in found] == [
        "a.json",
        "b/x.json",
        "b/y.json",
    ]
    for _, image in found:
        np.testing.assert_array_equal(
            rle_to_mask(image.records[0].segmentation), masks[image.image_id]
        )


def test_no_picture_of_a_folder_replaces_another(tmp_path):
    one = image_of(np.eye(3, dtype=bool), file_name="a.jpg")
    other = replace(one, file_name="A.png")
    with pytest.raises(DatasetError, match=r"A\.png is there already"):
        list(write_sa1b_folder(tmp_path, [one, other], overwrite=True))
    with pytest.raises(DatasetError, match="allow overwriting"):
        list(write_sa1b_folder(tmp_path, [one]))
    assert list(write_sa1b_folder(tmp_path, [replace(one, image_id=5)], overwrite=True))
    assert read_sa1b(tmp_path / "a.json").image_id == 5


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    image = image_of(np.eye(3, dtype=bool), file_name="sub/new/a.jpg")
    with pytest.raises(DatasetError, match="leads out"):
        list(write_sa1b_folder(tmp_path / "out", [image]))
    assert not os.listdir(tmp_path / "elsewhere")
    assert list(sa1b_files(tmp_path / "out")) == []


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "a\\b.jpg", "C:a.jpg", "a//b.jpg"),
        *("./a.jpg", "a\0.jpg", "a\n.jpg", "x" * 1025, "sub/", "\ud800.jpg", None, 3),
    ],
)
def test_a_name_that_leaves_its_folder_is_refused(name):
    with pytest.raises(DatasetError, match="file name"):
        check_file_name(name)
    document = to_sa1b(golden())
    document["image"]["file_name"] = name
    with pytest.raises(DatasetError, match="file name"):
        from_sa1b(document)


def test_a_document_is_named_like_its_picture():
    assert sa1b_file_name("train/a.b.jpg") == "train/a.b.json"
    assert sa1b_file_name("sa_1.jpg") == "sa_1.json"
    for name in (".a.jpg", "a/.b/c.jpg"):
        with pytest.raises(DatasetError, match="hidden"):
            sa1b_file_name(name)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("id", None, "'id' must be a finite number"),
        ("id", 5318, "same id"),
        ("id", 1.5, "whole"),
        ("segmentation", None, "run lengths"),
        ("segmentation", [[1, 1, 2, 1, 2, 2]], "run lengths"),
        ("segmentation", {"size": [8, 6], "counts": [48]}, r"\[6, 8\]"),
        ("segmentation", {"size": [6, 8], "counts": [47]}, "add up"),
        ("segmentation", {"size": [6, 8], "counts": [2**70]}, "run lengths"),
        ("segmentation", {"size": [6, 8], "counts": "ä"}, "ASCII"),
        ("segmentation", {"size": [6, 8]}, "counts"),
        ("bbox", [1, 2, 3], "list of 4 numbers"),
        ("bbox", [1, 2, -3, 4], "negative"),
        ("bbox", [1, 2, 3, "4"], "finite number"),
        ("area", -1, "negative"),
        ("area", True, "finite number"),
        ("predicted_iou", float("nan"), "finite number"),
        ("stability_score", float("inf"), "finite number"),
        ("stability_score", 10**400, "finite number"),
        ("crop_box", [0, 0, 9, 6], "inside the picture"),
        ("crop_box", [0.5, 0, 1, 1], "whole"),
        ("point_coords", [], "one point"),
        ("point_coords", [[1, 2], [3, 4]], "one point"),
        ("point_coords", [[1]], "2 numbers"),
    ],
)
def test_every_field_of_an_annotation_is_checked(field, value, words):
    document = to_sa1b(golden())
    document["annotations"][0][field] = value
    with pytest.raises(DatasetError, match=words):
        from_sa1b(document)
    if field != "id":
        del document["annotations"][0][field]
        with pytest.raises(DatasetError, match="number 0"):
            from_sa1b(document)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"image": {}},
        {"image": [], "annotations": []},
        {"image": {"image_id": 1, "width": 0, "height": 2, "file_name": "a"}, "annotations": []},
        {"image": {"image_id": 1, "width": "2", "height": 2, "file_name": "a"}, "annotations": []},
        {"image": {"image_id": 1, "width": 2, "height": 2, "file_name": "a"}, "annotations": [1]},
    ],
)
def test_what_is_no_such_document_is_refused(document):
    with pytest.raises(DatasetError):
        from_sa1b(document)


def test_files_are_read_within_bounds_and_named(tmp_path):
    path = tmp_path / "a.json"
    write_sa1b(path, golden())
    size = path.stat().st_size
    assert len(read_sa1b(path, max_bytes=size).records) == 2
    with pytest.raises(DatasetError, match=r"a\.json.*bytes"):
        read_sa1b(path, max_bytes=size - 1)
    for content in (b"{half", b"[" * 100_000, b"\xff\xfe\x00", b"9" * 5000, b""):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.json"):
            read_sa1b(path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DatasetError, match="must be a file"):
        read_sa1b(tmp_path / "pipe.json")
    with pytest.raises(OSError, match="missing"):
        list(read_sa1b_folder(tmp_path / "missing"))


def test_a_small_file_of_a_huge_picture_takes_no_memory_of_its_size():
    side = 65_535
    document = to_sa1b(golden())
    document["image"] |= {"width": side, "height": side}
    full = {"size": [side, side], "counts": [0, side * side]}
    document["annotations"] = [document["annotations"][0] | {"segmentation": full}]
    (record,) = from_sa1b(document).records
    assert (record.box, record.area) == ((0, 0, side, side), side * side)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"file_name": "../a.jpg"}, "file name"),
        ({"ids": (1,)}, "2 records"),
        ({"ids": (1, 1)}, "2 records"),
        ({"extras": ({},)}, "2 records"),
        ({"extras": ({"area": 3}, {})}, "area"),
        ({"extras": ({"a": {1, 2}}, {})}, "JSON"),
        ({"extras": ({"a": float("nan")}, {})}, "JSON"),
        ({"about": {"width": 3}}, "width"),
        ({"size": (8, 6)}, "size of the picture"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(tmp_path, fields, words):
    with pytest.raises(DatasetError, match=words):
        write_sa1b(tmp_path / "a.json", replace(golden(), **fields))
    assert not os.listdir(tmp_path)


def test_scores_that_are_no_numbers_are_not_written():
    image = golden()
    bad = replace(image.records[0], predicted_iou=float("nan"))
    with pytest.raises(DatasetError, match=r"5317.*predicted_iou"):
        to_sa1b(replace(image, records=(bad, image.records[1])))
