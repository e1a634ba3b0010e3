"""Pictures as they are displayed, and labels that come back from the database as they went."""

import numpy as np
import pytest
from PIL import Image

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.labels import detection_of, mask_of, open_picture, picture_size, read_asked
from fiftyone_plugin.values import MaskedObject, Mode, Quality, RunConfig

HEIGHT, WIDTH = 40, 60
BOX = (10, 5, 25, 17)
CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
AS_STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
"""How a picture lies in a file of each EXIF orientation that displays it upright."""


def found_in(picture, asked, prompt_id):
    """The bright pixels inside the asked box, as a masked object."""
    x0, y0, x1, y1 = (round(float(v)) for v in asked.prompt.box)
    crop = picture[y0:y1, x0:x1, 0] > 128
    quality = Quality(
        predicted_iou=0.5,
        stability_score=0.25,
        area=int(crop.sum()),
        components=1,
        holes=0,
        touches_border=False,
    )
    return MaskedObject(
        prompt_id=prompt_id, crop=crop, box=(x0, y0, x1, y1), quality=quality, asked=asked
    )


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_read_and_masked_as_it_is_displayed(
    fiftyone_here, tmp_path, orientation, ending
):
    fo = fiftyone_here
    upright = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    upright[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    stored = np.ascontiguousarray(AS_STORED[orientation](upright))
    Image.fromarray(stored).save(path, exif=exif, quality=95)
    x0, y0, x1, y1 = BOX
    box = [x0 / WIDTH, y0 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT]
    sample = fo.Sample(
        filepath=str(path),
        boxes=fo.Detections(detections=[fo.Detection(bounding_box=box)]),
    )
    sample.compute_metadata()
    picture = open_picture(sample)
    assert picture.shape[:2] == (HEIGHT, WIDTH)
    if ending == "jpg":  # FiftyOne's metadata know nothing of orientation in other formats.
        assert picture_size(sample) == (HEIGHT, WIDTH)
    (asked,), _ = read_asked(sample, picture.shape[:2], CONFIG)
    detection = detection_of(
        found_in(picture, asked, asked.prompt_id), (HEIGHT, WIDTH), run_id="r", model_id="m"
    )
    crop, found = mask_of(detection, (HEIGHT, WIDTH))
    assert found == BOX
    assert crop.all()


def test_a_picture_that_cannot_be_read_is_told(fiftyone_here, tmp_path):
    fo = fiftyone_here
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    for path in (broken, tmp_path / "missing.png"):
        with pytest.raises(SampleError, match=path.name):
            open_picture(fo.Sample(filepath=str(path)))
    with pytest.raises(SampleError, match="filepath"):
        open_picture(fo.Frame())


def test_the_size_is_known_only_with_metadata(fiftyone_here):
    fo = fiftyone_here
    assert picture_size(fo.Sample(filepath="x.png")) is None
    assert picture_size(fo.Sample(filepath="x.png", metadata=fo.ImageMetadata())) is None
    film = fo.VideoMetadata(frame_width=64, frame_height=48)
    assert picture_size(fo.Sample(filepath="x.mp4", metadata=film)) == (48, 64)
    assert picture_size(fo.Frame()) is None


def test_masks_come_back_from_the_database_as_they_went(make_dataset, fiftyone_here):
    fo = fiftyone_here
    dataset = make_dataset(2, boxes=4)
    instance = fo.Instance()
    went, boxes_before = {}, {}
    for sample in dataset:
        first = sample.boxes.detections[0]
        first.instance = instance
        first["nested"] = fo.DynamicEmbeddedDocument(a=1, b=[1, 2])
        sample.save()
        boxes_before[sample.id] = sample.boxes.to_dict()
        picture = open_picture(sample)
        size = picture.shape[:2]
        assert size == picture_size(sample)
        asked, unanswered = read_asked(sample, size, CONFIG)
        assert not unanswered
        masked = [found_in(picture, each, each.prompt_id) for each in asked]
        went[sample.id] = (size, masked)
        sample["masks"] = fo.Detections(
            detections=[
                detection_of(each, size, run_id="r", model_id="m", sample_id=sample.id)
                for each in masked
            ]
        )
        sample.save()
    dataset.clear_cache()
    for sample in fo.load_dataset(dataset.name):
        sample.reload(hard=True)
        size, masked = went[sample.id]
        assert sample.boxes.to_dict() == boxes_before[sample.id]
        written = sample.masks.detections
        for detection, source, each in zip(written, sample.boxes.detections, masked, strict=True):
            crop, box = mask_of(detection, size)
            assert box == each.box
            assert np.array_equal(crop, each.crop)
            assert detection.prompt_id == source.id
            assert detection.id != source.id
            for name in ("label", "tags", "index", "group"):
                assert detection[name] == source[name]
            again = detection_of(each, size, run_id="r", model_id="m", sample_id=sample.id)
            assert again.to_dict() == detection.to_dict()
        assert written[0].instance.id == instance.id
        assert written[0].nested.b == [1, 2]


def test_frames_of_a_video_ask_and_answer_as_samples_do(fiftyone_here):
    fo = fiftyone_here
    dataset = fo.Dataset()
    sample = fo.Sample(filepath="film.mp4")
    sample.frames[1] = fo.Frame(
        boxes=fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=7)])
    )
    dataset.add_sample(sample)
    try:
        frame = dataset.first().frames[1]
        picture = np.full((8, 8, 3), 255, np.uint8)
        (asked,), _ = read_asked(frame, (8, 8), CONFIG)
        masked = found_in(picture, asked, asked.prompt_id)
        frame["masks"] = fo.Detections(
            detections=[detection_of(masked, (8, 8), run_id="r", model_id="m")]
        )
        frame.save()
        written = dataset.first().frames[1].masks.detections[0]
        assert written.index == 7
        assert mask_of(written, (8, 8))[1] == (0, 0, 4, 4)
    finally:
        dataset.delete()
