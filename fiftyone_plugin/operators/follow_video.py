"""Follow objects: boxes or masks on some frames of a video become masks on all of them."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.segmenting import SegmentOperator
from fiftyone_plugin.values import Mode

__all__ = ["OPERATORS", "FollowVideo"]

_FRAMES = "frames."


class FollowVideo(SegmentOperator):
    """Objects are followed through all frames of their video, forward and back."""

    mode = Mode.VIDEO
    operator = "follow_video"
    title = "Follow objects"
    description = "Segment objects on every frame of a video, from boxes or masks on some frames."

    def ask_mode(self, inputs: Any, dataset: Any, params: Mapping[str, Any]) -> None:
        """Fields of the frames with boxes, masks and points; what becomes of the boxes."""
        boxes = _of_frames(dataset, "Detections")
        points = _of_frames(dataset, "Keypoints")
        inputs.view(
            "tracks",
            types.Notice(
                label="Labels of several frames with the same label and index are one object. Each "
                "other label is an object of its own."
            ),
        )
        form.add_field(inputs, "box_field", boxes, "Boxes", "Each is followed to all other frames.")
        form.add_field(
            inputs, "mask_field", boxes, "Masks", "Each is followed as it is, not segmented again."
        )
        form.add_field(inputs, "point_field", points, "Points", "They say more about a box.")
        box_field, point_field = params.get("box_field"), params.get("point_field")
        if point_field in points:
            form.add_signs(inputs, dataset, point_field)
        if box_field in boxes and point_field in points:
            form.add_links(inputs, dataset, box_field, point_field)
        if box_field in boxes:
            form.add_box_mode(inputs)


def _of_frames(dataset: Any, kind: str) -> list[str]:
    return [name for name in form.labels_fields(dataset, kind) if name.startswith(_FRAMES)]


OPERATORS = [FollowVideo]
