"""What every `Propagator` does, as tests to inherit, and one without a model."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from sam_plugins.errors import PromptError
from sam_plugins.formats import mask_to_rle, rle_to_crop, rle_to_mask
from sam_plugins.ports import Followed, ImageSource, Key, Lost, Propagator
from sam_plugins.testing.checks import check, check_refuses
from sam_plugins.types import Image, MaskRecord, Prompt

__all__ = ["FakePropagator", "PropagatorContract"]


class FakePropagator:
    """Takes objects to be on all frames what they are on the nearest key frame.

    Boxes are filled; points are squares of nine pixels.
    """

    def propagate(
        self,
        source: ImageSource,
        keys: Mapping[int, Mapping[int, Key]],
        *,
        frames: range | None = None,
    ) -> Iterator[Followed | Lost]:
        """As `Propagator.propagate`."""
        count, height, width = source.shape
        limits = range(count) if frames is None else frames
        used = {frame: said for frame, said in keys.items() if frame in limits}
        if not any(used.values()) or not all(0 <= frame < count for frame in keys):
            raise PromptError("There is no key on these frames: give one.")
        return self._events(used, limits, (height, width))

    def _events(
        self, keys: Mapping[int, Mapping[int, Key]], limits: range, size: tuple[int, int]
    ) -> Iterator[Followed]:
        for identity in sorted({i for said in keys.values() for i in said}):
            own = {frame: said[identity] for frame, said in keys.items() if identity in said}
            for frame in limits:
                nearest = min(own, key=lambda key: abs(key - frame))
                yield Followed(
                    frame=frame,
                    object_id=identity,
                    record=_record(own[nearest], size),
                    is_key=frame in own,
                )


def _record(key: Key, size: tuple[int, int]) -> MaskRecord:
    if not isinstance(key, Prompt):
        rle = dict(key)
    else:
        mask = np.zeros(size, bool)
        if key.box is not None:
            x0, y0, x1, y1 = (round(float(v)) for v in key.box)
            mask[max(y0, 0) : y1, max(x0, 0) : x1] = True
        elif key.point_coords is not None:
            x, y = (round(float(v)) for v in key.point_coords[0])
            mask[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = True
        rle = mask_to_rle(mask)
    crop, box = rle_to_crop(rle)
    return MaskRecord(
        segmentation=rle,
        box=box,
        area=int(crop.sum()),
        predicted_iou=1.0,
        stability_score=1.0,
        point_coords=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
        crop_box=(0, 0, size[1], size[0]),
    )


class PropagatorContract:
    """What every `Propagator` does with two bright discs that stand still on a dark ground."""

    def make_propagator(self) -> Propagator:
        """What is tested."""
        raise NotImplementedError

    def test_an_object_is_on_each_frame_at_most_once_and_on_its_key_frame(self) -> None:
        """Also where it has two key frames."""
        keys = {1: {4: _BOXES[4]}, 6: {4: _BOXES[4]}}
        found = self._found(keys)
        check(len(found) == len({(f.frame, f.object_id) for f in found}), "a frame came twice")
        check({f.frame for f in found if f.is_key} == {1, 6}, "key frames are missing")

    def test_it_is_followed_both_ways(self) -> None:
        """To the first frame and to the last."""
        found = self._found({3: {4: _BOXES[4]}})
        frames = sorted(f.frame for f in found)
        check(frames == list(range(8)), f"on frames {frames}")

    def test_ids_stay_with_their_objects(self) -> None:
        """Each mask lies on its own disc."""
        for each in self._found({3: {4: _BOXES[4], 9: _BOXES[9]}}):
            mask = rle_to_mask(each.record.segmentation)
            own, other = (mask & _disc(i) for i in (each.object_id, 13 - each.object_id))
            check(own.sum() > 0.6 * _disc(each.object_id).sum(), f"lost on {each.frame}")
            check(not other.any(), f"{each.object_id} is on the other object")

    def test_a_mask_is_a_key(self) -> None:
        """As run lengths of the frame, and it comes back as it is."""
        rle = mask_to_rle(_disc(9))
        found = self._found({2: {9: rle}})
        (key,) = (each for each in found if each.is_key)
        check(bool((rle_to_mask(key.record.segmentation) == _disc(9)).all()), "the key changed")

    def test_nothing_comes_from_outside_the_frames_asked_for(self) -> None:
        """And keys outside are not used."""
        found = self._found({3: {4: _BOXES[4]}, 7: {9: _BOXES[9]}}, frames=range(2, 5))
        check({each.frame for each in found} == {2, 3, 4}, "other frames came")
        check({each.object_id for each in found} == {4}, "a key outside was used")

    def test_what_cannot_be_followed_is_refused_at_the_call(self) -> None:
        """No key, and a key on no frame."""
        propagate = self.make_propagator().propagate
        source = _Still()
        refused: list[dict[int, dict[int, Key]]] = [
            {},
            {3: {}},
            {8: {4: _BOXES[4]}},
            {-1: {4: _BOXES[4]}},
        ]
        for keys in refused:
            check_refuses(PromptError, partial(propagate, source, keys), f"took {sorted(keys)}")

    def test_closing_the_generator_ends_the_work(self) -> None:
        """Nothing is read afterwards."""
        source = _Still()
        events: Any = self.make_propagator().propagate(source, {3: {4: _BOXES[4]}})
        next(event for event in events if isinstance(event, Followed))
        events.close()
        before = source.reads
        check(next(events, None) is None and source.reads == before, "work went on")

    def _found(
        self, keys: Mapping[int, Mapping[int, Key]], frames: range | None = None
    ) -> list[Followed]:
        events = self.make_propagator().propagate(_Still(), keys, frames=frames)
        return [event for event in events if isinstance(event, Followed)]


_BOXES: Mapping[int, Prompt] = {4: Prompt(box=(20, 20, 50, 50)), 9: Prompt(box=(60, 60, 100, 100))}
_DISCS = {4: (35.0, 35.0, 14.0), 9: (80.0, 80.0, 19.0)}


def _disc(identity: int) -> Any:
    x, y, radius = _DISCS[identity]
    rows, columns = np.mgrid[:120, :120]
    return np.hypot(columns - x, rows - y) < radius


class _Still:
    """Eight equal frames."""

    def __init__(self) -> None:
        self.reads = 0
        picture = np.full((120, 120), 20.0)
        for identity, level in ((4, 170), (9, 200)):
            picture[_disc(identity)] = level
        rng = np.random.default_rng(0)
        noisy = picture + rng.normal(0, 4, picture.shape)
        self._image: Image = np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, 2)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 8, 120, 120

    def read(self, index: int, region: tuple[int, int, int, int] | None = None) -> Image:
        self.reads += 1
        x0, y0, x1, y1 = region or (0, 0, 120, 120)
        return np.ascontiguousarray(self._image[y0:y1, x0:x1])
