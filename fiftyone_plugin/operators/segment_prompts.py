"""Prompts to masks: boxes, points and masks of a dataset's labels become instance masks."""

from collections.abc import Mapping
from typing import Any

from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.segmenting import SegmentOperator
from fiftyone_plugin.values import Mode

__all__ = ["OPERATORS", "SegmentPrompts"]


class SegmentPrompts(SegmentOperator):
    """Boxes, points and masks become instance masks."""

    mode = Mode.PROMPTS
    operator = "segment_prompts"
    title = "Prompts to masks"
    description = "Segment what boxes, points or masks of the dataset's labels ask for."
    button = "auto_awesome"

    def ask_mode(self, inputs: Any, dataset: Any, params: Mapping[str, Any]) -> None:
        """Fields of boxes, points and masks; what links them, and what becomes of the boxes."""
        boxes = form.labels_fields(dataset, "Detections")
        points = form.labels_fields(dataset, "Keypoints")
        form.add_field(inputs, "box_field", boxes, "Boxes", "Each box asks for one object.")
        form.add_field(
            inputs, "point_field", points, "Points", "Each keypoint asks for one object."
        )
        form.add_field(
            inputs, "mask_field", boxes, "Masks", "Each mask asks again, and is refined."
        )
        box_field, point_field = params.get("box_field"), params.get("point_field")
        if point_field in points:
            form.add_signs(inputs, dataset, point_field)
        if box_field in boxes and point_field in points:
            form.add_links(inputs, dataset, box_field, point_field)
        if box_field in boxes:
            form.add_box_mode(inputs)


OPERATORS = [SegmentPrompts]
