"""The objects that a picture's labels ask for, with their masks."""

from collections.abc import Mapping, Sequence

from fiftyone_plugin.geometry import FloatBox
from fiftyone_plugin.masking.asking import answers_to, prompt_of
from fiftyone_plugin.masking.boxes import given_box_of, goes_on, moved_out, placed
from fiftyone_plugin.values import (
    AskedObject,
    BoxMode,
    MaskedObject,
    RunConfig,
    SampleAnswer,
    UnansweredObject,
)
from sam_plugins import MeasuredMask
from sam_plugins.errors import PromptError
from sam_plugins.ports import Segmenter
from sam_plugins.types import Embedding, Image, Prompt, Size

__all__ = ["mask_objects"]

_AT_ONCE = 64
"""Objects whose low-resolution answers are held together: 16 MB of the published models'."""

_ROUNDS = 3
"""How often a box is moved out at most."""


def mask_objects(
    segmenter: Segmenter, image: Image, asked: Sequence[AskedObject], config: RunConfig
) -> SampleAnswer:
    """Find what a picture's labels ask for.

    The picture is encoded once and whole, whatever its size, as published: what is tiny on a
    large picture is tiny for the model as well. Points with both signs, boxes, boxes with points
    and masks may ask. Exactly one point is answered three times, and the answer with the highest
    predicted IoU is taken; everything else is answered once. A mask asks together with a point
    well inside it. Answers are looked at some at a time and within their boxes, so that memory
    does not grow with the number of objects times the size of the picture.

    Parameters
    ----------
    segmenter
        Any model.
    image
        (H, W, 3) uint8 RGB.
    asked
        In pixels of this picture.
    config
        Its box mode and thresholds are used. `BoxMode` says what becomes of given boxes; without
        one, an object has its mask's own box in every mode.

    Returns
    -------
    Objects in the order of `asked`; those that could not be asked, were not found, or are below a
    threshold, with the reason. One of them costs no other its mask.

    Raises
    ------
    ImageError
        If `image` is not such an array.
    """
    size = (image.shape[0], image.shape[1])
    if not asked:
        return SampleAnswer(objects=(), unanswered=(), size=size)
    embedding = segmenter.encode(image)
    found: list[MaskedObject | UnansweredObject] = []
    for start in range(0, len(asked), _AT_ONCE):
        found.extend(_some(segmenter, embedding, asked[start : start + _AT_ONCE], config))
    return SampleAnswer(
        objects=tuple(one for one in found if isinstance(one, MaskedObject)),
        unanswered=tuple(one for one in found if isinstance(one, UnansweredObject)),
        size=size,
    )


def _some(
    segmenter: Segmenter, embedding: Embedding, asked: Sequence[AskedObject], config: RunConfig
) -> list[MaskedObject | UnansweredObject]:
    """As many objects as are held together."""
    size = embedding.original_size
    found: dict[int, MaskedObject | UnansweredObject] = {}
    prompts: dict[int, Prompt] = {}
    for number, one in enumerate(asked):
        try:
            prompts[number] = prompt_of(one, segmenter, embedding)
        except PromptError as error:
            found[number] = UnansweredObject(prompt_id=one.prompt_id, reason=str(error))
    first: dict[int, MeasuredMask] = {}
    answers = answers_to(segmenter, embedding, list(prompts.values()))
    for number, answer in zip(prompts, answers, strict=True):
        if isinstance(answer, PromptError):
            reason = str(answer)
            found[number] = UnansweredObject(prompt_id=asked[number].prompt_id, reason=reason)
        else:
            first[number] = answer
    kept = first
    if config.box_mode is BoxMode.EXPAND:
        boxes = {number: given_box_of(asked[number], size) for number in first}
        kept = _expanded(segmenter, embedding, prompts, boxes, first)
    for number, answer in first.items():
        taken = kept[number]
        found[number] = placed(
            asked[number],
            taken.crop,
            taken.box,
            size,
            config,
            first_box=answer.box,
            predicted_iou=taken.predicted_iou,
            stability_score=taken.stability_score,
        )
    return [found[number] for number in range(len(asked))]


def _expanded(
    segmenter: Segmenter,
    embedding: Embedding,
    prompts: Mapping[int, Prompt],
    boxes: Mapping[int, FloatBox | None],
    first: Mapping[int, MeasuredMask],
) -> dict[int, MeasuredMask]:
    """Ask with larger boxes where masks reach the edges of theirs.

    A larger answer is taken where it ends inside its box. One that grows as often as its box does
    has no edge there, and the first answer stays.
    """
    size: Size = embedding.original_size
    kept, grown = dict(first), dict(first)
    wanted = _moved(boxes, grown, size)
    for _ in range(_ROUNDS):
        again = [_with_box(prompts[number], box) for number, box in wanted.items()]
        answers = answers_to(segmenter, embedding, again)
        asked, wanted = wanted, {}
        for (number, box), answer in zip(asked.items(), answers, strict=True):
            if isinstance(answer, MeasuredMask) and goes_on(grown[number], answer):
                grown[number] = answer
                further = moved_out(box, answer.box, size)
                if further is None:
                    kept[number] = answer
                else:
                    wanted[number] = further
    return kept


def _moved(
    boxes: Mapping[int, FloatBox | None], answers: Mapping[int, MeasuredMask], size: Size
) -> dict[int, FloatBox]:
    """The larger boxes of those masks that reach an edge of theirs."""
    larger = {
        number: moved_out(box, answers[number].box, size)
        for number, box in boxes.items()
        if box is not None and answers[number].area
    }
    return {number: box for number, box in larger.items() if box is not None}


def _with_box(prompt: Prompt, box: FloatBox) -> Prompt:
    return Prompt(
        point_coords=prompt.point_coords,
        point_labels=prompt.point_labels,
        box=box,
        mask_input=prompt.mask_input,
        mask_region=prompt.mask_region,
    )
