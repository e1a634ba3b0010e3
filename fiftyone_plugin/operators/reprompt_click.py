"""Answers clicks and boxes on an open sample."""

from typing import Any

import fiftyone.operators as foo

from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.operators.reprompting import (
    answered,
    mask_png,
    open_sample,
    opened_json,
    prepared,
    unlisted,
)
from fiftyone_plugin.review import read_interaction, shared_reprompter

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
        """
        return answered(lambda: self._answer(ctx))

    def _answer(self, ctx: Any) -> dict[str, Any]:
        key, opened = prepared(ctx, open_sample(ctx))
        said = opened_json(opened)
        if opened.size is None:
            return said
        refined = shared_reprompter().answer(key, read_interaction(ctx.params, opened.size))
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
