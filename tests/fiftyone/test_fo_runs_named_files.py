"""Files of a run that labels name which are not in its field: no deletion or tidying takes them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiftyone_plugin.fields import REPROMPT_STORE
from fiftyone_plugin.quality import LabelRef, purge, refs_of, remove_labels, restore
from fiftyone_plugin.review import Corrections
from fiftyone_plugin.runs import delete_run, open_run, work_on
from fiftyone_plugin.values import Mode, RunConfig
from sam_plugins import Refined

CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes", max_inline_bytes=0)


@pytest.fixture
def config(tmp_path):
    return replace(CONFIG, folder=str(tmp_path / "masks"))


def made(dataset, segmenter, config):
    run = open_run(dataset, config, segmenter.info.model_id)
    work_on(dataset, run, dataset.values("id"), segmenter)
    return run


def paths(dataset, field="masks"):
    dataset.reload()
    return [Path(each) for each in dataset.values(f"{field}.detections.mask_path", unwind=True)]


def test_those_of_a_clone_of_the_dataset_stay(make_dataset, segmenter, config, fiftyone_here):
    dataset = make_dataset(2)
    run = made(dataset, segmenter, config)
    named = paths(dataset)
    clone = dataset.clone()
    try:
        delete_run(clone, run.run_id)
        assert all(path.is_file() for path in named)
        again = dataset.view().clone()
        try:
            delete_run(dataset, run.run_id)
            assert all(path.is_file() for path in paths(again))
        finally:
            again.delete()
    finally:
        clone.delete()


def test_those_of_a_copy_of_the_field_stay(make_dataset, segmenter, config):
    dataset = make_dataset(2)
    run = made(dataset, segmenter, config)
    dataset.clone_sample_field("masks", "backup")
    delete_run(dataset, run.run_id)
    assert len(paths(dataset, "backup")) == 4
    assert all(path.is_file() for path in paths(dataset, "backup"))


def test_those_of_a_renamed_field_stay_when_the_run_goes_on(make_dataset, segmenter, config):
    dataset = make_dataset(2)
    made(dataset, segmenter, config)
    dataset.rename_sample_field("masks", "kept")
    made(dataset, segmenter, config)
    assert len(paths(dataset, "kept")) == 4
    assert all(path.is_file() for path in paths(dataset, "kept"))


def test_removed_labels_come_back_with_their_masks_after_the_run_went_on(
    make_dataset, segmenter, config
):
    dataset = make_dataset(1)
    made(dataset, segmenter, config)
    sample = dataset.first()
    label = sample.masks.detections[0]
    removal = remove_labels(
        dataset, "masks", [LabelRef(sample.id, label.id)], reason="", made_by="ann"
    )
    made(dataset, segmenter, config)
    assert restore(dataset, removal.removal_id).labels == 1
    assert all(path.is_file() for path in paths(dataset))


def test_labels_removed_from_frames_come_back_with_their_masks_after_the_run_went_on(
    make_video, segmenter, config
):
    """A run tidies by videos; a removed label of a frame is remembered by its frame."""
    dataset = make_video({2: [(0, {"index": 1}), (1, {"index": 2})]})
    films = replace(config, mode=Mode.VIDEO, label_field="frames.masks", box_field="frames.boxes")
    made(dataset, segmenter, films)
    named = paths(dataset, "frames.masks")
    assert named
    assert all(path.is_file() for path in named)
    removal = remove_labels(
        dataset, "frames.masks", refs_of(dataset, "frames.masks")[:3], reason="", made_by="ann"
    )
    assert removal.removed == 3
    made(dataset, segmenter, films)
    restore(dataset, removal.removal_id)
    assert sorted(paths(dataset, "frames.masks")) == sorted(named)
    assert all(path.is_file() for path in named)


@pytest.mark.parametrize("older", [False, True])
def test_a_corrected_mask_can_be_taken_back_after_the_run_went_on(
    make_dataset, segmenter, config, older
):
    from fiftyone.operators.store import ExecutionStore

    dataset = make_dataset(1)
    made(dataset, segmenter, config)
    sample = dataset.first()
    label = sample.masks.detections[0]
    crop = np.ones((4, 5), bool)
    refined = Refined(crop=crop, box=(1, 2, 6, 6), score=0.5, answer=0, answers=1)
    corrections = Corrections(dataset, sample.id)
    corrections.replace("masks", label.id, refined, (96, 128), "model")
    if older:  # the record of a version that kept all steps of a sample in one
        of_sample = ExecutionStore.create(f"{REPROMPT_STORE}/{sample.id}", dataset._doc.id)
        (step,) = of_sample.list_keys()
        of_all = ExecutionStore.create(REPROMPT_STORE, dataset._doc.id)
        of_all.set(sample.id, of_sample.get(step))
        of_sample.delete(step)
    made(dataset, segmenter, config)
    corrections.undo()
    assert len(paths(dataset)) == 2
    assert all(path.is_file() for path in paths(dataset))


def without_first(dataset, segmenter, config, inline):
    """A run of which one label was taken out; the run, the removal and the label as it was."""
    run = made(dataset, segmenter, replace(config, max_inline_bytes=inline))
    sample = dataset.first()
    label = sample.masks.detections[0].copy()
    if label.mask_path:
        label.import_mask()
    removal = remove_labels(
        dataset, "masks", [LabelRef(sample.id, sample.masks.detections[0].id)], reason=""
    )
    return run, removal, label


@pytest.mark.parametrize("inline", [0, 1 << 20])
@pytest.mark.parametrize("first", ["restored", "deleted"])
def test_a_removed_label_comes_back_with_its_mask_before_and_after_its_run_is_deleted(
    make_dataset, segmenter, config, inline, first
):
    dataset = make_dataset(1)
    run, removal, label = without_first(dataset, segmenter, config, inline)
    if first == "restored":
        assert restore(dataset, removal.removal_id).labels == 1
        delete_run(dataset, run.run_id)
        assert not dataset.has_sample_field("masks")
        assert [path for path in Path(config.folder).rglob("*") if path.is_file()] == []
        return
    deleted = delete_run(dataset, run.run_id)
    assert (deleted.labels, deleted.files) == (1, 0 if inline else 1)
    assert restore(dataset, removal.removal_id).labels == 1
    (back,) = dataset.first().masks.detections
    if back.mask_path:
        back.import_mask()
    assert (back.mask == label.mask).all()
    assert back.mask.any()


def test_what_was_corrected_is_taken_back_with_its_mask_after_the_run_is_deleted(
    make_dataset, segmenter, config
):
    dataset = make_dataset(1)
    run = made(dataset, segmenter, config)
    sample = dataset.first()
    refined = Refined(crop=np.ones((4, 5), bool), box=(1, 2, 6, 6), score=0.5, answer=0, answers=1)
    corrections = Corrections(dataset, sample.id)
    corrections.replace("masks", sample.masks.detections[0].id, refined, (96, 128), "model")
    delete_run(dataset, run.run_id)
    corrections.undo()
    (path,) = paths(dataset)
    assert path.is_file()


def test_purging_takes_the_files_of_a_deleted_run_and_no_others(make_dataset, segmenter, config):
    dataset = make_dataset(1)
    run, removal, _ = without_first(dataset, segmenter, config, 0)
    clone = dataset.clone()
    try:
        again = remove_labels(
            clone,
            "masks",
            [LabelRef(clone.first().id, clone.first().masks.detections[0].id)],
            reason="",
        )
        delete_run(dataset, run.run_id)
        purge(dataset, removal.removal_id)
        (left,) = [path for path in Path(config.folder).rglob("*") if path.is_file()]
        assert restore(clone, again.removal_id).labels == 1
        assert paths(clone) == [left]
    finally:
        clone.delete()
