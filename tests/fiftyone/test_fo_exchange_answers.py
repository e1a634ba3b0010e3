"""Tasks of Label Studio, and what people made of them, as its export says it."""

import copy
import json

import numpy as np
import pytest
from exchange_labels import detection, donut, known, picture

from fiftyone_plugin.errors import ExchangeError, FieldError, ReviewError
from fiftyone_plugin.exchange import (
    ExportSettings,
    Format,
    ImportSettings,
    export_masks,
    import_answers,
)
from fiftyone_plugin.quality import LabelRef
from fiftyone_plugin.review import Verdict, decide, undo
from sam_plugins.formats import brush_rle_to_crop, crop_to_brush_rle

SIZE = (40, 60)
MODEL = "nano-abc"


@pytest.fixture
def dataset(fiftyone_here, tmp_path):
    """One picture: four unsure masks, an accepted one and a box."""
    fo = fiftyone_here
    found = fo.Dataset()
    square = np.ones((6, 6))

    def label(x, name, **more):
        return detection(
            fo, square, x, 4, SIZE, label=name, stability_score=0.9, model_id=MODEL, **more
        )

    labels = [
        label(2, "cat", confidence=0.5, tags=["t"]),
        label(12, "dog", confidence=0.25),
        label(22, None),
        detection(fo, donut(), 40, 20, SIZE, label="cat", confidence=0.75),
        label(50, "cat", review="accepted"),
        fo.Detection(label="box", bounding_box=[0, 0, 0.5, 0.5]),
    ]
    path = picture(tmp_path / "in/a picture.png", SIZE)
    found.add_sample(fo.Sample(path, masks=fo.Detections(detections=labels)))
    yield found
    found.delete()


def exported(dataset, tmp_path, **more):
    settings = ExportSettings(
        format=Format.LABEL_STUDIO, label_field="masks", folder=tmp_path / "tasks", **more
    )
    report = export_masks(dataset, settings)
    return report, json.loads((tmp_path / "tasks/tasks.json").read_text())


def submitted(tmp_path, tasks, change=lambda regions: regions, **more):
    """Label Studio's export after somebody has opened each task and submitted it."""
    document = []
    for number, task in enumerate(tasks, 1):
        regions = [
            {**region, "id": f"{region['id']}", "origin": "prediction"}
            for region in copy.deepcopy(task["predictions"][0]["result"])
        ]
        annotation = {"id": number, "result": change(regions), "was_cancelled": False, **more}
        document.append({"id": number, "data": task["data"], "annotations": [annotation]})
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    return path


def back(dataset, path, field="", **more):
    settings = ImportSettings(format=Format.LABEL_STUDIO, source=path, label_field=field, **more)
    report = import_answers(dataset, settings)
    sample = dataset.first()
    sample.reload()
    return report, sample


def region_of(crop, x, y, **more):
    box = (x, y, x + crop.shape[1], y + crop.shape[0])
    value = {"format": "rle", "rle": crop_to_brush_rle(np.asarray(crop, bool), box, SIZE)}
    return {
        "type": "brushlabels",
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "value": value | {"brushlabels": ["bird"]},
        **more,
    }


