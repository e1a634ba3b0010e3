"""Objects followed through frames from those where labels ask for them."""

from itertools import islice

import numpy as np
import pytest

from fiftyone_plugin.masking import follow_video
from fiftyone_plugin.values import (
    AskedObject,
    BoxMode,
    MaskedObject,
    Mode,
    RunConfig,
    UnansweredObject,
)
from sam_plugins import Progress, open_segmenter
from sam_plugins.masks import mask_iou
from sam_plugins.testing import FakeSegmenter
from sam_plugins.types import Prompt

FRAMES, HEIGHT, WIDTH = 7, 96, 128
CONFIG = RunConfig(mode=Mode.VIDEO, label_field="masks", box_field="boxes")


class Drawn:
    """A bright disc that moves to the right, and one that stays; the latter ends after frame 3."""

    shape = (FRAMES, HEIGHT, WIDTH)

    def truth(self, frame: int, which: str) -> np.ndarray:
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        if which == "moves":
            return np.hypot(rows - 30, columns - 25 - 5 * frame) <= 14
        if frame > 3:
            return np.zeros((HEIGHT, WIDTH), bool)
        return np.hypot(rows - 70, columns - 90) <= 15

    def read(self, index, region=None):
        random = np.random.default_rng(index)
        picture = np.full((HEIGHT, WIDTH, 3), 50.0)
        picture[self.truth(index, "moves")] = (230, 80, 60)
        picture[self.truth(index, "stays")] = (60, 200, 220)
        picture = (picture + random.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
        x0, y0, x1, y1 = region or (0, 0, WIDTH, HEIGHT)
        return picture[y0:y1, x0:x1]


@pytest.fixture(scope="module")
def nano():
    return open_segmenter("nano", engine="torch")


def boxed(name, box, **carried) -> AskedObject:
    return AskedObject(
        prompt_id=name, prompt=Prompt(box=box), given_box=tuple(map(float, box)), carried=carried
    )


MOVES = boxed("moves", (10, 15, 41, 46), label="ball", index=1)
STAYS = boxed("stays", (74, 54, 107, 87), label="ball", index=2)


def whole(found: MaskedObject) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    x0, y0, x1, y1 = found.box
    mask[y0:y1, x0:x1] = found.crop
    return mask


def test_objects_keep_their_prompt_and_an_end_is_told(nano):
    video, steps = Drawn(), []
    found = list(follow_video(nano, video, {0: [MOVES, STAYS]}, CONFIG, progress=steps.append))
    masks = {(frame, o.prompt_id): o for frame, o in found if isinstance(o, MaskedObject)}
    for frame in range(FRAMES):
        one = masks[frame, "moves"]
        assert mask_iou(whole(one), video.truth(frame, "moves")) > 0.7
        assert one.asked.carried["index"] == 1
        assert one.quality.stability_score is None
        assert (one.quality.box_iou_after is not None) == (frame == 0)
        assert (one.asked.prompt is not None) == (frame == 0)
    assert all(mask_iou(whole(masks[f, "stays"]), video.truth(f, "stays")) > 0.7 for f in range(4))
    assert (4, "stays") not in masks
    (lost,) = [(frame, o) for frame, o in found if isinstance(o, UnansweredObject)]
    assert lost[0] == 4
    assert lost[1].prompt_id == "stays"
    assert lost[1].reason.startswith("Not followed to this frame and beyond: ")
    assert all(isinstance(step, Progress) for step in steps)
    assert steps[-1].done == steps[-1].total == FRAMES


def test_a_track_of_several_key_frames_is_one_object(nano):
    video = Drawn()
    again = boxed("moves later", (40, 15, 71, 46), label="ball", index=1)
    found = list(follow_video(nano, video, {0: [MOVES], 6: [again]}, CONFIG))
    frames = [frame for frame, _ in found]
    assert sorted(frames) == list(range(FRAMES))
    by_frame = {frame: one.prompt_id for frame, one in found}
    assert by_frame[0] == by_frame[3] == "moves"
    assert by_frame[4] == by_frame[6] == "moves later"


def test_two_labels_of_one_track_on_one_frame_are_two_objects(nano):
    twin = boxed("twin", (74, 54, 107, 87), label="ball", index=1)
    found = list(islice(follow_video(nano, Drawn(), {3: [MOVES, twin]}, CONFIG), 2))
    assert [(frame, one.prompt_id) for frame, one in found] == [(3, "moves"), (3, "twin")]


def test_a_given_mask_is_the_object_as_it_is(nano):
    shape = Drawn().truth(2, "moves")
    crop, box = shape[16:45, 21:50], (21, 16, 50, 45)
    asked = AskedObject(prompt_id="m", prompt=None, mask=(crop, box))
    found = dict(follow_video(nano, Drawn(), {2: [asked]}, CONFIG))
    assert sorted(found) == list(range(FRAMES))
    assert (whole(found[2]) == shape).all()
    assert found[2].quality.predicted_iou is None
    assert found[3].quality.predicted_iou is not None


def test_what_cannot_be_asked_is_told_and_costs_no_other(nano):
    keys = {
        0: [
            MOVES,
            boxed("outside", (500, 500, 520, 520)),
            AskedObject(prompt_id="nothing", prompt=None),
            AskedObject(prompt_id="far", prompt=Prompt(point_coords=[(900, 1)], point_labels=[1])),
            AskedObject(
                prompt_id="empty", prompt=None, mask=(np.zeros((3, 3), bool), (0, 0, 3, 3))
            ),
            AskedObject(prompt_id="shape", prompt=None, mask=(np.ones((3, 3), bool), (0, 0, 9, 3))),
        ],
        99: [boxed("late", (1, 1, 9, 9))],
    }
    found = list(islice(follow_video(nano, Drawn(), keys, CONFIG), 8))
    refused = [o.prompt_id for _, o in found if isinstance(o, UnansweredObject)]
    assert refused == ["outside", "nothing", "far", "empty", "shape", "late"]
    assert [(f, o.prompt_id) for f, o in found[6:]] == [(0, "moves"), (1, "moves")]


def test_nothing_that_can_be_asked_is_nothing_to_follow(nano):
    assert list(follow_video(nano, Drawn(), {}, CONFIG)) == []
    assert len(list(follow_video(nano, Drawn(), {0: [boxed("o", (500, 1, 520, 9))]}, CONFIG))) == 1


def test_an_empty_answer_on_a_key_frame_is_told():
    prompt = Prompt(point_coords=[(60, 50), (60, 50)], point_labels=[1, 0])
    asked = AskedObject(prompt_id="gone", prompt=prompt)
    ((frame, one),) = follow_video(FakeSegmenter(), Drawn(), {2: [asked]}, CONFIG)
    assert frame == 2
    assert "found nothing" in one.reason


def test_stopping_ends_the_work(nano):
    found = list(follow_video(nano, Drawn(), {0: [MOVES]}, CONFIG, stop=lambda: True))
    assert len(found) < 2


def test_a_kept_box_is_that_of_the_key_frame_alone(nano):
    config = RunConfig(
        mode=Mode.VIDEO, label_field="masks", box_field="boxes", box_mode=BoxMode.KEEP
    )
    found = dict(islice(follow_video(nano, Drawn(), {0: [MOVES]}, config), 3))
    assert found[0].box == (10, 15, 41, 46)
    assert found[2].box[0] > 12
