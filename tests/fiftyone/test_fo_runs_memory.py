"""What a run remembers of a sample: what was answered is not asked again, nor does it come back."""

from dataclasses import replace
from pathlib import Path

import pytest

from fiftyone_plugin.fields import asked_field
from fiftyone_plugin.labels import shown_by
from fiftyone_plugin.runs import find_run, open_run, work_on
from fiftyone_plugin.runs.reasons import REASONS, Reason, about, bounded, text_of
from fiftyone_plugin.values import Mode, RunConfig

CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
OUTSIDE = [0.1, -2, 0.2, 0.2]
INSIDE = [0.1, 0.1, 0.2, 0.2]


class Counting:
    """A segmenter that counts what it is asked."""

    def __init__(self, segmenter):
        self._segmenter, self.prompts = segmenter, 0

    def __getattr__(self, name):
        return getattr(self._segmenter, name)

    def decode_many(self, embedding, prompts, **options):
        self.prompts += len(prompts)
        return self._segmenter.decode_many(embedding, prompts, **options)


@pytest.fixture
def partial(make_dataset, segmenter, fiftyone_here):
    """A sample with two masks and a box that has none, and its run."""
    dataset = make_dataset(1, boxes=2)
    sample = dataset.first()
    bad = fiftyone_here.Detection(label="x", bounding_box=OUTSIDE)
    sample.boxes.detections.append(bad)
    sample.save()
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    assert work_on(dataset, run, [sample.id], segmenter).partial == 1
    return dataset, sample, run


def mend(sample):
    sample.boxes.detections[2].bounding_box = INSIDE
    sample.save()


def taken_out(dataset, sample, fo):
    dataset.delete_labels(ids=[sample.masks.detections[0].id])


def written_anew(dataset, sample, fo):
    sample.masks = fo.Detections(detections=sample.masks.detections[1:])
    sample.save()


def cleared(dataset, sample, fo):
    dataset.clear_sample_field("masks")


@pytest.mark.parametrize(
    ("way", "left"), [(taken_out, ["disc", "x"]), (written_anew, ["disc", "x"]), (cleared, ["x"])]
)
def test_a_retry_asks_what_failed_and_brings_nothing_back(
    partial, segmenter, fiftyone_here, way, left
):
    dataset, sample, run = partial
    way(dataset, sample, fiftyone_here)
    sample.reload()
    mend(sample)
    counting = Counting(segmenter)
    assert work_on(dataset, run, [sample.id], counting, retry=True).done == 1
    assert counting.prompts == 1
    assert [each.label for each in sample.masks.detections] == left
    assert sample.masks_reason is None
    assert sample[asked_field("masks")] is None
    assert work_on(dataset, run, [sample.id], counting, retry=True).skipped == 1


def test_a_retry_in_vain_remembers_what_it_knew(partial, segmenter, fiftyone_here):
    dataset, sample, run = partial
    taken_out(dataset, sample, fiftyone_here)
    for _ in range(2):
        assert work_on(dataset, run, [sample.id], segmenter, retry=True).partial == 1
        assert len(sample.masks.detections) == 1
        assert "lies outside the picture" in sample.masks_reason
    picture = sample.filepath
    sample.filepath = "/no/such/picture.png"
    sample.save()
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).partial == 1
    sample.filepath = picture
    mend(sample)
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    assert [each.label for each in sample.masks.detections] == ["disc", "x"]


def test_a_label_that_was_drawn_since_is_asked_by_a_retry(partial, segmenter, fiftyone_here):
    dataset, sample, run = partial
    taken_out(dataset, sample, fiftyone_here)
    sample.reload()
    sample.boxes.detections.append(
        fiftyone_here.Detection(label="new", bounding_box=[0.5, 0.5, 0.2, 0.2])
    )
    sample.save()
    assert work_on(dataset, run, [sample.id], segmenter).skipped == 1
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).partial == 1
    assert [each.label for each in sample.masks.detections] == ["disc", "new"]