def test_tasks_ask_about_unsure_masks_and_say_what_they_are(dataset, tmp_path):
    report, (task,) = exported(dataset, tmp_path, image_root=str(tmp_path / "in"))
    assert (report.pictures, report.objects) == (1, 4)
    labels = dataset.first()["masks"].detections
    assert task["data"]["image"] == "/data/local-files/?d=a%20picture.png"
    assert task["data"]["fiftyone_sample"] == dataset.first().id
    assert task["data"]["fiftyone_labels"] == [each.id for each in labels[:4]]
    (prediction,) = task["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.25, "fiftyone masks")
    assert task["data"]["fiftyone_models"] == [MODEL]
    regions = prediction["result"]
    assert [each["id"] for each in regions] == [each.id for each in labels[:4]]
    assert [each.get("score") for each in regions] == [0.5, 0.25, None, 0.75]
    assert [each["value"]["brushlabels"] for each in regions] == [
        ["cat"],
        ["dog"],
        ["object"],
        ["cat"],
    ]
    crop, box = brush_rle_to_crop(regions[3]["value"]["rle"], SIZE)
    assert box == (40, 20, 49, 29)
    assert (crop == donut()).all()
    config = (tmp_path / "tasks/label_config.xml").read_text()
    for name in ("box", "cat", "dog", "object"):
        assert f'<Label value="{name}"/>' in config


def test_pictures_are_copied_where_nothing_serves_them(dataset, tmp_path):
    _, (task,) = exported(dataset, tmp_path, image_prefix="https://pictures.example/")
    assert task["data"]["image"] == "https://pictures.example/images/a%20picture.png"
    assert (tmp_path / "tasks/images/a picture.png").exists()


def test_a_picture_outside_of_the_served_folder_makes_no_task(dataset, tmp_path):
    report, tasks = exported(dataset, tmp_path, image_root=str(tmp_path / "other"))
    assert tasks == []
    assert report.reasons["pictures outside of the folder that Label Studio serves"] == 1


def test_what_is_submitted_unchanged_is_accepted_in_a_new_field(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    before = dataset.first()["masks"].to_dict()
    report, sample = back(dataset, submitted(tmp_path, tasks))
    assert report.label_field == "masks_answers"
    assert (report.accepted, report.corrected, report.rejected, report.added) == (4, 0, 0, 0)
    assert sample["masks"].to_dict() == before
    old, new = sample["masks"].detections, sample["masks_answers"].detections
    assert [each.id for each in new] == [each.id for each in old]
    assert [each.label for each in new] == [each.label for each in old]
    reviews = [each["review"] if each.has_field("review") else None for each in new]
    assert reviews == ["accepted"] * 5 + [None]
    strip = {"review": None, "tags": []}
    assert new[0].tags == ["t", "accepted"]
    assert [each | strip for each in known(sample, "masks_answers", SIZE)] == [
        each | strip for each in known(sample, "masks", SIZE)
    ]


def test_answers_accept_correct_reject_and_add(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    ids = [each.id for each in dataset.first()["masks"].detections]

    def change(regions):
        corrected = region_of(donut(), 30, 30, id=ids[1], origin="prediction-changed")
        emptied = region_of(np.zeros((1, 1)), 0, 0, id=ids[3])
        added = region_of(np.ones((3, 4)), 5, 30, id="Xy_new")
        stranger = {"type": "rectanglelabels", "id": "r", "value": {}}
        return [regions[0], corrected, emptied, added, stranger]

    path = submitted(tmp_path, tasks, change)
    for _ in range(2):  # again is the same
        report, sample = back(dataset, path, overwrite=True)
        counts = (report.accepted, report.corrected, report.rejected, report.added)
        assert counts == (1, 1, 2, 1)
        assert report.reasons["regions that are not drawn with the brush"] == 1
        labels = {each.id: each for each in sample["masks_answers"].detections}
        assert [*labels][:6] == ids
        assert len(labels) == 7
        found = [labels[each] for each in ids]
        reviews = [each["review"] for each in found[:5]]
        assert reviews == ["accepted", "accepted", "rejected", "rejected", "accepted"]
        assert (found[1].label, found[1].confidence) == ("bird", None)
        assert found[1]["area"] == donut().sum()
        assert found[1]["components"] == 2
        assert not found[1].has_field("model_id")
        assert (found[2].mask == 1).all(), "a rejected mask stays as it was"
        (new,) = (each for name, each in labels.items() if name not in ids)
        assert (new.label, new.mask.shape, new["review"]) == ("bird", (3, 4), "accepted")


def test_what_nobody_was_shown_is_not_rejected(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    drawn = region_of(np.ones((3, 4)), 5, 30, id="drawn")
    path = submitted(tmp_path, tasks, lambda regions: [drawn])
    report, _ = back(dataset, path)
    assert (report.accepted, report.rejected, report.added) == (0, 0, 1)
    assert any("without their pre-annotations" in reason for reason in report.reasons)
    path = submitted(tmp_path, tasks, lambda regions: [drawn], parent_prediction=7)
    report, _ = back(dataset, path, overwrite=True)
    assert (report.accepted, report.rejected, report.added) == (0, 4, 1)


def test_in_place_only_with_consent_and_what_was_not_asked_stays(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    path = submitted(tmp_path, tasks, lambda regions: regions[:1])
    with pytest.raises(FieldError, match="agree to replace"):
        back(dataset, path, "masks")
    before = known(dataset.first(), "masks", SIZE)
    report, sample = back(dataset, path, "masks", overwrite=True)
    assert (report.accepted, report.rejected) == (1, 3)
    after = known(sample, "masks", SIZE)
    assert [each["review"] for each in after[:4]] == ["accepted"] + 3 * ["rejected"]
    decided = {"review": 0, "tags": []}
    assert [{**each, **decided} for each in after] == [{**each, **decided} for each in before]
    assert [each.tags for each in sample["masks"].detections[:2]] == [
        ["t", "accepted"],
        ["rejected"],
    ]
    again, sample = back(dataset, path, "masks", overwrite=True)
    assert (again.accepted, again.rejected, again.added) == (1, 3, 0)
    assert known(sample, "masks", SIZE) == after


def test_an_answer_takes_the_place_of_a_decision_and_a_new_mask_of_findings(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    sample = dataset.first()
    rejected, corrected = sample["masks"].detections[:2]
    for each in (rejected, corrected):
        refs = [LabelRef(sample.id, each.id)]
        decide(dataset, "masks", refs, Verdict.ACCEPTED, reviewer="ann")
    sample.reload()
    for each in sample["masks"].detections[:2]:
        each["findings"] = ["leaking"]
    sample.save()

    def change(regions):
        return [region_of(donut(), 30, 30, id=corrected.id, origin="prediction-changed")]

    _, sample = back(dataset, submitted(tmp_path, tasks, change), "masks", overwrite=True)
    found = {each.id: each for each in sample["masks"].detections}
    assert found[rejected.id]["review"] == "rejected"
    assert found[rejected.id].tags == ["t", "rejected"]
    assert found[rejected.id]["findings"] == ["leaking"]
    assert not found[corrected.id].has_field("findings") or not found[corrected.id]["findings"]
    with pytest.raises(ReviewError, match="found none"):
        undo(dataset, "masks", reviewer="ann")
    sample.reload()
    assert sample["masks"].detections[0]["review"] == "rejected"


def test_masks_in_files_come_to_the_new_field_as_files_of_its_own(fiftyone_here, dataset, tmp_path):
    from PIL import Image

    sample = dataset.first()
    file = tmp_path / "mask.png"
    Image.fromarray(donut().astype(np.uint8) * 255).save(file)
    label = sample["masks"].detections[3]
    label.mask, label.mask_path = None, str(file)
    sample.save()
    _, tasks = exported(dataset, tmp_path)
    report, sample = back(
        dataset, submitted(tmp_path, tasks), max_inline_bytes=0, folder=str(tmp_path / "own")
    )
    assert report.accepted == 4
    ids = [each.id for each in sample["masks"].detections]
    moved = next(each for each in sample["masks_answers"].detections if each.id == ids[3])
    assert moved.mask_path.startswith(str(tmp_path / "own"))
    file.unlink()
    assert (moved.get_mask() > 0).tolist() == donut().tolist()
    assert moved["review"] == "accepted"


def test_skipped_and_open_tasks_change_nothing(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    report, sample = back(dataset, submitted(tmp_path, tasks, was_cancelled=True))
    assert (report.unanswered, report.pictures) == (1, 0)
    assert sample["masks_answers"] is None


def test_ground_truth_counts_before_the_last_annotation(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    path = submitted(tmp_path, tasks)
    document = json.loads(path.read_text())
    (annotation,) = document[0]["annotations"]
    document[0]["annotations"] = [
        {**annotation, "updated_at": "2026-01-01", "ground_truth": True},
        {**annotation, "result": [], "updated_at": "2026-02-01", "parent_prediction": 1},
    ]
    path.write_text(json.dumps(document))
    report, _ = back(dataset, path)
    assert (report.accepted, report.rejected) == (4, 0)


def test_a_region_that_cannot_be_read_leaves_its_label_as_it_is(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)

    def change(regions):
        regions[0]["value"]["rle"] = [1, 2, 3]
        regions[1]["original_width"] = 7
        regions[2]["value"] = None
        return [*regions, {"type": "brushlabels", "id": "n", "value": {"rle": "evil"}}]

    report, sample = back(dataset, submitted(tmp_path, tasks, change))
    assert (report.accepted, report.rejected, report.added) == (1, 0, 0)
    assert sum(report.reasons.values()) == 4
    labels = sample["masks_answers"].detections
    assert [each.has_field("review") for each in labels] == [False] * 3 + [True, True, False]


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", '[{"data": {}}]', '[{"data": {"image": "x"}, "annotations": []}]', "["],
)
def test_what_is_no_export_is_refused(dataset, tmp_path, content):
    path = tmp_path / "export.json"
    path.write_text(content)
    with pytest.raises(ExchangeError, match="Expected"):
        back(dataset, path)


def test_a_task_of_another_sample_or_field_costs_no_other(dataset, tmp_path):
    _, tasks = exported(dataset, tmp_path)
    strange = [copy.deepcopy(each) for each in tasks * 4]
    strange[1]["data"]["fiftyone_sample"] = "0" * 24
    strange[2]["data"]["fiftyone_field"] = "filepath"
    strange[3]["data"]["fiftyone_sample"] = {"$gt": ""}
    report, _ = back(dataset, submitted(tmp_path, strange))
    assert (report.pictures, report.unknown, report.failed) == (1, 1, 2)


def test_somebody_who_was_faster_is_not_overwritten(dataset, tmp_path, monkeypatch):
    from fiftyone_plugin.exchange.writing import FieldWriter

    _, tasks = exported(dataset, tmp_path)
    path = submitted(tmp_path, tasks)
    add = FieldWriter.add

    def slow(self, sample_id, *arguments, **more):
        sample = dataset[sample_id]
        sample["masks"].detections[0].label = "edited"
        sample.save()
        return add(self, sample_id, *arguments, **more)

    monkeypatch.setattr(FieldWriter, "add", slow)
    report, sample = back(dataset, path, "masks", overwrite=True)
    assert report.failed == 1
    assert sample["masks"].detections[0].label == "edited"
