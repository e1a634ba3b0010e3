"""Objects followed through the frames of a video, from those where labels ask for them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fiftyone_plugin.masking.boxes import NOTHING_FOUND, given_box_of, placed
from fiftyone_plugin.values import AskedObject, MaskedObject, RunConfig, UnansweredObject
from sam_plugins import Progress, follow_objects
from sam_plugins.errors import ImageError, PromptError
from sam_plugins.formats import crop_to_rle, rle_to_crop
from sam_plugins.ports import Followed, ImageSource, Key, Lost, Segmenter
from sam_plugins.types import Size

__all__ = ["follow_video"]

Outcome = tuple[int, MaskedObject | UnansweredObject]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Frames on which labels ask, by object and frame."""

    objects: tuple[dict[int, AskedObject], ...]

    def nearest(self, number: int, frame: int) -> AskedObject:
        """What asked for an object on the key frame next to a frame, the earlier of two."""
        keys = self.objects[number]
        return keys[min(keys, key=lambda key: (abs(key - frame), key))]


def follow_video(
    segmenter: Segmenter,
    source: ImageSource,
    keys: Mapping[int, Sequence[AskedObject]],
    config: RunConfig,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Outcome]:
    """Follow objects from the frames where labels ask for them to all others, both ways.

    Labels of several frames that carry the same label and index, as tracks do, are one object and
    are followed from each; every other label is an object of its own. On a key frame a mask that
    asks is the object as it is, and boxes and points are answered by the model.

    Parameters
    ----------
    segmenter
        Any model.
    source
        The frames; one is read at a time, and memory does not grow with their number.
    keys
        {frame: what its labels ask for}, in pixels of that frame.
    config
        Its thresholds; its box mode is used on key frames, where `EXPAND` is as `TIGHTEN`.
        Elsewhere an object has its mask's own box.
    progress
        Told after each step.
    stop
        Asked after each step; True ends the work.

    Yields
    ------
    (frame, object)
        Each object at most once per frame, as they are found, with the `prompt_id` of the nearest
        frame where it was asked. Its `asked` holds what is carried over from there, and prompts on
        key frames alone. An `UnansweredObject` says that a label could not be asked, or that its
        object ends before that frame in one direction, and why. Stability is not known of what is
        followed.

    Raises
    ------
    SamPluginsError
        If a frame cannot be read.
    """
    size: Size = (source.shape[1], source.shape[2])
    asked, said, refused = _sorted_out(keys, source.shape[0], size)
    yield from refused
    if not said:
        return
    seen: set[tuple[int, int]] = set()
    for event in follow_objects(segmenter, source, said):
        if isinstance(event, Followed):
            seen.add((event.frame, event.object_id))
            yield event.frame, _masked(event, asked, size, config)
        elif isinstance(event, Lost):
            prompt_id = asked.nearest(event.object_id, event.frame).prompt_id
            reason = (
                f"Not followed to this frame and beyond: {event.reason}. Ask for it on a frame "
                "there to go on."
            )
            yield event.frame, UnansweredObject(prompt_id=prompt_id, reason=reason)
        elif progress is not None:
            progress(event)
        if stop is not None and stop():
            return
    for frame, objects in said.items():
        for number in objects:
            if (frame, number) not in seen:
                yield (
                    frame,
                    UnansweredObject(
                        prompt_id=asked.objects[number][frame].prompt_id,
                        reason=NOTHING_FOUND,
                    ),
                )


def _sorted_out(
    keys: Mapping[int, Sequence[AskedObject]], frames: int, size: Size
) -> tuple[_Asked, dict[int, dict[int, Key]], list[Outcome]]:
    """Number the objects; what cannot be asked is told apart and costs no other."""
    numbers: dict[tuple[object, ...], int] = {}
    objects: list[dict[int, AskedObject]] = []
    said: dict[int, dict[int, Key]] = {}
    refused: list[Outcome] = []
    for frame in sorted(keys):
        for one in keys[frame]:
            try:
                key = _key(one, frame, frames, size)
            except (PromptError, ImageError) as error:
                refused.append(
                    (frame, UnansweredObject(prompt_id=one.prompt_id, reason=str(error)))
                )
                continue
            number = numbers.setdefault(_identity(one), len(numbers))
            if number == len(objects):
                objects.append({})
            if frame in objects[number]:
                number = numbers[("again", frame, one.prompt_id)] = len(numbers)
                objects.append({})
            objects[number][frame] = one
            said.setdefault(frame, {})[number] = key
    return _Asked(tuple(objects)), said, refused


def _identity(asked: AskedObject) -> tuple[object, ...]:
    index = asked.carried.get("index")
    if index is None:
        return ("prompt", asked.prompt_id)
    return ("track", str(asked.carried.get("label")), int(index))


def _key(asked: AskedObject, frame: int, frames: int, size: Size) -> Key:
    """What is known of an object on its frame.

    Raises
    ------
    PromptError, ImageError
        If nothing is, or it does not lie in the frame.
    """
    if not 0 <= frame < frames:
        raise PromptError(f"The video has frames 0 to {frames - 1}, found {frame}: ask on another.")
    if asked.mask is not None:
        crop, box = asked.mask
        if not crop.any():
            raise PromptError("Expected a mask to follow, found an empty one: draw it again.")
        return crop_to_rle(crop, box, size)
    prompt = asked.prompt
    if prompt is None:
        raise PromptError("Expected points, a box or a mask, found none: add one to the label.")
    height, width = size
    coords = prompt.point_coords
    outside = coords is not None and bool(((coords < -0.5) | (coords > (width, height))).any())
    if outside or (prompt.box is not None and given_box_of(asked, size) is None):
        raise PromptError(
            f"Expected points and a box in a frame that is {width} wide and {height} high, found "
            "some outside: correct the label."
        )
    return prompt


def _masked(
    event: Followed, asked: _Asked, size: Size, config: RunConfig
) -> MaskedObject | UnansweredObject:
    crop, box = rle_to_crop(event.record.segmentation)
    source = asked.nearest(event.object_id, event.frame)
    given = event.is_key and source.mask is not None
    if not event.is_key:
        source = replace(source, prompt=None, given_box=None, mask=None)
    return placed(
        source,
        crop,
        box,
        size,
        config,
        first_box=box,
        predicted_iou=None if given else event.record.predicted_iou,
        stability_score=None,
    )
