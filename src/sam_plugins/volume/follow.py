"""`VolumePropagator`: from frame to frame, each object prompted by what it was one frame before."""

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam_plugins.automatic import Progress
from sam_plugins.errors import PromptError
from sam_plugins.formats import crop_to_rle, rle_to_crop
from sam_plugins.ports import Followed, ImageSource, Key, Lost, Segmenter
from sam_plugins.types import Box, Embedding, Image, MaskRecord, Prompt
from sam_plugins.volume.appearance import Appearance, appearance, grey, motion
from sam_plugins.volume.candidates import Candidate, best_candidate, candidates
from sam_plugins.volume.shapes import Shape
from sam_plugins.volume.windows import windows_for

__all__ = ["VolumePropagator"]

_KEPT_FRAMES = 4
_LEAST_CONTRAST = 0.35
_LEAST_AGREEMENT = 0.25
_LEAST_AREA, _MOST_AREA = 0.2, 3.5
_LEAST_LEFT = 0.35
_SLOWLY = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Where an object was last, and how it looks."""

    frame: int
    shape: Shape
    look: Appearance


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    index: int
    image: Image
    levels: NDArray[np.float32]


class VolumePropagator:
    """Follows objects with a model that knows single pictures. Implements `Propagator`.

    On each frame an object is looked for where it was one frame before, moved as its surroundings
    moved, from a box, a point and its last mask; of the answers the one is taken that the others,
    the last mask and the brightness speak for. Objects of one frame share its embedding and give
    each pixel to one of them. An object ends where it fades into what is around it, or where the
    model finds something else there.

    Parameters
    ----------
    segmenter
        Any model with points, boxes and masks as prompts.
    window
        Side in pixels of the part of a frame that the model is shown at once; frames of up to one
        and a half times this are shown whole. By default what the model sees, at least 512.
    """

    def __init__(self, segmenter: Segmenter, *, window: int | None = None) -> None:
        self._segmenter = segmenter
        self._window = window

    def propagate(
        self,
        source: ImageSource,
        keys: Mapping[int, Mapping[int, Key]],
        *,
        frames: range | None = None,
    ) -> Iterator[Progress | Followed | Lost]:
        """As `Propagator.propagate`.

        Between two key frames an object is followed from either one to the middle, and further
        where the other side lost it. A frame is encoded at most twice, and memory does not grow
        with the number of frames.
        """
        count = source.shape[0]
        limits = range(count) if frames is None else frames
        if not limits or limits.step != 1 or limits[0] < 0 or limits[-1] >= count:
            raise PromptError(
                f"Frames to follow to must be among 0 to {count - 1}, found {frames}: choose "
                "others."
            )
        used: dict[int, dict[int, Key]] = {}
        for frame, said in keys.items():
            if not 0 <= frame < count:
                raise PromptError(f"The source has frames 0 to {count - 1}, found key {frame}.")
            if frame in limits and said:
                used[frame] = dict(said)
        if not used:
            raise PromptError(
                f"Nothing to follow: prompt an object on one of the frames {limits[0]} to "
                f"{limits[-1]} first."
            )
        return _Run(self._segmenter, source, used, limits, self._window).events()


class _Run:
    """One call of `propagate`."""

    def __init__(
        self,
        segmenter: Segmenter,
        source: ImageSource,
        keys: Mapping[int, Mapping[int, Key]],
        limits: range,
        window: int | None,
    ) -> None:
        self._segmenter = segmenter
        self._source = source
        self._keys = keys
        self._limits = limits
        self._size = source.shape[1:]
        self._side = window or max(segmenter.info.image_size, 512)
        self._frames: OrderedDict[int, _Frame] = OrderedDict()
        self._embeddings: OrderedDict[tuple[int, Box], Embedding] = OrderedDict()
        self._known: dict[int, dict[int, Shape]] = {}
        """Key shapes by frame."""
        self._reached: dict[int, set[int]] = {}
        """Frames on which each object is."""
        self._done = 0

    def events(self) -> Iterator[Progress | Followed | Lost]:
        for frame in sorted(self._keys):
            yield self._progress("Looking at key slices")
            yield from self._key_frame(frame)
        yield from self._sweep(1)
        yield from self._sweep(-1)
        yield replace(self._progress(""), done=len(self._limits))

    def _progress(self, message: str) -> Progress:
        done = min(self._done, len(self._limits))
        return Progress(done, len(self._limits), message or "Following objects")

    # -- key frames ---------------------------------------------------------------------------

    def _key_frame(self, index: int) -> Iterator[Followed]:
        frame = self._read(index)
        for identity, key in self._keys[index].items():
            if isinstance(key, Prompt):
                answer = self._segmenter.decode(self._around_prompt(frame, key), key)
                best = answer.best_index
                shape = Shape(*answer.crop(best))
                score = float(answer.iou_predictions[best])
            else:
                shape, score = Shape(*rle_to_crop(key)), 1.0
            if not shape.area:
                continue
            self._known.setdefault(index, {})[identity] = shape
            self._reached.setdefault(identity, set()).add(index)
            yield self._followed(index, identity, shape, score, 1.0, is_key=True)
        self._done += 1

    def _around_prompt(self, frame: _Frame, prompt: Prompt) -> Embedding:
        places = [] if prompt.point_coords is None else [prompt.point_coords]
        if prompt.box is not None:
            places.append(prompt.box.reshape(2, 2))
        if not places:
            return self._embedding(frame, (0, 0, self._size[1], self._size[0]))
        spots = np.concatenate(places)
        low, high = np.floor(spots.min(0)).astype(int), np.ceil(spots.max(0)).astype(int) + 1
        box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        return self._embedding(frame, windows_for([box], self._size, self._side)[0])

    # -- following ----------------------------------------------------------------------------

    def _sweep(self, step: int) -> Iterator[Progress | Followed | Lost]:
        """Follow all objects in one direction, frame by frame."""
        order = self._limits if step > 0 else self._limits[::-1]
        states: dict[int, _State] = {}
        for index in order:
            wanted = {
                identity: state
                for identity, state in states.items()
                if self._wants(identity, index, step)
            }
            if wanted:
                yield self._progress("Following objects")
                states = yield from self._frame(index, wanted, step)
                self._done += 1
            else:
                states = {}
            for identity, shape in self._known.get(index, {}).items():
                levels = self._read(index).levels
                states[identity] = _State(index, shape, appearance(levels, shape))

    def _wants(self, identity: int, index: int, step: int) -> bool:
        """Whether an object is to be followed to a frame in this direction."""
        if index in self._reached[identity]:
            return False
        if step < 0:
            return True
        keys = [frame for frame in self._known if identity in self._known[frame]]
        before = max(frame for frame in keys if frame < index)
        after = [frame for frame in keys if frame > index]
        return not after or index - before <= (min(after) - before) // 2

    def _frame(
        self, index: int, states: Mapping[int, _State], step: int
    ) -> Generator[Followed | Lost, None, dict[int, _State]]:
        frame, before = self._read(index), self._read(index - step)
        predicted: dict[int, Shape] = {}
        for identity, state in states.items():
            moved = state.shape.moved(*motion(before.levels, frame.levels, state.shape))
            inside = moved.clipped(self._size)
            if inside.area < _LEAST_LEFT * moved.area:
                yield Lost(frame=index, object_id=identity, reason="it leaves the picture")
            else:
                predicted[identity] = inside
        found = self._look(frame, predicted)
        taken = np.zeros(self._size, bool)
        for shape in self._known.get(index, {}).values():
            taken |= shape.within((0, 0, self._size[1], self._size[0]))
        states_now: dict[int, _State] = {}
        kept = _apart(found, predicted, taken)
        for identity, was in predicted.items():
            candidate = kept.get(identity)
            reason = self._reason_to_end(frame, candidate, was, states[identity], kept, identity)
            if candidate is None or reason:
                yield Lost(frame=index, object_id=identity, reason=reason)
                continue
            look = appearance(frame.levels, candidate.shape, self._others(kept, identity))
            old = states[identity].look
            states_now[identity] = _State(index, candidate.shape, _blended(old, look))
            self._reached[identity].add(index)
            agreement = candidate.shape.iou(was)
            yield self._followed(
                index, identity, candidate.shape, candidate.score, agreement, is_key=False
            )
        return states_now

    def _look(self, frame: _Frame, predicted: Mapping[int, Shape]) -> dict[int, Candidate]:
        found: dict[int, Candidate] = {}
        identities = list(predicted)
        windows = windows_for([predicted[i].box for i in identities], self._size, self._side)
        for window in dict.fromkeys(windows):
            some = [i for i, own in zip(identities, windows, strict=True) if own == window]
            embedding = self._embedding(frame, window)
            shapes = [predicted[i] for i in some]
            answers = candidates(self._segmenter, embedding, shapes)
            for identity, shape, offered in zip(some, shapes, answers, strict=True):
                best = best_candidate(offered, shape, frame.levels)
                if best is not None:
                    found[identity] = best
        return found

    def _others(self, kept: Mapping[int, Candidate], identity: int) -> NDArray[np.bool_]:
        others = np.zeros(self._size, bool)
        for other, candidate in kept.items():
            if other != identity:
                x0, y0, x1, y1 = candidate.shape.box
                others[y0:y1, x0:x1] |= candidate.shape.crop
        return others

    def _reason_to_end(
        self,
        frame: _Frame,
        candidate: Candidate | None,
        predicted: Shape,
        state: _State,
        kept: Mapping[int, Candidate],
        identity: int,
    ) -> str:
        """Why an object is not followed to this frame; empty if it is."""
        if candidate is None or not candidate.shape.area:
            return "the model finds nothing there"
        shape = candidate.shape
        if shape.iou(predicted) < _LEAST_AGREEMENT:
            return "the model finds something else there"
        if not _LEAST_AREA <= shape.area / max(state.shape.area, 1) <= _MOST_AREA:
            return "its size changes too much"
        look = appearance(frame.levels, shape, self._others(kept, identity))
        if abs(state.look.contrast) > 4:
            share = look.contrast / state.look.contrast
            if share < _LEAST_CONTRAST:
                return "it fades"
        return ""

    # -- frames -------------------------------------------------------------------------------

    def _read(self, index: int) -> _Frame:
        found = self._frames.get(index)
        if found is None:
            image = self._source.read(index)
            found = self._frames[index] = _Frame(index, image, grey(image))
        self._frames.move_to_end(index)
        while len(self._frames) > _KEPT_FRAMES:
            self._frames.popitem(last=False)
        return found

    def _embedding(self, frame: _Frame, window: Box) -> Embedding:
        key = (frame.index, window)
        found = self._embeddings.get(key)
        if found is None:
            found = self._segmenter.encode(frame.image, region=window)
            self._embeddings[key] = found
        self._embeddings.move_to_end(key)
        while len(self._embeddings) > 2 * _KEPT_FRAMES:
            self._embeddings.popitem(last=False)
        return found

    def _followed(
        self,
        index: int,
        identity: int,
        shape: Shape,
        score: float,
        agreement: float,
        *,
        is_key: bool,
    ) -> Followed:
        height, width = self._size
        record = MaskRecord(
            segmentation=crop_to_rle(shape.crop, shape.box, (height, width)),
            box=shape.box,
            area=shape.area,
            predicted_iou=score,
            stability_score=agreement,
            point_coords=shape.interior(),
            crop_box=(0, 0, width, height),
        )
        return Followed(frame=index, object_id=identity, record=record, is_key=is_key)


def _blended(old: Appearance, new: Appearance) -> Appearance:
    """How an object looks by now: it may change slowly, not at once."""
    return Appearance(
        old.inside + _SLOWLY * (new.inside - old.inside),
        old.around + _SLOWLY * (new.around - old.around),
        old.spread + _SLOWLY * (new.spread - old.spread),
    )


def _apart(
    found: Mapping[int, Candidate], predicted: Mapping[int, Shape], taken: NDArray[np.bool_]
) -> dict[int, Candidate]:
    """Give each pixel to one object: to the one that was there, else to the better candidate.

    Parameters
    ----------
    found, predicted
        By object: what was chosen, and where it was expected.
    taken
        (H, W) bool, pixels that belong to others for certain.
    """
    height, width = taken.shape
    owner = np.where(taken, -1, 0).astype(np.int32)
    claim = np.zeros((height, width), np.float32)
    claim[taken] = np.inf
    order = list(found)
    for number, identity in enumerate(order, 1):
        shape = found[identity].shape
        x0, y0, x1, y1 = shape.box
        here = np.s_[y0:y1, x0:x1]
        strength = found[identity].score + 10.0 * predicted[identity].within(shape.box)
        wins = shape.crop & (strength > claim[here])
        owner[here][wins] = number
        claim[here][wins] = strength[wins]
    kept: dict[int, Candidate] = {}
    for number, identity in enumerate(order, 1):
        shape = found[identity].shape
        x0, y0, x1, y1 = shape.box
        lost = owner[y0:y1, x0:x1] != number
        left = shape.without(lost, (x0, y0))
        if left.area >= _LEAST_LEFT * shape.area:
            kept[identity] = replace(found[identity], shape=left.largest_part())
    return kept
