"""A run over a dataset: what it writes and leaves, and what a bad sample costs the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiftyone_plugin.errors import FieldError, RunError
from fiftyone_plugin.fields import reason_field, run_field, status_field
from fiftyone_plugin.runs import (
    delete_run,
    find_run,
    list_runs,
    open_run,
    opening,
    retry_view,
    run_counts,
    work_on,
)
from fiftyone_plugin.values import Mode, RunConfig, Status

CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")


def begun(dataset, segmenter, config=CONFIG, **options):
    return open_run(dataset, config, segmenter.info.model_id, **options)


def worked(dataset, segmenter, run, **options):
    return work_on(dataset, run, dataset.values("id"), segmenter, **options)


def test_every_box_has_a_mask_and_the_fields_are_fiftyones_own(make_dataset, segmenter):
    dataset = make_dataset(3, boxes=2)
    run = begun(dataset, segmenter)
    report = worked(dataset, segmenter, run)
    assert (report.done, report.objects, report.failed) == (3, 6, 0)
    for sample in dataset:
        assert sample["masks_status"] == "done"
        assert sample["masks_run"] == run.run_id
        assert sample["masks_reason"] is None
        for asked, got in zip(sample.boxes.detections, sample.masks.detections, strict=True):
            assert got.prompt_id == asked.id
            assert got.label == "disc"
            assert got.tags == ["drawn"]
            assert got.group == asked.group
            assert got.index == asked.index
            assert got.mask.dtype == bool
            assert got.mask.any()
            height, width = got.mask.shape
            assert got.bounding_box[2] * 128 == pytest.approx(width)
            assert got.bounding_box[3] * 96 == pytest.approx(height)
    dataset.reload()
    schema = dataset.get_field_schema(flat=True)
    assert schema["masks"].document_type.__name__ == "Detections"
    assert type(schema["masks.detections.area"]).__name__ == "IntField"
    assert dataset.count("masks.detections") == 6
    assert dataset.bounds("masks.detections.area")[0] > 0
    dataset.first().save()


def test_in_memory_samples_see_what_was_written(make_dataset, segmenter):
    dataset = make_dataset(1)
    sample = dataset.first()
    worked(dataset, segmenter, begun(dataset, segmenter))
    assert len(sample.masks.detections) == 2


def test_bad_samples_cost_the_others_nothing(make_dataset, segmenter, fiftyone_here, tmp_path):
    fo = fiftyone_here
    dataset = make_dataset(8, boxes=2)
    ids = dataset.values("id")
    gone, broken, empty, outside, partial = (dataset[each] for each in ids[:5])
    gone.filepath = str(tmp_path / "no such picture.png")
    Path(tmp_path / "broken.png").write_bytes(b"\x89PNG not a picture")
    broken.filepath = str(tmp_path / "broken.png")
    empty.boxes = fo.Detections()
    outside.boxes.detections = [fo.Detection(label="x", bounding_box=[1.5, 0.1, 0.2, 0.2])]
    partial.boxes.detections.append(fo.Detection(label="x", bounding_box=[0.1, -2, 0.2, 0.2]))
    for sample in (gone, broken, empty, outside, partial):
        sample.save()
    run = begun(dataset, segmenter)
    report = worked(dataset, segmenter, run)
    assert (report.done, report.nothing, report.partial, report.failed) == (3, 1, 1, 3)
    for sample in (gone, broken, outside):
        assert sample.masks_status == "failed"
        assert len(sample.masks_reason) > 20
        assert sample.masks is None
    assert empty.masks_status == "nothing"
    assert empty.masks.detections == []
    assert empty.masks_reason is None
    assert partial.masks_status == "partial"
    assert len(partial.masks.detections) == 2
    assert partial.masks_reason
    assert run_counts(dataset, run.run_id) == {
        Status.DONE: 3,
        Status.NOTHING: 1,
        Status.PARTIAL: 1,
        Status.FAILED: 3,
        None: 0,
    }
    again = set(retry_view(dataset, run.run_id).values("id"))
    assert again == {each.id for each in (gone, broken, outside, partial)}

    good = dataset[ids[5]]
    written = good.last_modified_at
    gone.filepath = good.filepath
    gone.save()
    assert worked(dataset, segmenter, run).skipped == 8
    report = worked(dataset, segmenter, run, retry=True)
    assert (report.done, report.partial, report.failed, report.skipped) == (1, 1, 2, 4)
    assert len(gone.masks.detections) == 2
    assert gone.masks_reason is None
    assert len(partial.masks.detections) == 2
    assert dataset[ids[5]].last_modified_at == written


def test_a_retry_in_vain_keeps_the_masks_there_are(make_dataset, segmenter, fiftyone_here):
    dataset = make_dataset(1, boxes=2)
    sample = dataset.first()
    bad = fiftyone_here.Detection(label="x", bounding_box=[0.1, -2, 0.2, 0.2])
    sample.boxes.detections.append(bad)
    sample.save()
    run = begun(dataset, segmenter)
    worked(dataset, segmenter, run)
    sample.filepath = "/no/such/picture.png"
    sample.save()
    assert worked(dataset, segmenter, run, retry=True).partial == 1
    assert len(sample.masks.detections) == 2
    assert "picture.png" in sample.masks_reason


def test_a_model_that_fails_is_given_up_and_what_was_done_is_written(make_dataset, segmenter):
    class Failing:
        info = segmenter.info
        calls = 0

        def __getattr__(self, name):
            return getattr(segmenter, name)

        def encode(self, image, *, region=None):
            self.calls += 1
            if self.calls > 3:
                raise RuntimeError("the card is gone")
            return segmenter.encode(image)

    dataset = make_dataset(20, boxes=1)
    run = begun(dataset, segmenter)
    with pytest.raises(RunError, match=r"failed on 10 samples in a row.*the card is gone"):
        worked(dataset, Failing(), run)
    counts = run_counts(dataset, run.run_id)
    assert (counts[Status.DONE], counts[Status.FAILED], counts[None]) == (3, 9, 8)
    assert worked(dataset, segmenter, run, retry=True).done == 17


def test_it_stops_between_samples_and_goes_on(make_dataset, segmenter):
    dataset = make_dataset(6, boxes=1)
    run = begun(dataset, segmenter)
    told = []
    report = worked(dataset, segmenter, run, progress=told.append, stop=lambda: len(told) == 2)
    assert report.stopped
    assert report.done == 2
    assert [each.done for each in told] == [1, 2]
    assert told[-1].total == 6
    report = worked(dataset, segmenter, run)
    assert (report.done, report.skipped, report.stopped) == (4, 2, False)


def test_ids_that_are_there_twice_or_not_at_all(make_dataset, segmenter):
    dataset = make_dataset(2, boxes=1)
    run = begun(dataset, segmenter)
    ids = dataset.values("id")
    report = work_on(dataset, run, [*ids, *ids, "f" * 24, "nonsense"], segmenter)
    assert (report.done, report.skipped) == (2, 2)


def test_text_that_means_something_to_mongodb_is_text(make_dataset, segmenter, fiftyone_here):
    dataset = make_dataset(2, boxes=1)
    sample = dataset.first()
    sample.boxes.detections[0].label = "$masks"
    sample.boxes.detections[0]["note"] = "$$ROOT"
    sample.save()
    last = dataset.last()
    last.filepath = "/$filepath.png"
    last.save()
    worked(dataset, segmenter, begun(dataset, segmenter))
    assert sample.masks.detections[0].label == "$masks"
    assert sample.masks.detections[0].note == "$$ROOT"
    assert last.masks_status == "failed"


def test_changed_settings_are_a_new_run_and_are_not_written_into_the_same_field(
    make_dataset, segmenter
):
    dataset = make_dataset(2, boxes=1)
    run = begun(dataset, segmenter)
    assert begun(dataset, segmenter) == run == find_run(dataset, run.run_id)
    other = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes", min_area=9)
    with pytest.raises(RunError, match=r"min_area is 9 and was 0.*name another field"):
        begun(dataset, segmenter, other)
    with pytest.raises(RunError, match="weights are others"):
        open_run(dataset, CONFIG, "another model")
    beside = RunConfig(mode=Mode.PROMPTS, label_field="more", box_field="boxes", min_area=9)
    second = begun(dataset, segmenter, beside)
    assert {each.run_id for each in list_runs(dataset)} == {run.run_id, second.run_id}
    with pytest.raises(RunError, match="Expected the model of the run"):
        work_on(
            dataset,
            open_run(
                dataset,
                CONFIG.__class__(mode=Mode.EVERYTHING, label_field="third"),
                "another model",
            ),
            [],
            segmenter,
        )


def test_labels_of_others_are_not_overwritten_without_consent(
    make_dataset, segmenter, fiftyone_here
):
    dataset = make_dataset(3, boxes=1)
    for sample in dataset:
        own = fiftyone_here.Detection(label="drawn by hand", bounding_box=[0, 0, 0.5, 0.5])
        sample["masks"] = fiftyone_here.Detections(detections=[own])
        sample.save()
    with pytest.raises(FieldError, match="labels in it in 3 samples"):
        begun(dataset, segmenter)
    run = begun(dataset, segmenter, overwrite=True)
    first, second, third = dataset.values("id")
    work_on(dataset, run, [first], segmenter)
    assert [each.label for each in dataset[first].masks.detections] == ["disc"]
    assert [each.label for each in dataset[second].masks.detections] == ["drawn by hand"]
    assert dataset[third].masks_status is None


def test_everything_mode_that_finds_nothing_is_done(make_dataset, segmenter):
    dataset = make_dataset(2)
    config = RunConfig(mode=Mode.EVERYTHING, label_field="masks", points_per_side=4)
    report = worked(dataset, segmenter, begun(dataset, segmenter, config))
    assert report.nothing == 2
    assert dataset.first().masks.detections == []
    assert worked(dataset, segmenter, begun(dataset, segmenter, config)).skipped == 2


def test_consent_replaces_another_run(make_dataset, segmenter):
    dataset = make_dataset(2, boxes=2)
    worked(dataset, segmenter, begun(dataset, segmenter))
    other = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes", min_area=1)
    run = begun(dataset, segmenter, other, overwrite=True)
    assert [each.run_id for each in list_runs(dataset)] == [run.run_id]
    worked(dataset, segmenter, run)
    assert set(dataset.distinct("masks.detections.run_id")) == {run.run_id}


def test_an_empty_field_of_detections_is_free(make_dataset, segmenter, fiftyone_here):
    dataset = make_dataset(1, boxes=1)
    dataset.add_sample_field(
        "masks",
        fiftyone_here.EmbeddedDocumentField,
        embedded_doc_type=fiftyone_here.Detections,
    )
    run = begun(dataset, segmenter)
    worked(dataset, segmenter, run)
    delete_run(dataset, run.run_id)
    assert dataset.has_sample_field("masks")
    assert not dataset.has_sample_field(status_field("masks"))


def test_pictures_of_grouped_samples_are_worked_on_and_other_media_say_why(
    fiftyone_here, make_dataset, segmenter
):
    fo = fiftyone_here
    source = make_dataset(2, boxes=1)
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="left")
    samples = []
    for sample in source:
        group = fo.Group()
        for name in ("left", "right"):
            samples.append(
                fo.Sample(
                    filepath=sample.filepath, boxes=sample.boxes.copy(), group=group.element(name)
                )
            )
        samples.append(fo.Sample(filepath="/no/film.mp4", group=group.element("film")))
    dataset.add_samples(samples, progress=False)
    try:
        ids = [each.id for each in samples]
        run = begun(dataset, segmenter)
        assert run_counts(dataset, run.run_id)[None] == 4
        report = work_on(dataset, run, ids, segmenter)
        assert (report.done, report.failed) == (4, 2)
        counts = run_counts(dataset, run.run_id)
        assert (counts[Status.DONE], counts[Status.FAILED], counts[None]) == (4, 2, 0)
        film = dataset[ids[2]]
        assert film[status_field("masks")] == "failed"
        assert "Expected a picture, found a video" in film[reason_field("masks")]
        assert film[run_field("masks")] == run.run_id
        assert len(dataset[ids[1]].masks.detections) == 1
    finally:
        dataset.delete()


def test_a_damaged_record_is_refused(make_dataset, segmenter):
    dataset = make_dataset(1, boxes=1)
    run = begun(dataset, segmenter)
    record = dataset.get_run_info(run.run_id).config
    record.folder = "/somewhere"
    record.config["min_area"] = 99
    dataset.update_run_config(run.run_id, record)
    with pytest.raises(RunError, match="somebody has changed it"):
        find_run(dataset, run.run_id)
    with pytest.raises(RunError, match="somebody has changed it"):
        begun(dataset, segmenter)
    with pytest.raises(RunError, match="found sam_"):
        find_run(dataset, "sam_0")
    assert np.array_equal(list_runs(dataset), [])


def test_a_record_of_a_view_that_cannot_be_read_stops_no_other_run(make_dataset, segmenter):
    dataset = make_dataset(1, boxes=1)
    run = begun(dataset, segmenter)
    record = dataset.get_run_info(run.run_id).config
    record.shown = {"stages": ['{"_cls": "subprocess.Popen", "kwargs": []}'], "ids": []}
    dataset.update_run_config(run.run_id, record)
    with pytest.raises(RunError, match="to be one of this version, found"):
        find_run(dataset, run.run_id)
    assert list_runs(dataset) == []
    other = open_run(dataset, replace(run.config, label_field="others"), segmenter.info.model_id)
    assert list_runs(dataset) == [other]


def half_a_record(dataset, run, *, doubled):
    """What a kill between FiftyOne's two writes leaves, or two processes at once."""
    import fiftyone.core.odm as foo

    database = foo.get_db_conn()
    query = {"_dataset_id": dataset._doc.id, "key": run.run_id}
    document = database.runs.find_one(query)
    if doubled:
        document.pop("_id")
        database.runs.insert_one(document)
    else:
        database.datasets.update_one({"_id": dataset._doc.id}, {"$set": {"runs": {}}})
    dataset.reload()


