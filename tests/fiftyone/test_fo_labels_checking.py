"""Whether a dataset has what a run reads, and room for what it writes."""

import pytest

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels import check_fields, fields_needed
from fiftyone_plugin.values import Mode, RunConfig


def configured(mode=Mode.PROMPTS, label_field="masks", **fields):
    return RunConfig(mode=mode, label_field=label_field, **fields)


@pytest.fixture
def dataset(make_dataset, fiftyone_here):
    fo = fiftyone_here
    dataset = make_dataset(1)
    sample = dataset.first()
    sample["clicks"] = fo.Keypoints(keypoints=[fo.Keypoint(points=[[0.5, 0.5]])])
    sample["kind"] = fo.Classification(label="a")
    sample["single"] = fo.Detection(bounding_box=[0, 0, 1, 1])
    sample["kind_status"] = fo.Classification(label="a")
    sample["text"] = "a"
    sample.save()
    return dataset


@pytest.fixture
def videos(fiftyone_here):
    fo = fiftyone_here
    dataset = fo.Dataset()
    sample = fo.Sample(filepath="film.mp4", shots=fo.Detections())
    sample.frames[1] = fo.Frame(boxes=fo.Detections(detections=[]))
    dataset.add_sample(sample)
    yield dataset
    dataset.delete()


@pytest.mark.parametrize(
    "config",
    [
        configured(box_field="boxes"),
        configured(box_field="single"),
        configured(point_field="clicks"),
        configured(box_field="boxes", point_field="clicks", mask_field="boxes"),
        configured(Mode.EVERYTHING),
        configured(Mode.EVERYTHING, "boxes"),
    ],
)
def test_what_fits_is_taken(dataset, config):
    check_fields(dataset, config)
    check_fields(dataset.limit(1), config)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (configured(), "everything"),
        (configured(box_field="missing"), "missing"),
        (configured(box_field="boxes.detections"), "boxes.detections"),
        (configured(box_field="clicks"), "Keypoints"),
        (configured(point_field="boxes"), "Detections"),
        (configured(mask_field="kind"), "Classification"),
        (configured(box_field="text"), "StringField"),
        (configured(box_field="boxes", label_field="boxes"), "overwritten"),
        (configured(box_field="boxes", label_field="kind"), "Classification"),
        (configured(box_field="boxes", label_field="clicks"), "Keypoints"),
        (configured(box_field="boxes", label_field="single"), "holds Detection"),
        (configured(box_field="boxes", label_field="tags"), "ListField"),
        (configured(box_field="boxes", label_field=""), "letters"),
        (configured(box_field="boxes", label_field="a b"), "letters"),
        (configured(box_field="boxes", label_field="a.b"), "letters"),
        (configured(Mode.VIDEO, box_field="boxes"), "videos"),
    ],
)
def test_what_does_not_fit_is_told_before_any_sample(dataset, config, word):
    with pytest.raises(FieldError, match=word) as told:
        check_fields(dataset, config)
    assert str(told.value).endswith(".")


def test_the_fields_beside_the_labels_must_be_free(dataset):
    dataset.rename_sample_field("kind", "other")
    with pytest.raises(FieldError, match="kind_status"):
        check_fields(dataset, configured(box_field="boxes", label_field="kind"))


def test_a_view_that_hides_a_field_does_not_free_its_name(dataset):
    view = dataset.exclude_fields("kind")
    with pytest.raises(FieldError, match="Classification"):
        check_fields(view, configured(box_field="boxes", label_field="kind"))


def test_fields_of_videos_are_those_of_their_frames(videos):
    for name in ("boxes", "frames.boxes"):
        check_fields(videos, configured(Mode.VIDEO, box_field=name, label_field="frames.m"))
        check_fields(videos, configured(box_field=name, label_field="m"))
    for config, word in (
        (configured(Mode.VIDEO, box_field="shots"), "frames"),
        (configured(Mode.VIDEO, point_field="boxes"), "points alone"),
        (configured(Mode.VIDEO, box_field="boxes", label_field="frames.boxes"), "overwritten"),
    ):
        with pytest.raises(FieldError, match=word):
            check_fields(videos, config)


def test_a_dataset_of_groups_needs_a_slice(fiftyone_here):
    fo = fiftyone_here
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="left")
    group = fo.Group()
    dataset.add_samples(
        [
            fo.Sample(
                filepath=f"{side}.png",
                group=group.element(side),
                boxes=fo.Detections(detections=[]),
            )
            for side in ("left", "right")
        ],
        progress=False,
    )
    try:
        with pytest.raises(FieldError, match="select_group_slices"):
            check_fields(dataset, configured(box_field="boxes"))
        check_fields(dataset.select_group_slices("left"), configured(box_field="boxes"))
    finally:
        dataset.delete()


def test_fields_needed_are_each_named_once():
    config = configured(box_field="boxes", mask_field="boxes", point_field="clicks")
    assert fields_needed(config) == ["boxes", "clicks"]
    assert fields_needed(configured(Mode.EVERYTHING)) == []
    patches = configured(Mode.EVERYTHING, box_field="boxes", point_field="clicks")
    assert fields_needed(patches) == ["boxes"]
    config = configured(Mode.VIDEO, box_field="frames.boxes", mask_field="masks")
    assert fields_needed(config) == ["frames.boxes", "frames.masks"]


def test_what_is_needed_can_be_selected(dataset):
    config = configured(box_field="boxes", point_field="clicks")
    sample = dataset.select_fields(fields_needed(config)).first()
    assert len(sample.boxes.detections) == 2
    assert len(sample.clicks.keypoints) == 1
    assert not sample.has_field("kind")
