"""What COCO says beside masks: categories, crowds, scores, attributes; and hostile documents."""

import contextlib
import io
import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools.coco import COCO

from sam_plugins.errors import DatasetError
from sam_plugins.formats import (
    CocoImage,
    coco_categories,
    from_coco,
    label_image_to_records,
    mask_to_rle,
    read_coco,
    read_coco_document,
    rle_to_mask,
    to_coco,
    write_coco,
)
from sam_plugins.types import MaskRecord

NAMES = st.none() | st.sampled_from(("cat", "dog", "ä b", "object"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1e9, 1e9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "score": st.floats(0, 1),
        "iscrowd": st.just(1),
        "attributes": st.dictionaries(st.text(), JSON, max_size=2),
        "holes": st.integers(0, 5),
    },
)


def records_of(*masks):
    return tuple(
        MaskRecord(
            segmentation=mask_to_rle(mask),
            box=record.box,
            area=record.area,
            predicted_iou=0.75,
            stability_score=0.5,
            point_coords=record.point_coords,
            crop_box=record.crop_box,
        )
        for mask in masks
        for record in label_image_to_records(mask.astype(int))[0]
    )


@st.composite
def pictures(draw):
    found = []
    for number in range(draw(st.integers(0, 3))):
        masks = draw(st.lists(hnp.arrays(bool, (5, 6)).filter(lambda mask: mask.any()), max_size=3))
        found.append(
            CocoImage(
                file_name=f"{number}.png",
                size=(5, 6),
                records=records_of(*masks),
                categories=tuple(draw(NAMES) for _ in masks),
                extras=tuple(draw(EXTRAS) for _ in masks),
                about=draw(st.just({}) | st.just({"license": 3, "coco_url": "a"})),
            )
        )
    return found


@given(pictures(), st.sampled_from(("run_lengths", "polygons")))
@settings(deadline=None)
def test_categories_scores_crowds_and_attributes_come_back(images, segmentation):
    document = json.loads(json.dumps(to_coco(images, segmentation=segmentation)))
    for before, after in zip(images, from_coco(document), strict=True):
        expected = asdict(before)
        expected["categories"] = tuple(name or "object" for name in before.categories)
        expected["extras"] = before.extras if any(before.extras) else ()
        assert asdict(after) == expected


def two_pictures():
    first, second = np.zeros((2, 6, 8), bool)
    first[1:4, 2:6] = True
    second[5, 7] = True
    return [
        CocoImage(
            file_name="a.png",
            size=(6, 8),
            records=records_of(first, second),
            categories=("dog", "bird"),
            extras=({"score": 0.9, "attributes": {"run": "r1"}}, {"iscrowd": 1}),
        ),
        CocoImage(
            file_name="sub/b.png", size=(6, 8), records=records_of(first), categories=("cat",)
        ),
    ]


def test_categories_have_the_ids_that_were_asked_for():
    document = to_coco(two_pictures(), categories={7: "cat", 9: "fish"})
    assert coco_categories(document) == {7: "cat", 9: "fish", 10: "dog", 11: "bird"}
    assert [each["category_id"] for each in document["annotations"]] == [10, 11, 7]
    assert coco_categories(to_coco([])) == {1: "object"}
    assert coco_categories({"images": []}) == {}
    with pytest.raises(DatasetError, match="same name"):
        to_coco([], categories={1: "a", 2: "a"})


def test_the_coco_api_reads_categories_crowds_and_masks(tmp_path):
    images = two_pictures()
    write_coco(tmp_path / "a.json", images, categories={3: "dog"})
    with contextlib.redirect_stdout(io.StringIO()):
        api = COCO(tmp_path / "a.json")
    assert [each["name"] for each in api.loadCats(api.getCatIds())] == ["dog", "bird", "cat"]
    crowd = api.getAnnIds(iscrowd=True)
    assert [each["category_id"] for each in api.loadAnns(crowd)] == [4]
    for number, image in enumerate(images, 1):
        found = api.loadAnns(api.getAnnIds(imgIds=[number]))
        for annotation, record in zip(found, image.records, strict=True):
            np.testing.assert_array_equal(
                api.annToMask(annotation).astype(bool), rle_to_mask(record.segmentation)
            )
    assert [asdict(image) for image in read_coco(tmp_path / "a.json")] == [
        asdict(image) for image in images
    ]
    assert coco_categories(read_coco_document(tmp_path / "a.json"))[3] == "dog"


