"""`apply_model` with our model: what FiftyOne's own wrapper loses is not lost."""

import logging

import numpy as np
import pytest
from PIL import Image

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.storage import inline_bytes
from fiftyone_plugin.values import Mode, RunConfig
from sam_plugins import open_segmenter
from sam_plugins.testing import FakeSegmenter


class CountingSegmenter(FakeSegmenter):
    """Counts the pictures it encodes."""

    encoded = 0

    def encode(self, image, *, region=None):
        self.encoded += 1
        return super().encode(image, region=region)


@pytest.fixture
def counting():
    return CountingSegmenter()


@pytest.fixture
def make_model(fiftyone_here, counting):
    from fiftyone_plugin.zoo import SamModel

    def make(**settings):
        config = RunConfig(mode=Mode.EVERYTHING, label_field="", **settings)
        return SamModel(config, counting)

    return make


def masks(sample, field="m"):
    return sample[field].detections


def test_boxes_become_masks_that_know_their_prompt(make_dataset, make_model):
    dataset = make_dataset(3, boxes=3)
    dataset.apply_model(
        make_model(), label_field="m", prompt_field="boxes", batch_size=2, num_workers=2
    )
    for sample in dataset:
        assert len(masks(sample)) == 3
        for found, asked in zip(masks(sample), sample.boxes.detections, strict=True):
            assert found.prompt_id == asked.id
            assert (found.label, found.index, found.group) == ("disc", asked.index, asked.group)
            assert found.mask.dtype == bool


def test_every_mask_has_its_quality_and_where_it_comes_from(make_dataset, fiftyone_here):
    from fiftyone_plugin.zoo import SamModel

    dataset, nano = make_dataset(1), open_segmenter("nano")
    config = RunConfig(mode=Mode.EVERYTHING, label_field="", points_per_side=8)
    dataset.apply_model(SamModel(config, nano), label_field="m", box_field="boxes")
    dataset.apply_model(SamModel(config, nano), label_field="all")
    assert masks(dataset.first(), "all")
    ids = [found.id for name in ("m", "all") for found in masks(dataset.first(), name)]
    assert len(set(ids)) == len(ids)
    for found in (*masks(dataset.first()), *masks(dataset.first(), "all")):
        assert 0 < found.confidence <= 1
        assert 0 <= found.stability_score <= 1
        assert found.area == found.mask.sum()
        assert found.run_id.startswith("sam_")
        assert found.model_id == nano.info.model_id


def test_a_sample_without_boxes_is_done_and_costs_no_other(make_dataset, make_model, counting):
    dataset = make_dataset(8, boxes=1)
    ids = dataset.values("id")
    for number, change in ((0, "empty"), (1, "none"), (4, "empty")):
        sample = dataset[ids[number]]
        if change == "none":
            sample.boxes = None
        else:
            sample.boxes.detections = []
        sample.save()
    dataset.apply_model(
        make_model(), label_field="m", prompt_field="boxes", batch_size=4, skip_failures=False
    )
    assert [len(masks(sample)) for sample in dataset] == [0, 0, 1, 1, 0, 1, 1, 1]
    assert len(dataset.exists("m", False)) == 0
    assert counting.encoded == 5


