"""What a picture's labels ask for becomes masks: boxes, points, masks, and what goes wrong."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_plugin.geometry import whole_box
from fiftyone_plugin.masking import mask_objects
from fiftyone_plugin.values import AskedObject, BoxMode, MaskedObject, Mode, RunConfig, Status
from sam_plugins import load_sample, mask_prompt, open_segmenter
from sam_plugins.errors import ImageError
from sam_plugins.masks import mask_iou, mask_to_box
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.types import Prompt

FAKE = FakeSegmenter()
HEIGHT, WIDTH = 96, 128
PICTURE = sample_image(HEIGHT, WIDTH)


def config(box_mode: BoxMode = BoxMode.TIGHTEN, **changes) -> RunConfig:
    return RunConfig(mode=Mode.PROMPTS, label_field="masks", box_mode=box_mode, **changes)


def boxed(box, name="a", **carried) -> AskedObject:
    box = tuple(float(value) for value in box)
    return AskedObject(prompt_id=name, prompt=Prompt(box=box), given_box=box, carried=carried)


def whole(found: MaskedObject, size=(HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(size, bool)
    x0, y0, x1, y1 = found.box
    mask[y0:y1, x0:x1] = found.crop
    return mask


def disc(y, x, radius, size=(HEIGHT, WIDTH)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.hypot(rows - y, columns - x) <= radius


def test_each_object_has_its_mask_in_the_order_of_asking():
    asked = [boxed((10 + 5 * i, 10, 40 + 5 * i, 50), f"box {i}") for i in range(5)]
    answer = mask_objects(FAKE, PICTURE, asked, config())
    assert [one.prompt_id for one in answer.objects] == [f"box {i}" for i in range(5)]
    assert answer.status is Status.DONE
    assert answer.size == (HEIGHT, WIDTH)
    for one, origin in zip(answer.objects, asked, strict=True):
        assert one.asked is origin
        assert one.quality.predicted_iou == pytest.approx(0.9, abs=0.1)
        assert 0 < one.quality.stability_score <= 1
        assert one.quality.area == np.count_nonzero(one.crop)


def test_nothing_asked_is_nothing_to_do_and_costs_no_encoding():
    def encode(*_args, **_named):
        raise AssertionError("encoded")

    segmenter = FakeSegmenter()
    segmenter.encode = encode
    answer = mask_objects(segmenter, PICTURE, [], config())
    assert answer.status is Status.NOTHING


def test_what_is_no_picture_is_refused():
    with pytest.raises(ImageError, match="uint8"):
        mask_objects(FAKE, PICTURE.astype(float), [boxed((0, 0, 9, 9))], config())


boxes = st.tuples(
    st.floats(-20, WIDTH - 3), st.floats(-20, HEIGHT - 3), st.floats(4, 90), st.floats(4, 90)
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(st.lists(boxes, min_size=1, max_size=4), st.sampled_from(BoxMode))
@settings(max_examples=60, deadline=None)
def test_a_mask_has_the_shape_of_its_box_inside_the_picture(given_boxes, mode):
    """D3 and D5 of the procedures this replaces: boxes over an edge, last rows and columns."""
    asked = [boxed(box, str(i)) for i, box in enumerate(given_boxes)]
    answer = mask_objects(FAKE, PICTURE, asked, config(mode))
    assert len(answer.objects) + len(answer.unanswered) == len(asked)
    for one in answer.objects:
        x0, y0, x1, y1 = one.box
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        assert one.crop.shape == (y1 - y0, x1 - x0)
        assert one.crop.dtype == bool
        assert one.crop.any()
        if mode is BoxMode.KEEP:
            assert one.box == whole_box(one.asked.given_box, (HEIGHT, WIDTH))
        else:
            assert mask_to_box(one.crop) == (0, 0, x1 - x0, y1 - y0)
        assert 0 <= one.quality.box_iou_after <= 1
        assert 0 <= one.quality.outside_box <= 1
        x0, y0, x1, y1 = mask_to_box(whole(one))
        touches = x0 == 0 or y0 == 0 or x1 == WIDTH or y1 == HEIGHT
        assert one.quality.touches_border == touches


def test_a_kept_box_cuts_the_mask_and_says_what_was_lost():
    """Two discs of radius 20 at points, with a box around a part of one."""
    prompt = Prompt(point_coords=[(40, 40), (90, 40)], point_labels=[1, 1], box=(30, 30, 60, 60))
    asked = AskedObject(prompt_id="a", prompt=prompt, given_box=(30.4, 30.0, 60.0, 60.0))
    (kept,) = mask_objects(FAKE, PICTURE, [asked], config(BoxMode.KEEP)).objects
    (tight,) = mask_objects(FAKE, PICTURE, [asked], config(BoxMode.TIGHTEN)).objects
    assert kept.box == (30, 30, 60, 60)
    assert (kept.crop == whole(tight)[30:60, 30:60]).all()
    assert tight.box[0] < 30
    assert tight.box[2] > 60
    lost = 1 - kept.quality.area / tight.quality.area
    assert kept.quality.outside_box == pytest.approx(lost)
    assert tight.quality.outside_box == pytest.approx(lost)
    assert kept.quality.box_iou_after == tight.quality.box_iou_after < 0.5


def test_a_mask_wholly_outside_its_kept_box_is_no_object():
    prompt = Prompt(point_coords=[(100, 70)], point_labels=[1])
    asked = AskedObject(prompt_id="a", prompt=prompt, given_box=(0.0, 0.0, 30.0, 30.0))
    (gone,) = mask_objects(FAKE, PICTURE, [asked], config(BoxMode.KEEP)).unanswered
    assert "outside the given box" in gone.reason
    assert mask_objects(FAKE, PICTURE, [asked], config(BoxMode.TIGHTEN)).objects


class ShapesSegmenter(FakeSegmenter):
    """Answers with the part of true shapes inside the box, scored by `ious` of the box's area."""

    def __init__(self, truth: np.ndarray, ious: Callable[[float], float] = lambda _: 0.9) -> None:
        super().__init__(image_size=128, low_res_side=128)
        self.truth = truth
        self.ious = ious
        self.asked: list[list[float]] = []

    def _answer(self, embedding, prompt):
        found = super()._answer(embedding, prompt)
        x0, y0, x1, y1 = (round(float(value)) for value in prompt.box)
        self.asked.append([x0, y0, x1, y1])
        logits = np.full(found.low_res_logits.shape[1:], -8, np.float32)
        part = np.zeros_like(self.truth)
        part[y0:y1, x0:x1] = self.truth[y0:y1, x0:x1]
        logits[: part.shape[0], : part.shape[1]][part] = 8
        score = np.array([self.ious((x1 - x0) * (y1 - y0))], np.float32)
        return replace(found, low_res_logits=logits[None], iou_predictions=score)