IMAGE = {"id": 1, "file_name": "a.png", "height": 4, "width": 4, "date_captured": "x"}
RLE = {"size": [4, 4], "counts": [1, 2, 13]}


def test_a_foreign_document_keeps_what_it_says():
    document = {
        "images": [IMAGE],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 18, "segmentation": RLE, "iscrowd": 1},
            {"id": 6, "image_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]], "iscrowd": 0},
            {"id": 7, "image_id": 1, "category_id": None, "segmentation": RLE, "score": 0.25},
        ],
    }
    (image,) = from_coco(document)
    assert image.categories == ("dog", None, None)
    assert image.extras == ({"iscrowd": 1}, {}, {"score": 0.25})
    assert image.about == {"date_captured": "x"}
    assert [record.area for record in image.records] == [2, 4, 2]
    assert [record.predicted_iou for record in image.records] == [1.0, 1.0, 0.25]
    del document["categories"]
    assert from_coco(document)[0].categories == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"category_id": 3}, "category 3"),
        ({"category_id": [1]}, "category"),
        ({"image_id": [1]}, "picture"),
        ({"segmentation": [[1, 1, 2, 2]]}, "three corners"),
        ({"segmentation": [[1, 1, 2, 2, 3, 3, 1]]}, "three corners"),
        ({"segmentation": [[0, 0, 1e9, 0, 0, 1]]}, "far outside"),
        ({"segmentation": [[0, 0, float("nan"), 0, 0, 1]]}, "far outside"),
        ({"segmentation": [[0, 0, 1e6, 0, 0, 1] * 5]}, "longer"),
        ({"segmentation": [{"a": 1}]}, "cannot be read"),
        ({"segmentation": []}, "run lengths or polygons"),
        ({"segmentation": {"size": [4, 4], "counts": [2**70]}}, "cannot be read"),
        ({"crop_box": [0, 0, float("inf"), 1]}, "cannot be read"),
        ({"score": None}, "cannot be read"),
    ],
)
def test_hostile_annotations_are_refused(changes, words):
    annotation = {"id": 5, "image_id": 1, "category_id": 1, "segmentation": RLE} | changes
    document = {
        "images": [IMAGE],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [annotation],
    }
    with pytest.raises(DatasetError, match=words):
        from_coco(document)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"images": [], "categories": 3}, "list"),
        ({"images": [], "categories": [{"id": "1", "name": "a"}]}, "whole number"),
        ({"images": [], "categories": [{"id": 1}]}, "name"),
        ({"images": [], "categories": [{"id": 1, "name": "a"}] * 2}, "id 1"),
        ({"images": [IMAGE | {"id": [1]}]}, "needs 'id'"),
        ({"images": [IMAGE | {"height": 0}]}, "0 x 4"),
        ({"images": [IMAGE | {"height": 10**9, "width": 10**9}]}, "pixels"),
        ({"images": [IMAGE | {"height": float("inf")}]}, "needs 'id'"),
    ],
)
def test_hostile_documents_are_refused(document, words):
    with pytest.raises(DatasetError, match=words):
        from_coco(document)


def test_a_small_document_of_a_huge_picture_takes_no_memory_of_its_size():
    side = 65_535
    picture = IMAGE | {"height": side, "width": side}
    full = {"size": [side, side], "counts": [0, side * side]}
    document = {"images": [picture], "annotations": [{"image_id": 1, "segmentation": full}]}
    (record,) = from_coco(document)[0].records
    assert (record.box, record.area) == ((0, 0, side, side), side * side)


def test_reading_is_bounded(tmp_path):
    path = tmp_path / "a.json"
    write_coco(path, two_pictures())
    with pytest.raises(DatasetError, match=r"a\.json.*bytes"):
        read_coco(path, max_bytes=100)
    path.write_text("[" * 100_000)
    with pytest.raises(DatasetError, match=r"a\.json"):
        read_coco(path)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"categories": ("a",)}, "2 records"),
        ({"extras": ({},) * 3}, "2 records"),
        ({"labels": (1,)}, "2 records"),
        ({"extras": ({"bbox": 1}, {})}, "bbox"),
        ({"extras": ({"score": float("nan")}, {})}, "JSON"),
        ({"about": {"width": 1}}, "width"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(tmp_path, fields, words):
    image = two_pictures()[0]
    values = {name: getattr(image, name) for name in CocoImage.__slots__} | fields
    with pytest.raises(DatasetError, match=words):
        write_coco(tmp_path / "a.json", [CocoImage(**values)])
    assert not list(tmp_path.iterdir())
