"""A run taken away: its own labels, files and fields, and nothing that is anybody else's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.quality import LabelRef
from fiftyone_plugin.review import Verdict, decide
from fiftyone_plugin.runs import delete_run, deleting, list_runs, open_run, work_on
from fiftyone_plugin.runs.collection import Documents
from fiftyone_plugin.values import Mode, RunConfig

CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")


def made(dataset, segmenter, config=CONFIG):
    run = open_run(dataset, config, segmenter.info.model_id)
    work_on(dataset, run, dataset.values("id"), segmenter)
    return run


def files_below(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize("inline", [0, 1 << 20])
def test_nothing_is_left_of_it(make_dataset, segmenter, tmp_path, inline):
    dataset = make_dataset(3, boxes=2)
    before = [sample.to_dict() for sample in dataset]
    schema = dict(dataset.get_field_schema())
    folder = tmp_path / "masks"
    run = made(dataset, segmenter, replace(CONFIG, max_inline_bytes=inline, folder=str(folder)))
    assert len(files_below(folder)) == (0 if inline else 6)
    deleted = delete_run(dataset, run.run_id)
    assert (deleted.samples, deleted.labels, deleted.kept) == (3, 6, 0)
    assert deleted.files == (0 if inline else 6)
    assert list(folder.rglob("*")) == []
    assert dataset.get_field_schema().keys() == schema.keys()
    assert list_runs(dataset) == []
    after = [sample.to_dict() for sample in dataset]
    for document in (*before, *after):
        document.pop("last_modified_at")
    assert after == before
    with pytest.raises(RunError, match="found none"):
        delete_run(dataset, run.run_id)


def test_what_people_have_added_or_edited_stays(make_dataset, segmenter, fiftyone_here):
    fo = fiftyone_here
    dataset = make_dataset(2, boxes=3)
    run = made(dataset, segmenter)
    sample, other = dataset
    sample.masks.detections.append(fo.Detection(label="by hand", bounding_box=[0, 0, 0.1, 0.1]))
    renamed, repainted, reviewed = sample.masks.detections[:3]
    renamed.label = "cell"
    mask = repainted.mask.copy()
    mask[0] = ~mask[0]
    repainted.mask = mask
    reviewed.tags.append("accepted")
    reviewed["review"] = "accepted"
    sample.save()
    deleted = delete_run(dataset, run.run_id)
    assert (deleted.labels, deleted.kept) == (4, 2)
    assert [each.label for each in sample.masks.detections] == ["cell", "disc", "by hand"]
    assert (sample.masks.detections[1].mask == mask).all()
    assert all(each.get_attribute_value("run_id", None) is None for each in sample.masks.detections)
    assert other.masks is None
    assert not dataset.has_sample_field("masks_status")
    assert dataset.has_sample_field("masks")


def test_a_mask_file_that_was_painted_on_stays_with_its_label(make_dataset, segmenter, tmp_path):
    dataset = make_dataset(1, boxes=2)
    config = replace(CONFIG, max_inline_bytes=0, folder=str(tmp_path / "masks"))
    run = made(dataset, segmenter, config)
    sample = dataset.first()
    painted, gone = (Path(each.mask_path) for each in sample.masks.detections)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(painted)
    assert delete_run(dataset, run.run_id).kept == 1
    assert [each.mask_path for each in sample.masks.detections] == [str(painted)]
    assert painted.exists()
    assert not gone.exists()


def test_only_files_of_the_run_go(make_dataset, segmenter, tmp_path):
    dataset = make_dataset(1, boxes=1)
    config = replace(CONFIG, max_inline_bytes=0, folder=str(tmp_path / "masks"))
    run = made(dataset, segmenter, config)
    (file,) = files_below(tmp_path / "masks")
    notes = file.with_name("notes.txt")
    notes.write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / file.name
    precious.write_bytes(file.read_bytes())
    file.parent.with_name("link").symlink_to(elsewhere)
    sample = dataset.first()
    sample.masks.detections[0].mask_path = str(precious)
    sample.save()
    deleted = delete_run(dataset, run.run_id)
    assert deleted.files == 1
    assert deleted.kept == 1
    assert files_below(tmp_path / "masks") == [notes]
    assert precious.exists()


def test_edited_labels_survive_a_retry(make_dataset, segmenter, fiftyone_here):
    dataset = make_dataset(1, boxes=2)
    sample = dataset.first()
    bad = fiftyone_here.Detection(label="x", bounding_box=[0.1, -2, 0.2, 0.2])
    sample.boxes.detections.append(bad)
    sample.save()
    run = made(dataset, segmenter)
    by_hand = fiftyone_here.Detection(label="by hand", bounding_box=[0, 0, 0.1, 0.1])
    sample.masks.detections[0].label = "cell"
    sample.masks.detections.append(by_hand)
    sample.boxes.detections[2].bounding_box = [0.1, 0.1, 0.2, 0.2]
    sample.save()
    report = work_on(dataset, run, [sample.id], segmenter, retry=True)
    assert report.done == 1
    labels = [each.label for each in sample.masks.detections]
    assert sorted(labels) == ["by hand", "cell", "disc", "x"]
    assert len({each.id for each in sample.masks.detections}) == 4
    assert delete_run(dataset, run.run_id).kept == 1
    assert sorted(each.label for each in sample.masks.detections) == ["by hand", "cell"]


def test_decisions_survive_a_retry_and_no_mask_is_doubled(make_dataset, segmenter, fiftyone_here):
    dataset = make_dataset(1, boxes=3)
    sample = dataset.first()
    right = list(sample.boxes.detections[0].bounding_box)
    sample.boxes.detections[0].bounding_box = [0.1, -2, 0.2, 0.2]
    sample.save()
    run = made(dataset, segmenter)
    assert sample.masks_status == "partial"
    edited, decided = sample.masks.detections
    edited.label = "cell"
    sample.save()
    decide(dataset, "masks", [LabelRef(sample.id, decided.id)], Verdict.ACCEPTED, reviewer="ann")
    sample.reload()
    sample.masks.detections[1].tags.append("seen")
    sample.boxes.detections[0].bounding_box = right
    sample.save()
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    labels = {each.prompt_id: each for each in sample.masks.detections}
    assert [len(labels), len(sample.masks.detections)] == [3, 3]
    assert labels[edited.prompt_id].label == "cell"
    assert labels[decided.prompt_id].review == "accepted"
    assert {"accepted", "seen"} <= set(labels[decided.prompt_id].tags)


def test_tags_survive_a_retry(make_dataset, segmenter, fiftyone_here):
    dataset = make_dataset(1, boxes=1)
    sample = dataset.first()
    bad = fiftyone_here.Detection(label="x", bounding_box=[0.1, -2, 0.2, 0.2])
    sample.boxes.detections.append(bad)
    sample.save()
    run = made(dataset, segmenter)
    sample.masks.detections[0].tags.append("look again")
    sample.save()
    work_on(dataset, run, [sample.id], segmenter, retry=True)
    assert [each.tags for each in sample.masks.detections] == [["drawn", "look again"]]


def test_a_run_that_is_deleted_while_it_is_worked_on_ends(make_dataset, segmenter, tmp_path):
    dataset = make_dataset(3, boxes=1)
    config = replace(CONFIG, max_inline_bytes=0, folder=str(tmp_path / "masks"))
    run = open_run(dataset, config, segmenter.info.model_id)

    def deleted(now):
        if now.done == 2:
            delete_run(dataset, run.run_id)

    with pytest.raises(RunError, match="was deleted while it was worked on"):
        work_on(dataset, run, dataset.values("id"), segmenter, progress=deleted)
    assert files_below(tmp_path / "masks") == []
    assert not dataset.has_sample_field("masks")
    assert dataset._sample_collection.count_documents({"masks_run": {"$exists": True}}) == 0


def test_two_runs_live_side_by_side(make_dataset, segmenter):
    dataset = make_dataset(2, boxes=2)
    first = made(dataset, segmenter)
    second = made(dataset, segmenter, replace(CONFIG, label_field="more", min_area=1))
    delete_run(dataset, first.run_id)
    assert dataset.count("more.detections") == 4
    assert [each.run_id for each in list_runs(dataset)] == [second.run_id]


@pytest.mark.parametrize("instant", ["take_away", "forget"])
def test_what_another_process_writes_while_it_is_deleted_goes_too(
    make_dataset, segmenter, monkeypatch, instant
):
    dataset = make_dataset(2, boxes=1)
    ids = dataset.values("id")
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    work_on(dataset, run, ids[:1], segmenter)
    place = Documents if instant == "take_away" else deleting
    usual = getattr(place, instant)

    def late(*arguments):
        monkeypatch.setattr(place, instant, usual)
        work_on(dataset, run, ids[1:], segmenter)
        return usual(*arguments)

    monkeypatch.setattr(place, instant, late)
    assert delete_run(dataset, run.run_id).labels == 2
    assert dataset._sample_collection.count_documents({"masks_run": {"$exists": True}}) == 0
    assert not dataset.has_sample_field("masks")
    assert [sample.boxes.detections[0].label for sample in dataset] == ["disc", "disc"]
