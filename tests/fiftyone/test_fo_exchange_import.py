"""Imports: pictures found by name, and files of strangers."""

import json
import os

import numpy as np
import pytest
from exchange_labels import detection, donut, known, picture

from fiftyone_plugin.errors import ExchangeError, FieldError
from fiftyone_plugin.exchange import (
    ExportSettings,
    Format,
    ImportSettings,
    export_masks,
    import_as_dataset,
    import_masks,
)
from sam_plugins.formats import mask_to_rle

SIZE = (40, 60)


@pytest.fixture
def dataset(fiftyone_here, tmp_path):
    fo = fiftyone_here
    found = fo.Dataset()
    paths = [picture(tmp_path / "in" / name, SIZE) for name in ("a.png", "one/b.png", "two/b.png")]
    found.add_samples([fo.Sample(path) for path in paths], progress=False)
    yield found
    found.delete()


def whole(x=3, y=5):
    mask = np.zeros(SIZE, bool)
    mask[y : y + 9, x : x + 9] = donut()
    return mask


def coco(images, annotations):
    return {
        "images": [
            {"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1], **more}
            for number, (name, more) in enumerate(images, 1)
        ],
        "categories": [{"id": 7, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": image, "category_id": 7, "segmentation": mask_to_rle(whole())}
            | more
            for n, (image, more) in enumerate(annotations, 1)
        ],
    }


def read(dataset, tmp_path, document, **more):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(document))
    return import_masks(
        dataset,
        ImportSettings(format=Format.COCO, source=path, label_field="got", **more),
    )


def test_pictures_are_found_by_name_and_the_rest_is_told(dataset, tmp_path):
    images = [("x/a.png", {}), ("b.png", {}), ("two/b.png", {}), ("zebra.png", {})]
    document = coco(images, [(1, {}), (2, {}), (3, {"score": 0.25}), (4, {})])
    report = read(dataset, tmp_path, document)
    assert (report.pictures, report.objects) == (2, 2)
    assert (report.unknown, report.ambiguous, report.failed) == (1, 1, 0)
    assert any("2 of that name" in reason for reason in report.reasons)
    a, one, two = dataset
    assert one["got"] is None
    (label,) = a["got"].detections
    assert (label.label, label.confidence) == ("cat", None)
    assert known(a, "got", SIZE)[0]["pixels"] == whole().tobytes()
    assert two["got"].detections[0].confidence == 0.25


def test_a_picture_of_another_size_is_refused_alone(dataset, tmp_path):
    document = coco([("a.png", {"height": 41}), ("two/b.png", {})], [(1, {}), (2, {})])
    report = read(dataset, tmp_path, document)
    assert (report.pictures, report.failed) == (1, 1)
    assert any("another version" in reason for reason in report.reasons)


HUGE = {"size": [65535, 65535], "counts": [0, 65535 * 65535]}


@pytest.mark.parametrize(
    "damage",
    [
        {"segmentation": HUGE},
        {"segmentation": {"size": list(SIZE), "counts": "\u00e9"}},
        {"segmentation": {"size": list(SIZE), "counts": [1, 2]}},
        {"segmentation": [[0, 0, 1e9, 0, 0, 1e9]]},
        {"segmentation": None},
        {"category_id": 99},
    ],
)
def test_damaged_masks_cost_their_picture_only(dataset, tmp_path, damage):
    document = coco([("a.png", {}), ("two/b.png", {})], [(1, damage), (2, {})])
    report = read(dataset, tmp_path, document)
    assert (report.pictures, report.failed) == (1, 1), report.reasons
    assert dataset.first()["got"] is None


def test_a_hostile_document_sets_no_attribute_that_means_something_else(dataset, tmp_path):
    evil = {
        "mask_path": "/etc/passwd",
        "attributes": {
            "mask_path": "/etc/passwd",
            "mask": [1],
            "_id": "0" * 24,
            "run_id": "sam_0123456789abcdef",
            "$where": "1",
            "a.b": 1,
            "deep": {"a": {"b": 1}},
            "fine": "yes",
            "holes": "many",
        },
        "bounding_box": [0, 0, 9, 9],
        "score": 1e400,
        "tags": ["ok", 3, None],
        "index": 2**70,
    }
    report = read(dataset, tmp_path, coco([("a.png", {})], [(1, evil)]))
    assert report.objects == 1, report.reasons
    (label,) = dataset.first()["got"].detections
    assert label.mask_path is None
    assert label.mask.shape == (9, 9)
    assert (label["fine"], label.tags, label.index, label.confidence) == ("yes", ["ok"], None, None)
    for name in ("run_id", "deep", "holes", "a.b", "$where"):
        assert not label.has_field(name)


def test_attributes_of_another_type_than_the_dataset_declares_are_left_out(dataset, tmp_path):
    typed = [(1, {"colour": "red", "size": 3}), (1, {"colour": 3, "size": 4})]
    read(dataset, tmp_path, coco([("a.png", {})], typed))
    schema = dataset.get_field_schema(flat=True)
    assert "got.detections.size" in schema
    typed = [(1, {"size": "large", "colour": "blue"})]
    read(dataset, tmp_path, coco([("a.png", {})], typed), overwrite=True)
    sample = dataset.first()
    sample.reload()
    (label,) = sample["got"].detections
    assert label["colour"] == "blue"
    assert not label.has_field("size") or label["size"] is None
    label["size"] = 5
    sample.save()


def test_a_sample_id_in_a_document_counts_only_where_its_name_fits(dataset, tmp_path):
    a, one, two = dataset.values("id")
    images = [("a.png", {"sample_id": two}), ("b.png", {"sample_id": one})]
    report = read(dataset, tmp_path, coco(images, [(1, {}), (2, {})]))
    assert report.pictures == 2
    assert dataset[a]["got"] is not None
    assert dataset[one]["got"] is not None
    assert dataset[two]["got"] is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"images": 3}', '{"images": [], "categories": [{}]}', "[" * 10**5]
)
def test_what_is_no_document_is_refused_as_a_whole(dataset, tmp_path, content):
    path = tmp_path / "coco.json"
    path.write_text(content)
    settings = ImportSettings(format=Format.COCO, source=path, label_field="got")
    with pytest.raises(ExchangeError, match="Expected a COCO document"):
        import_masks(dataset, settings)


