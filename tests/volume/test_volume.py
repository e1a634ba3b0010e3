"""Objects followed through sequences whose truth is known, by the real `nano`."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from sam_plugins import MaskRecord, Progress, Prompt, follow_objects, open_segmenter, open_source
from sam_plugins.errors import PromptError
from sam_plugins.formats import mask_to_rle, rle_to_mask
from sam_plugins.masks import mask_iou, mask_to_box
from sam_plugins.samples.volumes import (
    SEQUENCES,
    VOLUME_SAMPLES,
    VolumeSample,
    load_volume_sample,
    sequence,
)
from sam_plugins.testing import FakePropagator, PropagatorContract
from sam_plugins.volume import Followed, Lost, VolumePropagator
from sam_plugins.volume.windows import windows_for

_SEGMENTER = []


def nano():
    """The bundled model, opened once for this file."""
    if not _SEGMENTER:
        _SEGMENTER.append(open_segmenter("nano", engine="torch"))
    return _SEGMENTER[0]


class TestFakePropagator(PropagatorContract):
    def make_propagator(self):
        return FakePropagator()


class TestVolumePropagator(PropagatorContract):
    def make_propagator(self):
        return VolumePropagator(nano())


@dataclass
class Result:
    ious: list[float]
    swaps: int
    end_errors: list[int]
    masks: dict[tuple[int, int], np.ndarray]
    lost: list[Lost]


def middle_frame(truth, number):
    frames = np.flatnonzero((truth == number).any((1, 2)))
    return int(frames[len(frames) // 2])


def inner(mask):
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(x), int(y)


def click(truth, number, frame):
    """A click in the middle, and one beside it on each neighbour that it touches, as a user adds
    when the first answer takes in a neighbour."""
    own = truth[frame] == number
    near = np.unique(truth[frame][ndimage.binary_dilation(own, iterations=3) & ~own])
    beside = [inner(truth[frame] == other) for other in near if other]
    return Prompt(point_coords=[inner(own), *beside], point_labels=[1, *(0 for _ in beside)])


def box(truth, number, frame):
    return Prompt(box=mask_to_box(truth[frame] == number))


def judged(sample: VolumeSample, how) -> Result:
    truth = sample.truth
    numbers = range(1, int(truth.max()) + 1)
    keys: dict[int, dict[int, Prompt]] = {}
    for number in numbers:
        frame = middle_frame(truth, number)
        keys.setdefault(frame, {})[number] = how(truth, number, frame)
    masks, lost = {}, []
    for event in follow_objects(nano(), open_source(sample.image, axes="TYX"), keys):
        if isinstance(event, Followed):
            masks[event.frame, event.object_id] = rle_to_mask(event.record.segmentation)
        elif isinstance(event, Lost):
            lost.append(event)
    ious, swaps, ends = [], 0, []
    nothing = np.zeros(truth.shape[1:], bool)
    for number in numbers:
        there = np.flatnonzero((truth == number).any((1, 2)))
        found = sorted(frame for frame, identity in masks if identity == number)
        for frame in sorted({*there.tolist(), *found}):
            mask = masks.get((frame, number), nothing)
            ious.append(mask_iou(mask, truth[frame] == number))
            counts = np.bincount(truth[frame][mask], minlength=len(numbers) + 1)[1:]
            swaps += bool(counts.any() and counts.argmax() + 1 != number)
        ends += [abs(found[0] - int(there[0])), abs(found[-1] - int(there[-1]))]
    return Result(ious, swaps, ends, masks, lost)


@pytest.mark.parametrize("how", [click, box])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", SEQUENCES)
def test_sequences_are_followed_from_their_middle_slices(kind, seed, how):
    result = judged(sequence(kind, seed), how)
    print(f"{kind} {seed} {how.__name__}: {np.mean(result.ious):.3f}")  # noqa: T201
    assert np.mean(result.ious) >= 0.70
    assert result.swaps == 0
    assert max(result.end_errors) <= 1


@pytest.mark.parametrize("name", VOLUME_SAMPLES)
def test_the_sample_volumes_are_followed(name):
    result = judged(load_volume_sample(name), box)
    assert np.mean(result.ious) >= 0.70
    assert result.swaps == 0
    assert max(result.end_errors) <= 1


def test_objects_share_no_pixel_but_where_the_user_said_so():
    sample = sequence("touching", 3)
    result = judged(sample, box)
    keys = {middle_frame(sample.truth, number) for number in (1, 2, 3)}
    for frame in set(range(16)) - keys:
        masks = [mask for (at, _), mask in result.masks.items() if at == frame]
        assert np.sum(masks, axis=0).max() <= 1


def test_what_ends_says_where_and_why():
    result = judged(sequence("vanishing", 0), box)
    assert {each.object_id for each in result.lost} == {1}
    assert len(result.lost) == 2
    assert all(each.reason for each in result.lost)


def test_a_key_slice_is_never_overwritten_and_both_sides_meet():
    sample = sequence("growth", 2)
    shapes = {}
    for frame in (3, 12):
        mask = sample.truth[frame] == 1
        mask[:, : inner(mask)[0] - 2] = False
        shapes[frame] = mask
    keys = {frame: {1: mask_to_rle(mask)} for frame, mask in shapes.items()}
    found = {
        event.frame: rle_to_mask(event.record.segmentation)
        for event in follow_objects(nano(), open_source(sample.image, axes="TYX"), keys)
        if isinstance(event, Followed)
    }
    assert sorted(found) == list(range(16))
    for frame, mask in shapes.items():
        np.testing.assert_array_equal(found[frame], mask)


def test_progress_counts_frames_and_ends_at_their_number():
    sample = sequence("drift", 0)
    source = open_source(sample.image, axes="TYX")
    keys = {8: {1: box(sample.truth, 1, 8)}}
    events = list(follow_objects(nano(), source, keys, frames=range(5, 12)))
    steps = [event for event in events if isinstance(event, Progress)]
    assert {step.total for step in steps} == {7}
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == 7


def test_one_frame_is_a_sequence():
    sample = sequence("drift", 0)
    source = open_source(sample.image[:1], axes="TYX")
    found = [
        event
        for event in follow_objects(nano(), source, {0: {3: box(sample.truth, 3, 0)}})
        if isinstance(event, Followed)
    ]
    assert [(each.frame, each.object_id) for each in found] == [(0, 3)]
    assert isinstance(found[0].record, MaskRecord)


@pytest.mark.parametrize("frames", [range(0), range(0, 17), range(-1, 4), range(0, 9, 2)])
def test_frames_that_are_not_there_are_refused(frames):
    sample = sequence("drift", 0)
    source = open_source(sample.image, axes="TYX")
    with pytest.raises(PromptError, match="0 to 15"):
        follow_objects(nano(), source, {3: {1: Prompt(box=(1, 1, 9, 9))}}, frames=frames)


def test_a_small_object_of_a_large_frame_is_seen_at_full_detail():
    sample = sequence("drift", 1, frames=4)
    large = np.zeros((4, 1400, 1800), np.uint8)
    large[:, 1000:1192, 1500:1692] = sample.image
    large[:, 40:232, 60:252] = sample.image
    moved = np.zeros(large.shape, np.uint16)
    moved[:, 1000:1192, 1500:1692] = sample.truth
    moved[:, 40:232, 60:252][sample.truth > 0] = sample.truth[sample.truth > 0] + 3
    keys = {0: {number: box(moved, number, 0) for number in range(1, 7)}}
    ious = [
        mask_iou(rle_to_mask(event.record.segmentation), moved[event.frame] == event.object_id)
        for event in follow_objects(nano(), open_source(large, axes="TYX"), keys)
        if isinstance(event, Followed)
    ]
    assert len(ious) == 24
    assert np.mean(ious) > 0.8


def test_windows_hold_their_objects_and_are_shared_by_neighbours():
    boxes = [(100, 100, 140, 130), (150, 110, 190, 150), (1500, 900, 1530, 960)]
    windows = windows_for(boxes, (1000, 2000), 512)
    assert windows[0] == windows[1] != windows[2]
    for inside, (x0, y0, x1, y1) in zip(boxes, windows, strict=True):
        assert x0 <= inside[0]
        assert y0 <= inside[1]
        assert x1 >= inside[2]
        assert y1 >= inside[3]
        assert (x1 - x0, y1 - y0) == (512, 512)
    assert windows_for(boxes[:2], (700, 760), 512) == [(0, 0, 760, 700)] * 2