def test_a_label_that_failed_and_was_deleted_fails_no_more(partial, segmenter):
    dataset, sample, run = partial
    del sample.boxes.detections[2]
    sample.save()
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    assert sample.masks_reason is None
    assert len(sample.masks.detections) == 2


def test_a_box_that_joins_an_answered_point_is_no_second_object(
    make_dataset, segmenter, fiftyone_here
):
    fo = fiftyone_here
    dataset = make_dataset(1, boxes=1)
    sample = dataset.first()
    click = fo.Keypoint(label="click", points=[(0.5, 0.5)], index=7)
    bad = fo.Detection(label="x", bounding_box=OUTSIDE, index=8)
    sample["clicks"] = fo.Keypoints(keypoints=[click])
    sample.boxes.detections = [bad]
    sample.save()
    config = RunConfig(
        mode=Mode.PROMPTS,
        label_field="masks",
        box_field="boxes",
        point_field="clicks",
        link_attribute="index",
    )
    run = open_run(dataset, config, segmenter.info.model_id)
    assert work_on(dataset, run, [sample.id], segmenter).partial == 1
    sample.boxes.detections = [fo.Detection(label="x", bounding_box=INSIDE, index=7)]
    sample.save()
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    assert [each.prompt_id for each in sample.masks.detections] == [click.id]


def test_masks_that_are_files_stay_and_go_with_their_labels(
    make_dataset, segmenter, fiftyone_here, tmp_path
):
    dataset = make_dataset(1, boxes=2)
    sample = dataset.first()
    sample.boxes.detections.append(fiftyone_here.Detection(label="x", bounding_box=OUTSIDE))
    sample.save()
    config = RunConfig(
        **{**CONFIG.to_json(), "mode": Mode.PROMPTS, "max_inline_bytes": 0},
    )
    config = RunConfig.from_json({**config.to_json(), "folder": str(tmp_path / "masks")})
    run = open_run(dataset, config, segmenter.info.model_id)
    work_on(dataset, run, [sample.id], segmenter)
    gone, stays = (Path(each.mask_path) for each in sample.masks.detections)
    dataset.delete_labels(ids=[sample.masks.detections[0].id])
    sample.reload()
    mend(sample)
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    named = [Path(each.mask_path) for each in sample.masks.detections]
    assert len(named) == 2
    assert stays in named
    assert all(path.is_file() for path in named)
    assert not gone.exists()


def test_a_run_that_remembers_nothing_goes_on_with_the_masks_there_are(
    partial, segmenter, fiftyone_here
):
    """As an older version wrote it: no field, and nothing of a view in the record."""
    dataset, sample, run = partial
    dataset.delete_sample_field(asked_field("masks"))
    record = dataset.get_run_info(run.run_id).config
    del record.shown
    dataset.update_run_config(run.run_id, record)
    assert find_run(dataset, run.run_id) == run
    sample.masks.detections[0].tags.append("seen")
    sample.save()
    mend(sample)
    counting = Counting(segmenter)
    assert work_on(dataset, run, [sample.id], counting, retry=True).done == 1
    assert counting.prompts == 1
    assert [each.label for each in sample.masks.detections] == ["disc", "disc", "x"]
    assert "seen" in sample.masks.detections[0].tags
    assert dataset.has_sample_field(asked_field("masks"))


