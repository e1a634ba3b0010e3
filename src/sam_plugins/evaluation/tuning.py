"""Settings of the classical tools, chosen on training pictures so that they are no straw men.

Every tool gets, for every group of pictures, the setting of a small grid that does best there.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.baselines import (
    BaselineSettings,
    flood_fill,
    grab_cut,
    random_walk,
)
from sam_plugins.evaluation.dataset import KnownImage, LabelledImage
from sam_plugins.evaluation.metrics import crop_iou
from sam_plugins.evaluation.runner import Question, questions_of

__all__ = ["BETAS", "MARGINS", "RADII", "TOLERANCES", "tune_baselines"]

TOLERANCES = (4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0)
"""Of the flood fill, grey levels."""

MARGINS = (1.0, 3.0, math.inf)
"""Of GrabCut, sides of the box."""

BETAS = (130.0, 1000.0, 4000.0)
"""Of the random walker."""

RADII = (2.0, 4.0)
"""Of the random walker's seed, pixels: a click, not a guess of the object's size."""

_SLOW_TOOL_STEP = 3

Example = tuple[KnownImage, Question]
Setting = TypeVar("Setting")


def tune_baselines(
    dataset: Sequence[LabelledImage],
    *,
    images_per_group: int = 24,
    objects_per_image: int = 2,
    min_area: int = 50,
    seed: int = 0,
) -> Iterator[tuple[str, BaselineSettings]]:
    """The best setting of every tool, one group of pictures after another.

    Parameters
    ----------
    dataset
        Training pictures, none of which is evaluated.
    images_per_group, objects_per_image
        How many are drawn with `seed`; the random walker, which is slow, is tried on every third
        of them.
    min_area
        Smaller objects are left out, pixels.

    Yields
    ------
    (group, settings)

    Raises
    ------
    DatasetError
        If a group holds no object of that size.
    MissingExtraError
        If OpenCV is not installed.
    """
    rng = np.random.default_rng(seed)
    for group in dict.fromkeys(item.group for item in dataset):
        items = [item for item in dataset if item.group == group]
        chosen = [items[index] for index in rng.permutation(len(items))[:images_per_group]]
        examples = [
            (sample, question)
            for sample, questions in (
                questions_of(item, objects_per_image, min_area, seed) for item in chosen
            )
            for question in questions
        ]
        if not examples:
            raise DatasetError(
                f"{len(chosen)} training pictures of {group} hold no object of at least "
                f"{min_area} px: nothing can be tuned on them."
            )
        yield group, _tuned(examples)


def _tuned(examples: Sequence[Example]) -> BaselineSettings:
    tolerance = _best(TOLERANCES, examples, lambda s, q, t: flood_fill(s.image, q.click, t))
    margin = _best(MARGINS, examples, lambda s, q, m: grab_cut(s.image, q.target.box, margin=m))
    beta, radius = _best(
        itertools.product(BETAS, RADII),
        examples[::_SLOW_TOOL_STEP],
        lambda s, q, pair: random_walk(s.image, q.click, beta=pair[0], radius=pair[1]),
    )
    return BaselineSettings(tolerance=tolerance, margin=margin, beta=beta, radius=radius)


def _best(
    grid: Iterable[Setting],
    examples: Sequence[Example],
    answer: Callable[[KnownImage, Question, Setting], NDArray[np.bool_]],
) -> Setting:
    """The setting with the highest mean IoU, the earliest of equals."""

    def mean(setting: Setting) -> float:
        scores = [
            crop_iou(
                answer(sample, question, setting),
                (0, 0, sample.image.shape[1], sample.image.shape[0]),
                question.target.crop,
                question.target.box,
                sample.ignore,
            )
            for sample, question in examples
        ]
        return float(np.mean(scores))

    return max(grid, key=mean)
