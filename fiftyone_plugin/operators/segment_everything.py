"""Everything to masks: whatever there is in the pictures, or in patches of them."""

from collections.abc import Mapping
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
    button = "blur_on"

    def ask_mode(self, inputs: Any, dataset: Any, params: Mapping[str, Any]) -> None:
        """Where it looks, and how densely."""
        boxes = form.labels_fields(dataset, "Detections")
        form.add_field(
            inputs,
            "box_field",
            boxes,
            "Inside these boxes alone",
            "Each patch is searched as a picture of its own, so that small things are seen larger. "
            "Empty: the whole picture.",
        )
        form.add_everything_grid(inputs)


OPERATORS = [SegmentEverything]