def test_a_picture_that_cannot_be_read_is_not_done_and_costs_no_other(make_dataset, make_model):
    dataset = make_dataset(4, boxes=1)
    broken = dataset.skip(1).first()
    with open(broken.filepath, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n broken")
    call = {"label_field": "m", "prompt_field": "boxes", "batch_size": 4}
    dataset.apply_model(make_model(), **call)
    assert [sample.m is None for sample in dataset] == [False, True, False, False]
    with pytest.raises(OSError, match="not found"):
        dataset.apply_model(make_model(), skip_failures=False, **call)


def test_a_sample_of_which_no_label_can_be_used_fails(make_dataset, make_model, fiftyone_here):
    dataset = make_dataset(2, boxes=1)
    sample = dataset.first()
    sample.boxes.detections[0].bounding_box = [2, 2, 0.1, 0.1]
    sample.save()
    dataset.apply_model(make_model(), label_field="m", prompt_field="boxes")
    assert [sample.m is None for sample in dataset] == [True, False]


def test_one_bad_label_is_logged_and_costs_no_other(make_dataset, make_model, caplog):
    dataset = make_dataset(1, boxes=3)
    sample = dataset.first()
    sample.boxes.detections[1].bounding_box = [float("nan"), 0, 1, 1]
    sample.save()
    with caplog.at_level(logging.WARNING, "fiftyone_plugin"):
        dataset.apply_model(make_model(), label_field="m", prompt_field="boxes")
    expected = [sample.boxes.detections[i].id for i in (0, 2)]
    assert [found.prompt_id for found in masks(dataset.first())] == expected
    assert sample.id in caplog.text
    assert "four finite numbers" in caplog.text


@pytest.mark.parametrize("left", [-0.2, 0.8])
def test_a_box_over_an_edge_has_a_mask_that_is_its_box(make_dataset, make_model, left):
    dataset = make_dataset(1, boxes=1)
    sample = dataset.first()
    sample.boxes.detections[0].bounding_box = [left, 0.1, 0.4, 0.5]
    sample.save()
    for box_mode in ("keep", "tighten", "expand"):
        dataset.apply_model(make_model(box_mode=box_mode), label_field="m", prompt_field="boxes")
        (found,) = masks(dataset.first())
        x, _, w, h = found.bounding_box
        assert found.mask.shape == (round(h * 96), round(w * 128))
        assert found.mask.any()
        assert x >= 0
        assert x + w <= 1 + 1e-9
        assert mask_of(found, (96, 128))[0].shape == found.mask.shape


def test_points_ask_alone_and_with_boxes(make_dataset, make_model, fiftyone_here):
    fo = fiftyone_here
    dataset = make_dataset(2, boxes=2)
    for sample in dataset:
        sample["clicks"] = fo.Keypoints(
            keypoints=[fo.Keypoint(points=[[0.5, 0.5]], sam_labels=[1], index=0)]
        )
        sample.save()
    dataset.apply_model(make_model(), label_field="alone", prompt_field="clicks")
    dataset.apply_model(
        make_model(link_attribute="index"),
        label_field="both",
        prompt_field="boxes",
        point_prompt_field="clicks",
    )
    for sample in dataset:
        (alone,) = masks(sample, "alone")
        assert alone.prompt_id == sample.clicks.keypoints[0].id
        assert [m.prompt_id for m in masks(sample, "both")] == [
            box.id for box in sample.boxes.detections
        ]


def test_a_turned_picture_has_its_masks_where_it_shows_the_object(
    fiftyone_here, make_model, tmp_path
):
    fo = fiftyone_here
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((60, 40, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    dataset = fo.Dataset()
    box = fo.Detection(bounding_box=[0.5, 0.25, 0.25, 0.5])
    dataset.add_sample(
        fo.Sample(filepath=str(tmp_path / "turned.jpg"), boxes=fo.Detections(detections=[box]))
    )
    dataset.apply_model(
        make_model(box_mode="keep"), label_field="m", prompt_field="boxes", skip_failures=False
    )
    (found,) = masks(dataset.first())
    assert found.mask.shape == (20, 15)
    dataset.delete()


def test_frames_ask_as_samples_do(fiftyone_here, make_model):
    fo = fiftyone_here
    picture = np.zeros((40, 60, 3), np.uint8)
    box = fo.Detection(bounding_box=[0.25, 0.25, 0.5, 0.5])
    asking = fo.Frame(boxes=fo.Detections(detections=[box]))
    outside = fo.Detection(bounding_box=[2, 2, 0.5, 0.5])
    useless = fo.Frame(boxes=fo.Detections(detections=[outside]))
    model = make_model()
    model.needs_fields = {"prompt_field": "frames.boxes"}
    found = model.predict_all([picture] * 3, samples=[asking, useless, fo.Frame()])
    assert [len(each.detections) for each in found] == [1, 0, 0]
    assert found[0].detections[0].prompt_id == box.id


class StillFilm:
    """Three grey frames, in the place of FiftyOne's reader, which needs the program ffmpeg."""

    def __init__(self, path, frames=None):
        self.frame_number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __iter__(self):
        for number in (1, 2, 3):
            self.frame_number = number
            yield np.full((48, 64, 3), 90, np.uint8)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_video_has_masks_in_the_frames_that_ask(
    fiftyone_here, make_model, monkeypatch, batch_size
):
    import fiftyone.core.models as fom

    fo = fiftyone_here
    monkeypatch.setattr(fom.etav, "FFmpegVideoReader", StillFilm)
    film = fo.Sample(filepath="film.mp4", metadata=fo.VideoMetadata(total_frame_count=3))
    box = fo.Detection(bounding_box=[0.25, 0.25, 0.5, 0.5])
    outside = fo.Detection(bounding_box=[2, 2, 0.5, 0.5])
    film.frames[1] = fo.Frame(boxes=fo.Detections(detections=[outside]))
    film.frames[3] = fo.Frame(boxes=fo.Detections(detections=[box]))
    dataset = fo.Dataset()
    try:
        dataset.add_sample(film)
        dataset.apply_model(
            make_model(),
            label_field="frames.m",
            prompt_field="frames.boxes",
            batch_size=batch_size,
            skip_failures=False,
        )
        found = {n: frame.m.detections for n, frame in dataset.first().frames.items()}
        assert {n: len(each) for n, each in found.items()} == {1: 0, 2: 0, 3: 1}
        assert found[3][0].prompt_id == box.id
    finally:
        dataset.delete()


def test_large_masks_become_files_where_there_is_a_folder(make_dataset, make_model, tmp_path):
    dataset = make_dataset(2, boxes=2)
    folder = tmp_path / "masks"
    model = make_model(max_inline_bytes=1, folder=str(folder))
    dataset.apply_model(model, label_field="m", prompt_field="boxes", skip_failures=False)
    for sample in dataset:
        for found in masks(sample):
            assert found.mask is None
            assert found.mask_path.startswith(str(folder))
            crop, _ = mask_of(found, (96, 128))
            assert crop.sum() == found.area


def test_masks_too_large_for_a_document_cost_no_other_sample(make_dataset, make_model, monkeypatch):
    dataset = make_dataset(2, boxes=2)
    first = dataset.first()
    del first.boxes.detections[1]
    first.save()
    dataset.apply_model(make_model(), label_field="before", prompt_field="boxes")
    alone = inline_bytes([each.mask for each in masks(dataset.first(), "before")], 1 << 20)
    monkeypatch.setattr("fiftyone_plugin.zoo.DOCUMENT_LIMIT", alone)
    dataset.apply_model(make_model(), label_field="m", prompt_field="boxes")
    assert [sample.m is None for sample in dataset] == [False, True]
    with pytest.raises(SampleError, match="folder"):
        dataset.apply_model(
            make_model(), label_field="m", prompt_field="boxes", skip_failures=False
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompts": "boxes"},
        {"box_field": "boxes", "box_prompt_field": "boxes"},
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_sample(make_dataset, make_model, wrong):
    dataset = make_dataset(1)
    with pytest.raises(FieldError):
        dataset.apply_model(make_model(), label_field="m", **wrong)
    assert not dataset.has_field("m")
    with pytest.raises(FieldError, match="leave prompt_field"):
        dataset.apply_model(
            make_model(),
            label_field="m",
            box_field="boxes",
            prompt_field="boxes",
            skip_failures=False,
        )