def test_a_box_that_cuts_its_object_off_is_moved_out():
    truth = disc(48, 64, 25)
    segmenter = ShapesSegmenter(truth)
    asked = [boxed((50, 20, 70, 80)), boxed((36, 20, 94, 76), "right")]
    grown, right = mask_objects(segmenter, PICTURE, asked, config(BoxMode.EXPAND)).objects
    assert mask_iou(whole(grown), truth) > 0.95
    assert mask_iou(whole(right), truth) > 0.95
    assert grown.quality.box_iou_before == pytest.approx(20 * 50 / (20 * 60), abs=0.1)
    assert grown.quality.box_iou_after < grown.quality.box_iou_before
    assert right.quality.box_iou_before == right.quality.box_iou_after
    # Where the box reached round the object already nothing was asked again.
    assert segmenter.asked.count([36, 20, 94, 76]) == 1
    assert all(x0 >= 0 and x1 <= WIDTH for x0, _, x1, _ in segmenter.asked)
    (cut,) = mask_objects(segmenter, PICTURE, asked[:1], config(BoxMode.TIGHTEN)).objects
    assert cut.quality.box_iou_after == cut.quality.box_iou_before
    assert mask_iou(whole(cut), truth) < 0.6


def test_a_mask_without_an_edge_stays_as_it_was_first():
    """It grows as often as its box does, to the other end of the picture."""
    segmenter = ShapesSegmenter(np.ones((HEIGHT, WIDTH), bool))
    (one,) = mask_objects(
        segmenter, PICTURE, [boxed((50, 40, 62, 52))], config(BoxMode.EXPAND)
    ).objects
    assert len(segmenter.asked) == 4
    assert one.quality.box_iou_after == pytest.approx(1, abs=0.2)


