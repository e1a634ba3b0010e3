"""Prompts of one picture answered together, where a bad one costs no other its answer."""

from collections.abc import Sequence

from fiftyone_plugin.values import AskedObject
from sam_plugins import MeasuredMask, mask_prompt, measure_answers
from sam_plugins.errors import PromptError
from sam_plugins.ports import Segmenter
from sam_plugins.types import Embedding, Masks, Prompt

__all__ = ["answers_to", "prompt_of"]


def prompt_of(asked: AskedObject, segmenter: Segmenter, embedding: Embedding) -> Prompt:
    """What the model is asked for an object.

    Raises
    ------
    PromptError
        If nothing is asked, or a mask that asks is empty or not where the picture is.
    """
    if asked.mask is not None:
        crop, box = asked.mask
        size = segmenter.info.low_res_size
        return mask_prompt(crop, box, embedding, size, beside=asked.prompt)
    if asked.prompt is None:
        raise PromptError("Expected points, a box or a mask, found none: add one to the label.")
    return asked.prompt


def answers_to(
    segmenter: Segmenter, embedding: Embedding, prompts: Sequence[Prompt]
) -> list[MeasuredMask | PromptError]:
    """The best answer to each prompt, or why it has none, in order.

    Exactly one point is answered three times, and the answer with the highest predicted IoU is
    taken; everything else is answered once, a mask with its point too.
    """
    found: dict[int, MeasuredMask | PromptError] = {}
    for masked, several in ((False, None), (True, False)):
        group = [i for i, prompt in enumerate(prompts) if (prompt.mask_input is not None) == masked]
        answers = _decoded(segmenter, embedding, [prompts[i] for i in group], several)
        good = [masks for masks in answers if isinstance(masks, Masks)]
        measured = iter(measure_answers(good))
        for index, answer in zip(group, answers, strict=True):
            found[index] = next(measured) if isinstance(answer, Masks) else answer
    return [found[index] for index in range(len(prompts))]


def _decoded(
    segmenter: Segmenter, embedding: Embedding, prompts: Sequence[Prompt], several: bool | None
) -> list[Masks | PromptError]:
    """All at once; where one of them is refused, each by itself."""
    if not prompts:
        return []
    try:
        return list(segmenter.decode_many(embedding, prompts, multimask_output=several))
    except PromptError as error:
        if len(prompts) == 1:
            return [error]
    alone = (_decoded(segmenter, embedding, [prompt], several) for prompt in prompts)
    return [answer for answers in alone for answer in answers]
