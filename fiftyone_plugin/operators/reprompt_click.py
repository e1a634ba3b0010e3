"""Answers clicks and boxes on an open sample."""

from dataclasses import asdict
from typing import Any

import fiftyone.operators as foo

from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.operators.reprompting import (
    answered,
    asked,
    mask_png,
    open_sample,
    opened_json,
    prepared,
    unlisted,
)
from fiftyone_plugin.review import Corrections, shared_reprompter

__all__ = ["OPERATORS", "RepromptClick"]


class RepromptClick(foo.Operator):
    """Called by the panel after each click."""

    @property
    def config(self) -> Any:
        """Unlisted."""
        return unlisted("reprompt_click", "Answer a click")

    def execute(self, ctx: Any) -> dict[str, Any]:
        """`mask`, a picture of the crop, and its `box`, `score`, `area`, `answer` of `answers`.

        `mask` is null where nothing was found; `state` alone where the picture is not ready.
        Where a mask was named to begin with, also its `mark` and the pixels `added`, `removed`.
        """
        return answered(lambda: self._answer(ctx))

    def _answer(self, ctx: Any) -> dict[str, Any]:
        sample = open_sample(ctx)
        key, opened = prepared(ctx, sample)
        said = opened_json(opened)
        if opened.size is None:
            return said
        corrections = Corrections(ctx.dataset, str(sample.id))
        interaction, start = asked(ctx, corrections, opened.size)
        refined = shared_reprompter().answer(key, interaction)
        if start is not None:
            said |= {"mark": start.mark, **asdict(start.changed_by(refined))}
        return {
            **said,
            "mask": mask_png(refined.crop) if refined.crop.size else None,
            "box": whole_to_relative_box(refined.box, opened.size),
            "score": refined.score,
            "area": int(refined.crop.sum()),
            "answer": refined.answer,
            "answers": refined.answers,
        }


OPERATORS = (RepromptClick,)
