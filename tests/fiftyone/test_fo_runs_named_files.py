"""Files of a run that labels name which are not in its field: no deletion or tidying takes them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiftyone_plugin.quality import LabelRef, remove_labels, restore
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


def test_a_corrected_mask_can_be_taken_back_after_the_run_went_on(make_dataset, segmenter, config):
    dataset = make_dataset(1)
    made(dataset, segmenter, config)
    sample = dataset.first()
    label = sample.masks.detections[0]
    crop = np.ones((4, 5), bool)
    refined = Refined(crop=crop, box=(1, 2, 6, 6), score=0.5, answer=0, answers=1)
    corrections = Corrections(dataset, sample.id)
    corrections.replace("masks", label.id, refined, (96, 128), "model")
    made(dataset, segmenter, config)
    corrections.undo()
    assert len(paths(dataset)) == 2
    assert all(path.is_file() for path in paths(dataset))
