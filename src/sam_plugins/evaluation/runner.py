"""Ask a method for every known object of a data set and score its answers.

The work is a generator, one picture at a time: closing it stops the work, and counting what it
yields is the progress.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError, ModelError
from sam_plugins.evaluation.baselines import (
    BaselineSettings,
    fill_box,
    flood_fill,
    grab_cut,
    inscribed_ellipse,
    random_walk,
)
from sam_plugins.evaluation.dataset import (
    KnownImage,
    LabelledImage,
    Target,
    choose_targets,
    load_known,
)
from sam_plugins.evaluation.metrics import crop_iou
from sam_plugins.evaluation.prompts import centre_point
from sam_plugins.evaluation.report import ObjectScore, Report
from sam_plugins.ports import Segmenter
from sam_plugins.types import Box, Prompt

__all__ = [
    "Answer",
    "Method",
    "Question",
    "baseline_method",
    "evaluate_baselines",
    "evaluate_segmenter",
    "questions_of",
    "score_images",
    "score_objects",
    "segmenter_method",
]

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """An object to find, and the click (x, y) at its centre; the box is the object's own."""

    target: Target
    click: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method gives for one question.

    Parameters
    ----------
    method, prompt
        Who was asked, and with what: "click" or "box".
    question
        Of the method's input.
    masks
        (bool crop, its xyxy box) each, x1 and y1 exclusive; the first is the method's choice.
    """

    method: str
    prompt: str
    question: Question
    masks: Sequence[tuple[NDArray[np.bool_], Box]]


class Method(Protocol):
    """Anything that answers clicks and boxes."""

    def __call__(self, picture: KnownImage, questions: Sequence[Question]) -> Iterator[Answer]:
        """Answers to some or all questions about one picture, in any order."""
        ...


def evaluate_segmenter(
    segmenter: Segmenter,
    dataset: Sequence[LabelledImage],
    *,
    max_objects_per_image: int = 16,
    min_area: int = 50,
    seed: int = 0,
    multimask_output: bool | None = None,
    progress: Progress | None = None,
) -> Report:
    """IoU of one centre click and of the box, for every chosen object.

    The answer with the highest *predicted* IoU is scored; the best of all stands beside it.

    Parameters
    ----------
    segmenter
        What is measured; every picture is encoded once.
    dataset
        Pictures with objects.
    max_objects_per_image
        Of each picture at most so many objects, drawn with `seed`.
    min_area
        Smaller objects are left out, pixels.
    multimask_output
        As in `Segmenter.decode`: None is what a user gets, three answers to a click and one to a
        box.
    progress
        Called after each picture.

    Raises
    ------
    DatasetError
        If the data hold no object of that size, or a file cannot be used.
    ModelError
        If the segmenter takes neither points nor boxes.
    """
    info = segmenter.info
    settings = {
        "model": info.name,
        "model_id": info.model_id,
        "image_size": info.image_size,
        "numerics": info.numerics,
        "multimask_output": multimask_output,
    }
    steps = score_images(
        segmenter_method(segmenter, multimask_output=multimask_output),
        dataset,
        max_objects_per_image=max_objects_per_image,
        min_area=min_area,
        seed=seed,
    )
    limits = {"max_objects_per_image": max_objects_per_image, "min_area": min_area, "seed": seed}
    return _drained(steps, len(dataset), progress, settings | limits)


def evaluate_baselines(
    dataset: Sequence[LabelledImage],
    *,
    settings: Mapping[str, BaselineSettings],
    max_objects_per_image: int = 16,
    min_area: int = 50,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """The same table for the trivial and classical answers.

    Parameters
    ----------
    settings
        By group; a group that is not named takes `BaselineSettings()`.
    dataset, max_objects_per_image, min_area, seed, progress
        As in `evaluate_segmenter`; with equal values the same objects are asked for.

    Raises
    ------
    DatasetError
        If the data hold no object of that size, or a file cannot be used.
    MissingExtraError
        If OpenCV is not installed.
    """
    steps = score_images(
        baseline_method(settings),
        dataset,
        max_objects_per_image=max_objects_per_image,
        min_area=min_area,
        seed=seed,
    )
    recorded: dict[str, Any] = {
        "baselines": {group: chosen.to_dict() for group, chosen in settings.items()},
        "max_objects_per_image": max_objects_per_image,
        "min_area": min_area,
        "seed": seed,
    }
    return _drained(steps, len(dataset), progress, recorded)


def score_images(
    method: Method,
    dataset: Iterable[LabelledImage],
    *,
    max_objects_per_image: int = 16,
    min_area: int = 50,
    seed: int = 0,
) -> Iterator[tuple[ObjectScore, ...]]:
    """The generator behind the evaluations: the scores of one picture after another.

    A picture without objects of `min_area` gives an empty tuple, and the method is not asked.
    """
    for item in dataset:
        picture, questions = questions_of(item, max_objects_per_image, min_area, seed)
        yield _scored(method, picture, questions)


def score_objects(
    segmenter: Segmenter,
    pictures: Iterable[KnownImage],
    *,
    max_objects_per_image: int | None = None,
    min_area: int = 1,
    seed: int = 0,
    multimask_output: bool | None = None,
) -> Iterator[tuple[ObjectScore, ...]]:
    """IoU of one centre click and of the box, for objects that a caller already holds.

    The same as `evaluate_segmenter`, for pictures and masks that are in no folder: nothing is
    asked of the iterable before its turn, and no whole mask is made. An error ends the generator:
    whoever must go on after a picture that fails calls this once for each picture.

    Parameters
    ----------
    segmenter
        What is measured; every picture with an object is encoded once.
    pictures
        Made one at a time by the caller; `Target.of` makes an object from a mask in its box.
    max_objects_per_image
        Of each picture at most so many objects, drawn with `seed`; None asks for all.
    min_area
        Smaller objects are left out, pixels.
    multimask_output
        As in `evaluate_segmenter`.

    Yields
    ------
    The scores of one picture after another, none for a picture without an object; `Report` makes
    tables of them, `group_table` compares groups.

    Raises
    ------
    ModelError
        If the segmenter takes neither points nor boxes.
    """
    method = segmenter_method(segmenter, multimask_output=multimask_output)
    for picture in pictures:
        large = [target for target in picture.targets if target.area >= max(min_area, 1)]
        chosen = choose_targets(large, max_objects_per_image, picture.id, seed)
        yield _scored(method, picture, _questions(chosen))


def questions_of(
    item: LabelledImage, limit: int, min_area: int, seed: int = 0
) -> tuple[KnownImage, list[Question]]:
    """A picture with its objects, and what is asked about at most `limit` of them."""
    picture = load_known(item, min_area)
    return picture, _questions(choose_targets(picture.targets, limit, item.id, seed))


def segmenter_method(segmenter: Segmenter, *, multimask_output: bool | None = None) -> Method:
    """A segmenter as a `Method`: one encoding a picture, clicks and then boxes.

    Raises
    ------
    ModelError
        If it takes neither points nor boxes.
    """
    name, kinds = segmenter.info.name, segmenter.info.prompt_kinds
    asked = [prompt for prompt, kind in (("click", "points"), ("box", "box")) if kind in kinds]
    if not asked:
        raise ModelError(f"{name} takes {kinds}: a model that takes points or boxes is needed.")

    def answers(picture: KnownImage, questions: Sequence[Question]) -> Iterator[Answer]:
        embedding = segmenter.encode(picture.image)
        for prompt in asked:
            found = segmenter.decode_many(
                embedding,
                [_prompt(prompt, question) for question in questions],
                multimask_output=multimask_output,
            )
            for question, masks in zip(questions, found, strict=True):
                ranked = [masks.crop(index) for index in masks.ranked]
                yield Answer(name, prompt, question, ranked)

    return answers


def baseline_method(settings: Mapping[str, BaselineSettings]) -> Method:
    """The trivial and classical answers as one `Method`; `settings` by group."""

    def answers(picture: KnownImage, questions: Sequence[Question]) -> Iterator[Answer]:
        image, chosen = picture.image, settings.get(picture.group, BaselineSettings())
        size = (image.shape[0], image.shape[1])
        whole = (0, 0, size[1], size[0])
        for question in questions:
            click, box = question.click, question.target.box
            flooded = flood_fill(image, click, chosen.tolerance)
            walked = random_walk(image, click, beta=chosen.beta, radius=chosen.radius)
            cut = grab_cut(image, box, margin=chosen.margin)
            yield Answer("flood fill", "click", question, [(flooded, whole)])
            yield Answer("random walker", "click", question, [(walked, whole)])
            yield Answer("filled box", "box", question, [(fill_box(size, box), whole)])
            ellipse = inscribed_ellipse(size, box)
            yield Answer("inscribed ellipse", "box", question, [(ellipse, whole)])
            yield Answer("GrabCut", "box", question, [(cut, whole)])

    return answers


def _drained(
    steps: Iterator[tuple[ObjectScore, ...]],
    total: int,
    progress: Progress | None,
    settings: Mapping[str, Any],
) -> Report:
    scores: list[ObjectScore] = []
    for done, found in enumerate(steps, 1):
        scores += found
        if progress is not None:
            progress(done, total)
    if not scores:
        raise DatasetError(
            f"None of {total} pictures holds an object of at least {settings['min_area']} px: "
            "check the masks or ask with a smaller min_area."
        )
    return Report(tuple(scores), settings)


def _questions(targets: Sequence[Target]) -> list[Question]:
    return [Question(target, _click(target)) for target in targets]


def _click(target: Target) -> tuple[int, int]:
    x, y = centre_point(target.crop)
    return target.box[0] + x, target.box[1] + y


def _prompt(kind: str, question: Question) -> Prompt:
    if kind == "box":
        return Prompt(box=question.target.box)
    return Prompt(point_coords=[question.click], point_labels=[1])


def _scored(
    method: Method, picture: KnownImage, questions: Sequence[Question]
) -> tuple[ObjectScore, ...]:
    answers = method(picture, questions) if questions else ()
    return tuple(_score(picture, answer) for answer in answers)


def _score(picture: KnownImage, answer: Answer) -> ObjectScore:
    target = answer.question.target
    found = [
        crop_iou(crop, box, target.crop, target.box, picture.ignore) for crop, box in answer.masks
    ]
    return ObjectScore(
        method=answer.method,
        prompt=answer.prompt,
        group=picture.group if target.group is None else target.group,
        image_id=picture.id,
        label=target.label,
        area=target.area,
        iou=found[0],
        oracle=max(found) if len(found) > 1 else None,
    )