def test_a_document_that_is_too_large_is_not_read(dataset, tmp_path):
    with pytest.raises(ExchangeError, match="more than 10 bytes"):
        read(dataset, tmp_path, coco([], []), max_bytes=10)


def test_a_pipe_is_not_opened(dataset, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExchangeError, match="must be a file"):
        import_masks(
            dataset,
            ImportSettings(format=Format.COCO, source=tmp_path / "pipe", label_field="got"),
        )


def test_a_damaged_sa1b_document_costs_no_other(fiftyone_here, dataset, tmp_path):
    fo = fiftyone_here
    sample = dataset.first()
    sample["masks"] = fo.Detections(detections=[detection(fo, donut(), 3, 5, SIZE)])
    sample.save()
    out = tmp_path / "out"
    export_masks(dataset, ExportSettings(format=Format.SA1B, label_field="masks", folder=out))
    (out / "0.json").write_text("{}")
    evil = json.loads((out / "a.json").read_text())
    evil["image"]["file_name"] = "../../in/a.png"
    (out / "1.json").write_text(json.dumps(evil))
    settings = ImportSettings(format=Format.SA1B, source=out, label_field="got")
    report = import_masks(dataset, settings)
    assert (report.pictures, report.failed, report.objects) == (3, 2, 1)


def test_a_field_with_labels_is_replaced_only_with_consent(dataset, tmp_path):
    document = coco([("a.png", {})], [(1, {}), (1, {})])
    read(dataset, tmp_path, document)
    ids = [each.id for each in dataset.first()["got"].detections]
    with pytest.raises(FieldError, match="agree to replace"):
        read(dataset, tmp_path, document)
    read(dataset, tmp_path, document, overwrite=True)
    sample = dataset.first()
    sample.reload()
    assert [each.id for each in sample["got"].detections] == ids
    with pytest.raises(FieldError, match="something else"):
        import_masks(
            dataset,
            ImportSettings(
                format=Format.COCO, source=tmp_path / "coco.json", label_field="filepath"
            ),
        )


def test_large_masks_are_files_and_importing_again_leaves_none_behind(dataset, tmp_path):
    folder = tmp_path / "files"
    document = coco([("a.png", {})], [(1, {}), (1, {})])
    read(dataset, tmp_path, document, max_inline_bytes=0, folder=str(folder))
    before = sorted(folder.rglob("*.png"))
    assert len(before) == 2
    assert known(dataset.first(), "got", SIZE)[1]["pixels"] == whole().tobytes()
    document = coco([("a.png", {})], [(1, {"segmentation": mask_to_rle(~whole())})])
    read(dataset, tmp_path, document, max_inline_bytes=0, folder=str(folder), overwrite=True)
    (after,) = folder.rglob("*.png")
    assert after not in before


def test_no_dataset_is_left_where_its_files_are_wrong(fiftyone_here, tmp_path):
    fo = fiftyone_here
    picture(tmp_path / "in/a.png", SIZE)
    settings = ImportSettings(format=Format.COCO, source=tmp_path / "no.json", label_field="got")
    for folder in (tmp_path / "in", tmp_path / "nowhere"):
        with pytest.raises(ExchangeError, match="Expected a"):
            import_as_dataset("exchange-never", folder, settings)
        assert not fo.dataset_exists("exchange-never")