def test_a_larger_answer_of_which_the_model_is_less_sure_is_not_taken():
    segmenter = ShapesSegmenter(disc(48, 64, 25), lambda area: 0.9 if area <= 1200 else 0.6)
    asked = [boxed((50, 20, 70, 80))]
    (one,) = mask_objects(segmenter, PICTURE, asked, config(BoxMode.EXPAND)).objects
    assert one.box[2] - one.box[0] < 24
    assert one.quality.predicted_iou == pytest.approx(0.9)


def test_a_side_on_the_pictures_edge_is_not_moved():
    segmenter = ShapesSegmenter(np.ones((HEIGHT, WIDTH), bool))
    asked = [boxed((0, 0, WIDTH, HEIGHT))]
    mask_objects(segmenter, PICTURE, asked, config(BoxMode.EXPAND))
    assert len(segmenter.asked) == 1


def test_points_say_what_belongs_and_what_does_not():
    both = Prompt(point_coords=[(60, 50), (66, 50)], point_labels=[1, 0])
    only = Prompt(point_coords=[(60, 50), (62, 50)], point_labels=[1, 1])
    asked = [AskedObject(prompt_id=name, prompt=p) for name, p in (("both", both), ("only", only))]
    less, more = mask_objects(FAKE, PICTURE, asked, config()).objects
    assert not whole(less)[50, 66]
    assert whole(more)[50, 66]
    assert less.quality.area < more.quality.area
    assert less.quality.box_iou_before is None
    assert less.quality.outside_box is None


def test_of_three_answers_to_one_point_the_best_is_taken():
    """The fake scores the smallest of three discs best."""
    asked = AskedObject(prompt_id="a", prompt=Prompt(point_coords=[(60, 50)], point_labels=[1]))
    (one,) = mask_objects(FAKE, PICTURE, [asked], config()).objects
    assert mask_iou(whole(one), disc(50, 60, 20)) > 0.9


def test_a_mask_asks_with_a_point_inside_it_and_with_what_else_is_said():
    shape = disc(40, 70, 12)
    box = mask_to_box(shape)
    crop = shape[box[1] : box[3], box[0] : box[2]]
    embedding = FAKE.encode(PICTURE)
    size = FAKE.info.low_res_size
    beside = Prompt(point_coords=[(5, 5)], point_labels=[0], box=(50, 20, 90, 60))
    prompt = mask_prompt(crop, box, embedding, size, beside=beside)
    assert shape[round(float(prompt.point_coords[0][1])), round(float(prompt.point_coords[0][0]))]
    assert prompt.point_labels.tolist() == [1, 0]
    assert prompt.box.tolist() == [50, 20, 90, 60]
    assert prompt.mask_input.shape == (1, *size)
    asked = [
        AskedObject(prompt_id="mask", prompt=None, mask=(crop, box)),
        boxed((10, 10, 30, 30), "box"),
    ]
    masked, other = mask_objects(FAKE, PICTURE, asked, config()).objects
    assert (masked.prompt_id, other.prompt_id) == ("mask", "box")
    assert whole(masked)[40, 70]