def test_a_patch_that_was_searched_is_not_searched_again(
    make_dataset, segmenter, fiftyone_here, monkeypatch
):
    from fiftyone_plugin.masking import everything
    from sam_plugins.errors import ImageError

    dataset = make_dataset(1, boxes=2)
    sample = dataset.first()
    for label in sample.boxes.detections:
        x, y, width, height = label.bounding_box
        label.bounding_box = [x - width / 2, y - height / 2, 2 * width, 2 * height]
    sample.save()
    config = RunConfig(
        mode=Mode.EVERYTHING, label_field="masks", box_field="boxes", points_per_side=8
    )
    run = open_run(dataset, config, segmenter.info.model_id)
    usual, searched = everything._searched, []

    def searching(*arguments):
        searched.append(arguments[4].prompt_id)
        if len(searched) == 2:
            raise ImageError("too small")
        yield from usual(*arguments)

    monkeypatch.setattr(everything, "_searched", searching)
    first, second = (each.id for each in sample.boxes.detections)
    assert work_on(dataset, run, [sample.id], segmenter).partial == 1
    there = {each.id for each in sample.masks.detections}
    assert there
    dataset.delete_labels(ids=[min(there)])
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    assert searched == [first, second, second]
    sample.reload()
    assert {e.id for e in sample.masks.detections if e.prompt_id == first} == there - {min(there)}


def test_why_prompts_have_no_mask_is_said_once_and_no_longer_than_it_is_true(
    make_dataset, segmenter, fiftyone_here
):
    fo = fiftyone_here
    dataset = make_dataset(1, boxes=1)
    sample = dataset.first()
    for tag in "ab":
        sample.boxes.detections.append(
            fo.Detection(label="x", bounding_box=OUTSIDE, tags=[tag, "bad"])
        )
    sample.boxes.detections[0].tags.append("a")
    sample.save()

    def over(tag, **options):
        shown = shown_by(dataset.select_labels(tags=tag, fields="boxes"), CONFIG)
        run = open_run(dataset, CONFIG, segmenter.info.model_id, shown=shown)
        report = work_on(dataset, run, [sample.id], segmenter, **options)
        sample.reload()
        return report

    over("a")
    alone = sample.masks_reason
    assert "lies outside the picture" in alone
    for retry in (False, True, True):
        assert over("b", retry=retry).partial == 1
        assert sample.masks_reason == f"{alone} (2 objects)"
    sample.boxes.detections[1].bounding_box = INSIDE
    sample.save()
    assert over("a", retry=True).partial == 1
    assert sample.masks_reason == alone
    sample.boxes.detections[2].bounding_box = INSIDE
    sample.save()
    assert over("bad", retry=True).done == 1
    assert sample.masks_reason is None


def test_reasons_beyond_those_that_are_kept_are_counted():
    many = [Reason(f"reason {n} " + "long " * 200, frozenset({str(n)})) for n in range(50)]
    kept = bounded([*many, many[0], Reason("", frozenset({"more"}))])
    lines = text_of(kept, counted=True).splitlines()
    assert len(kept) == len(lines) == REASONS + 1
    assert max(map(len, lines)) <= 500
    assert lines[-1] == "... and more reasons, of 31 prompts"
    assert bounded(kept) == kept
    assert text_of(about(kept, {"3"}), counted=True) == lines[3]


def test_masks_that_stay_count_for_what_the_database_holds(
    make_dataset, segmenter, fiftyone_here, tmp_path
):
    """Two masks are all that a document may hold: the third, of a retry, is a file."""
    dataset = make_dataset(1, boxes=2)
    sample = dataset.first()
    sample.boxes.detections.append(fiftyone_here.Detection(label="x", bounding_box=OUTSIDE))
    sample.save()
    most = 0
    for field in ("first", "masks"):
        config = replace(CONFIG, label_field=field, folder=str(tmp_path / field))
        config = replace(config, max_inline_bytes=most or 1 << 20)
        run = open_run(dataset, config, segmenter.info.model_id)
        work_on(dataset, run, [sample.id], segmenter)
        (document,) = dataset._sample_collection.find({})
        labels = document[field]["detections"]
        assert not any(each.get("mask_path") for each in labels)
        most = sum(len(each["mask"]) for each in labels)
    sample.reload()
    mend(sample)
    assert work_on(dataset, run, [sample.id], segmenter, retry=True).done == 1
    assert [bool(each.mask_path) for each in sample.masks.detections] == [False, False, True]
