"""What of a draft can be kept, and keeping it."""

from collections.abc import Mapping, Sequence
from typing import Any

from napari_plugin.objects import Acceptance
from napari_plugin.session.answers import Answers
from napari_plugin.session.draft import Draft
from napari_plugin.session.found import FoundMasks
from napari_plugin.session.target import Target
from napari_plugin.values import Plane, PromptSet

__all__ = ["what_to_keep", "write"]


def what_to_keep(
    draft: Draft,
    found: FoundMasks,
    ids: Mapping[int, int],
    answers: Answers,
) -> tuple[list[Acceptance], Draft, list[str]]:
    """The objects that can be kept, the draft that is left, and why.

    Parameters
    ----------
    draft, answers
        Prompts and their masks.
    found
        Masks without prompts of their own.
    ids
        Which numbers stand for kept objects.
    """
    items: list[Acceptance] = []
    left: dict[int, Mapping[Plane, PromptSet]] = {}
    problems: list[str] = []
    for number in sorted({*draft.objects, *found.masks}):
        said = draft.objects.get(number, {})
        known = [answers.get(number, plane) for plane in said]
        wrong = [answer.problem for answer in known if answer is not None and answer.problem]
        if wrong or None in known:
            problems += wrong[:1]
            left[number] = said
            continue
        own = [answer for answer in known if answer is not None]
        masks = dict(found.masks.get(number, {}))
        masks |= {answer.mask.plane: answer.mask for answer in own if answer.mask is not None}
        whole = tuple(mask for mask in masks.values() if mask.crop.any())
        if not whole:
            problems.append("The model finds nothing there: add a point, or draw a box.")
            left[number] = said
            continue
        items.append(
            Acceptance(
                masks=whole,
                prompts=said,
                object_id=ids.get(number),
                origin=found.origins.get(number, "prompt"),
                score=min((answer.score for answer in own), default=None),
                model_id=own[0].model_id if own else "",
            )
        )
    return items, Draft(left), problems


def write(target: Target, items: Sequence[Acceptance], policy: str, draft: tuple[Any, Any]) -> int:
    """Write objects as one step; how many of their pixels other objects keep.

    Parameters
    ----------
    target
        Whose labels, book and log.
    items, policy, draft
        As `Book.accept_many` takes them.

    Raises
    ------
    SamPluginsError
        If they do not fit, or no number is left: then nothing was written.
    """
    target.note(policy=policy, model_id=items[0].model_id)
    kept = target.book.accept_many(items, policy=policy, draft=draft)
    pairs = [(each.id, item) for each, item in zip(kept, items, strict=True) if each.id]
    target.log.add(*(target.log.accepted(number, item, policy) for number, item in pairs))
    return sum(each.lost for each in kept)
