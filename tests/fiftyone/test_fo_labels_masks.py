"""The pixels of any Detection's mask, and Detections of masks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.labels import detection_of, mask_of
from fiftyone_plugin.values import AskedObject, MaskedObject, Quality
from sam_plugins.types import Prompt

ours = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
KNOWN = Quality(
    predicted_iou=0.75,
    stability_score=0.5,
    area=3,
    components=1,
    holes=0,
    touches_border=False,
    box_iou_before=0.25,
    box_iou_after=None,
    outside_box=0.0,
)


def masked(crop, box, prompt_id="p", **carried):
    asked = AskedObject(prompt_id=prompt_id, prompt=Prompt(box=(0, 0, 2, 2)), carried=carried)
    return MaskedObject(prompt_id=prompt_id, crop=crop, box=box, quality=KNOWN, asked=asked)


@st.composite
def places(draw):
    """A picture, a box of whole pixels in it that likes its edges, and pixels for it."""
    height, width = draw(sizes)
    x0 = draw(st.sampled_from([0, width - 1]) | st.integers(0, width - 1))
    y0 = draw(st.sampled_from([0, height - 1]) | st.integers(0, height - 1))
    x1 = draw(st.just(width) | st.integers(x0 + 1, width))
    y1 = draw(st.just(height) | st.integers(y0 + 1, height))
    seed = draw(st.integers(0, 9))
    crop = np.random.default_rng(seed).random((y1 - y0, x1 - x0)) < 0.5
    return (height, width), (x0, y0, x1, y1), crop


@ours
@given(places())
def test_a_detection_gives_back_the_mask_and_the_box_it_was_made_of(fiftyone_here, place):
    size, box, crop = place
    detection = detection_of(masked(crop, box), size, run_id="r", model_id="m")
    again = mask_of(detection, size)
    assert again is not None
    assert again[1] == box
    assert np.array_equal(again[0], crop)
    assert again[0].dtype == bool


@ours
@given(places())
def test_the_mask_fits_its_box_exactly_where_the_app_stretches_it(fiftyone_here, place):
    (height, width), box, crop = place
    detection = detection_of(masked(crop, box), (height, width), run_id="r", model_id="m")
    x, y, w, h = detection.bounding_box
    assert detection.mask.shape == (round(h * height), round(w * width))
    assert (x, y) == pytest.approx((box[0] / width, box[1] / height), abs=1e-15)
    assert w == pytest.approx((box[2] - box[0]) / width, abs=1e-15)
    assert h == pytest.approx((box[3] - box[1]) / height, abs=1e-15)
    assert x + w <= 1
    assert y + h <= 1


@ours
@given(places())
def test_fiftyone_itself_draws_every_pixel_where_it_is(fiftyone_here, place):
    (height, width), (x0, y0, x1, y1), crop = place
    found = masked(crop, (x0, y0, x1, y1))
    detection = detection_of(found, (height, width), run_id="r", model_id="m")
    drawn = detection.to_segmentation(frame_size=(width, height)).mask
    expected = np.zeros((height, width), bool)
    expected[y0:y1, x0:x1] = crop
    assert np.array_equal(drawn != 0, expected)


@ours
@given(
    sizes,
    st.tuples(*[st.floats(-0.5, 1.2)] * 2, *[st.floats(0.001, 1.5)] * 2),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_a_mask_of_any_shape_over_any_box_is_cut_to_the_picture(fiftyone_here, size, box, shape):
    x, y, w, h = box
    detection = fiftyone_here.Detection(bounding_box=[x, y, w, h], mask=np.ones(shape, np.uint8))
    found = mask_of(detection, size)
    height, width = size
    reaches = x < 1 and y < 1 and x + w > 0 and y + h > 0
    if found is None:
        return
    assert reaches
    crop, (x0, y0, x1, y1) = found
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    assert crop.shape == (y1 - y0, x1 - x0)
    assert crop.all()


@pytest.mark.parametrize(
    ("bounding_box", "expected"),
    [
        ([-0.5, 0, 1, 1], (0, 0, 2, 4)),
        ([0.5, 0, 1, 1], (2, 0, 4, 4)),
        ([0, -0.5, 1, 1], (0, 0, 4, 2)),
        ([0, 0.5, 1, 1], (0, 2, 4, 4)),
    ],
)
def test_over_an_edge_only_the_part_inside_is_kept(fiftyone_here, bounding_box, expected):
    mask = np.arange(16).reshape(4, 4) % 3 == 0
    detection = fiftyone_here.Detection(bounding_box=bounding_box, mask=mask)
    crop, box = mask_of(detection, (4, 4))
    left, top = round(bounding_box[0] * 4), round(bounding_box[1] * 4)
    assert box == expected
    assert np.array_equal(crop, mask[box[1] - top : box[3] - top, box[0] - left : box[2] - left])


def test_a_mask_of_another_resolution_is_stretched_over_its_box(fiftyone_here):
    small = np.array([[1, 0], [0, 1]])
    detection = fiftyone_here.Detection(bounding_box=[0.2, 0.2, 0.4, 0.4], mask=small)
    crop, box = mask_of(detection, (10, 10))
    assert box == (2, 2, 6, 6)
    assert np.array_equal(crop, np.kron(small, np.ones((2, 2))).astype(bool))


@pytest.mark.parametrize("bounding_box", [[0.26, 0.26, 0.5, 0.5], [0.24, 0.24, 0.52, 0.52]])
def test_a_mask_of_a_box_that_was_rounded_keeps_every_pixel(fiftyone_here, bounding_box):
    mask = np.random.default_rng(0).random((5, 5)) < 0.5
    crop, _ = mask_of(fiftyone_here.Detection(bounding_box=bounding_box, mask=mask), (10, 10))
    assert np.array_equal(crop, mask)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16"])
def test_masks_in_files_are_what_is_not_zero(fiftyone_here, tmp_path, mode):
    mask = np.array([[0, 1, 0], [1, 0, 0]])
    if mode == "I;16":
        picture = Image.fromarray((mask * 7).astype(np.uint16))
    elif mode == "RGB":
        picture = Image.fromarray((mask[..., None] * (0, 0, 9)).astype(np.uint8))
    else:
        picture = Image.fromarray((mask * 255).astype(np.uint8)).convert(mode)
    path = tmp_path / "mask.png"
    picture.save(path)
    detection = fiftyone_here.Detection(bounding_box=[0, 0, 0.3, 0.2], mask_path=str(path))
    crop, box = mask_of(detection, (10, 10))
    assert box == (0, 0, 3, 2)
    assert np.array_equal(crop, mask.astype(bool))


def test_nan_is_no_pixel_of_a_mask(fiftyone_here):
    mask = np.full((10, 20), np.nan, np.float32)
    mask[2, 3], mask[4] = 1, 0
    found = mask_of(fiftyone_here.Detection(bounding_box=[0, 0, 0.2, 0.1], mask=mask), (100, 100))
    assert np.argwhere(found[0]).tolist() == [[2, 3]]


def test_what_has_no_mask_or_no_place_has_no_pixels(fiftyone_here):
    fo, mask = fiftyone_here, np.ones((2, 2), bool)
    nowhere = [[2, 2, 0.5, 0.5], [0, 0, 1e308, 1], [float("nan"), 0, 1, 1], [0, 0, 0, 1], []]
    assert mask_of(fo.Detection(bounding_box=[0, 0, 1, 1]), (4, 4)) is None
    for bounding_box in nowhere:
        assert mask_of(fo.Detection(bounding_box=bounding_box, mask=mask), (4, 4)) is None


def test_a_mask_that_cannot_be_read_is_told(fiftyone_here, tmp_path):
    fo, box = fiftyone_here, [0, 0, 1, 1]
    broken, huge = tmp_path / "broken.png", tmp_path / "huge.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    Image.new("1", (6000, 6000)).save(huge)
    for path in (tmp_path / "missing.png", broken, huge, tmp_path, "relative.png"):
        with pytest.raises(SampleError):
            mask_of(fo.Detection(label="a", bounding_box=box, mask_path=str(path)), (8, 8))
    for mask in (np.ones(4), np.ones((0, 3)), np.array([["x"]])):
        with pytest.raises(SampleError):
            mask_of(fo.Detection(bounding_box=box, mask=mask), (8, 8))


def test_writing_twice_writes_the_same_label(fiftyone_here):
    crop, box = np.ones((2, 2), bool), (0, 0, 2, 2)

    def id_of(run="r", prompt="p", sample="s", number=0):
        found = masked(crop, box, prompt)
        return detection_of(
            found, (4, 4), run_id=run, model_id="m", sample_id=sample, number=number
        ).id

    assert id_of() == id_of()
    others = {id_of("r2"), id_of(prompt="q"), id_of(sample="t"), id_of(number=1), id_of()}
    assert len(others) == 5


def test_a_detection_says_what_is_known_of_it(fiftyone_here):
    crop, box = np.ones((2, 2), bool), (0, 0, 2, 2)
    found = masked(crop, box, label="cell", tags=["t"], index=4, area=99)
    detection = detection_of(found, (4, 4), run_id="r", model_id="m", mask_path="/masks/1.png")
    assert (detection.label, detection.tags, detection.index) == ("cell", ["t"], 4)
    assert detection.confidence == 0.75
    assert (detection.prompt_id, detection.run_id, detection.model_id) == ("p", "r", "m")
    assert (detection.stability_score, detection.area, detection.box_iou_before) == (0.5, 3, 0.25)
    assert detection.box_iou_after is None
    assert detection.mask is None
    assert detection.mask_path == "/masks/1.png"
