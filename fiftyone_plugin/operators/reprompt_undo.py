"""Takes the mask that was accepted last in a sample back."""

from typing import Any

import fiftyone.operators as foo

from fiftyone_plugin.operators.reprompting import answered, open_sample, unlisted, written_json
from fiftyone_plugin.review import Corrections

__all__ = ["OPERATORS", "RepromptUndo"]


class RepromptUndo(foo.Operator):
    """Called by the panel to take back what was accepted."""

    @property
    def config(self) -> Any:
        """Unlisted."""
        return unlisted("reprompt_undo", "Take back an accepted mask")

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Put the former label of the sample back."""
        return answered(lambda: self._undo(ctx))

    def _undo(self, ctx: Any) -> dict[str, Any]:
        corrections = Corrections(ctx.dataset, str(open_sample(ctx).id))
        label_id = corrections.undo()
        return {"label_id": label_id, **written_json(ctx, corrections)}


OPERATORS = (RepromptUndo,)