@pytest.mark.parametrize("doubled", [False, True])
def test_half_a_record_is_mended_and_doubles_go(make_dataset, segmenter, doubled):
    dataset = make_dataset(1, boxes=1)
    run = begun(dataset, segmenter)
    half_a_record(dataset, run, doubled=doubled)
    assert begun(dataset, segmenter) == run
    assert dataset.list_runs() == [run.run_id]
    half_a_record(dataset, run, doubled=True)
    delete_run(dataset, run.run_id)
    assert list_runs(dataset) == []
    other = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes", min_area=9)
    assert list_runs(dataset) == [] != [begun(dataset, segmenter, other)]
    assert len(list_runs(dataset)) == 1


def test_half_a_record_of_other_settings_owns_the_field(make_dataset, segmenter):
    dataset = make_dataset(1, boxes=1)
    half_a_record(dataset, begun(dataset, segmenter), doubled=False)
    other = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes", min_area=9)
    with pytest.raises(RunError, match="min_area is 9 and was 0"):
        begun(dataset, segmenter, other)


def test_two_that_begin_other_runs_at_once_do_not_both_own_the_field(
    make_dataset, segmenter, monkeypatch
):
    dataset = make_dataset(1, boxes=1)
    other = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes", min_area=9)
    register = opening.register

    def meanwhile(*arguments):
        monkeypatch.setattr(opening, "register", register)
        begun(dataset, segmenter)
        register(*arguments)

    monkeypatch.setattr(opening, "register", meanwhile)
    with pytest.raises(RunError, match="min_area is 9 and was 0"):
        begun(dataset, segmenter, other)
    assert list_runs(dataset) == [begun(dataset, segmenter)]


def test_videos_are_refused_before_any_sample_fails(fiftyone_here, segmenter):
    dataset = fiftyone_here.Dataset()
    dataset.add_sample(fiftyone_here.Sample(filepath="/no/film.mp4"))
    everything = RunConfig(mode=Mode.EVERYTHING, label_field="masks")
    prompts = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
    try:
        for config in (everything, prompts):
            with pytest.raises(FieldError, match="follow objects through them, or sample the"):
                begun(dataset, segmenter, config)
        assert list_runs(dataset) == []
    finally:
        dataset.delete()
