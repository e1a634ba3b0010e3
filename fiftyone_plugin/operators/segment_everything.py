"""Everything to masks: whatever there is in the pictures, without labels that ask."""

from typing import Any

from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.segmenting import SegmentOperator
from fiftyone_plugin.values import Mode

__all__ = ["OPERATORS", "SegmentEverything"]


class SegmentEverything(SegmentOperator):
    """Everything in the pictures becomes instance masks."""

    mode = Mode.EVERYTHING
    operator = "segment_everything"
    title = "Everything to masks"
    description = "Segment whatever there is in the pictures; no labels are needed."
    icon = "blur_on"

    def ask(self, inputs: Any, dataset: Any, params: dict[str, Any]) -> None:
        """How densely it looks."""
        form.add_everything_grid(inputs)


OPERATORS = [SegmentEverything]
