"""Writes the mask that was asked for into a sample."""

from typing import Any

import fiftyone.operators as foo

from fiftyone_plugin.errors import LabelChangedError, ReviewError
from fiftyone_plugin.operators.reprompting import (
    answered,
    asked,
    open_sample,
    prepared,
    unlisted,
    written_json,
)
from fiftyone_plugin.review import Corrections, Key, Opened, shared_reprompter
from sam_plugins.types import Size

__all__ = ["OPERATORS", "RepromptAccept"]


class RepromptAccept(foo.Operator):
    """Called by the panel on Accept."""

    @property
    def config(self) -> Any:
        """Unlisted."""
        return unlisted("reprompt_accept", "Accept a mask")

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Replace the mask of `label_id` in `field`, or add a label of class `label` there.

        `mark` names what `label_id` held when it was looked at; where `start` is given, its mark
        does. `new_field` names the field if it was made for it. Where somebody has changed the
        label meanwhile, `sample` comes with the `error`, as it is now.
        """
        return answered(lambda: self._accept(ctx))

    def _accept(self, ctx: Any) -> dict[str, Any]:
        sample = open_sample(ctx)
        key, opened = prepared(ctx, sample)
        if opened.size is None:
            raise ReviewError("The picture is still being prepared: try again in a moment.")
        corrections = Corrections(ctx.dataset, str(sample.id))
        try:
            return self._written(ctx, key, opened, opened.size, corrections)
        except LabelChangedError as error:
            return {"error": str(error), **written_json(ctx, corrections)}

    def _written(
        self, ctx: Any, key: Key, opened: Opened, size: Size, corrections: Corrections
    ) -> dict[str, Any]:
        interaction, start = asked(ctx, corrections, size)
        refined = shared_reprompter().answer(key, interaction)
        if start is not None and not start.changed_by(refined):
            raise ReviewError(
                "The mask is as it was, so nothing was written: click on what is missing, or "
                "Alt+click on what is too much."
            )
        field, label_id = _text(ctx, "field"), _text(ctx, "label_id")
        if start is not None and (start.field, start.label_id) != (field, label_id):
            raise ReviewError(
                f"Expected the label that the clicks correct, {start.label_id} in {start.field}, "
                f"found {label_id or 'a new one'} in {field}: choose the label again."
            )
        seen = _text(ctx, "mark") if start is None else ctx.params["start"]["mark"]
        if label_id and not seen:
            raise ReviewError(
                f"Expected the mark of the label {label_id} as it was looked at, found none: "
                "reload the page."
            )
        mark = seen if start is None else start.label_mark
        known = ctx.dataset.has_sample_field(field)
        if label_id:
            corrections.replace(field, label_id, refined, size, opened.model_id, mark=mark)
        else:
            label_id = corrections.add(field, _text(ctx, "label"), refined, size, opened.model_id)
        if not known:
            ctx.ops.reload_dataset()  # the App learns of a field in no other way
        new = {} if known else {"new_field": field}
        return {"label_id": label_id, **new, **written_json(ctx, corrections)}


def _text(ctx: Any, name: str) -> str:
    value = ctx.params.get(name)
    return value if isinstance(value, str) else ""


OPERATORS = (RepromptAccept,)