def test_one_bad_object_costs_no_other():
    empty = (np.zeros((5, 5), bool), (10, 10, 15, 15))
    foreign = (np.ones((5, 5), bool), (10, 10, 90, 15))
    asked = [
        boxed((10, 10, 40, 40), "good"),
        AskedObject(prompt_id="outside", prompt=Prompt(point_coords=[(900, 5)], point_labels=[1])),
        AskedObject(prompt_id="nothing", prompt=None),
        AskedObject(prompt_id="empty", prompt=None, mask=empty),
        AskedObject(prompt_id="shape", prompt=None, mask=foreign),
        boxed((50, 10, 80, 40), "also good"),
    ]
    answer = mask_objects(FAKE, PICTURE, asked, config())
    assert [one.prompt_id for one in answer.objects] == ["good", "also good"]
    reasons = {one.prompt_id: one.reason for one in answer.unanswered}
    assert list(reasons) == ["outside", "nothing", "empty", "shape"]
    assert "(900.0, 5.0)" in reasons["outside"]
    assert answer.status is Status.PARTIAL


def test_an_empty_answer_is_no_object():
    """A background point where the foreground point is leaves nothing of the fake's disc."""
    prompt = Prompt(point_coords=[(60, 50), (60, 50)], point_labels=[1, 0])
    answer = mask_objects(FAKE, PICTURE, [AskedObject(prompt_id="a", prompt=prompt)], config())
    assert "found nothing" in answer.unanswered[0].reason
    assert answer.status is Status.FAILED


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        ({"min_area": 5000}, "min_area"),
        ({"min_predicted_iou": 0.99}, "min_predicted_iou"),
        ({"min_stability": 0.999}, "min_stability"),
    ],
)
def test_what_is_below_a_threshold_is_kept_out_with_the_reason(threshold, said):
    asked = [boxed((10, 10, 40, 40))]
    answer = mask_objects(FAKE, PICTURE, asked, config(**threshold))
    assert not answer.objects
    assert said in answer.unanswered[0].reason


def test_more_objects_than_are_asked_at_once():
    asked = [boxed((i % 90, i % 60, i % 90 + 20, i % 60 + 20), str(i)) for i in range(150)]
    together = mask_objects(FAKE, PICTURE, asked, config()).objects
    assert [one.prompt_id for one in together] == [str(i) for i in range(150)]
    for number in (0, 63, 64, 149):
        (alone,) = mask_objects(FAKE, PICTURE, [asked[number]], config()).objects
        assert (alone.crop == together[number].crop).all()


@pytest.fixture(scope="module")
def nano():
    return open_segmenter("nano", engine="torch")


def test_a_real_model_finds_drawn_nuclei_and_expands_wrong_boxes(nano):
    sample = load_sample("nuclei")
    truth = sample.truth
    numbers = [n for n in np.unique(truth) if n and np.count_nonzero(truth == n) > 200][:6]
    right, wrong = [], []
    for number in numbers:
        x0, y0, x1, y1 = mask_to_box(truth == number)
        right.append(boxed((x0 - 1, y0 - 1, x1 + 1, y1 + 1), str(number)))
        wrong.append(boxed((x0 + 0.3 * (x1 - x0), y0, x1, y1), str(number)))

    def mean_iou(asked, mode) -> float:
        answer = mask_objects(nano, sample.image, asked, config(mode))
        size = truth.shape
        return float(
            np.mean([mask_iou(whole(o, size), truth == int(o.prompt_id)) for o in answer.objects])
        )

    assert mean_iou(right, BoxMode.TIGHTEN) > 0.8
    assert mean_iou(wrong, BoxMode.KEEP) < 0.75
    assert mean_iou(wrong, BoxMode.EXPAND) > mean_iou(wrong, BoxMode.TIGHTEN) + 0.05


def test_a_real_model_answers_a_mask(nano):
    sample = load_sample("nuclei")
    number = int(np.argmax(np.bincount(sample.truth.ravel())[1:])) + 1
    shape = sample.truth == number
    x0, y0, x1, y1 = mask_to_box(shape)
    asked = AskedObject(prompt_id="m", prompt=None, mask=(shape[y0:y1, x0:x1], (x0, y0, x1, y1)))
    (one,) = mask_objects(nano, sample.image, [asked], config()).objects
    assert mask_iou(whole(one, shape.shape), shape) > 0.8
