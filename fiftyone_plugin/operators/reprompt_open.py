"""Opens a sample for re-prompting: its picture is prepared, and its labels can be chosen."""

from typing import Any

import fiftyone.operators as foo

from fiftyone_plugin.operators.reprompting import (
    answered,
    open_sample,
    opened_json,
    prepared,
    read_document,
    unlisted,
)
from fiftyone_plugin.operators.sentences import likely_masks
from fiftyone_plugin.review import Corrections, detections_fields, mark_of

__all__ = ["OPERATORS", "RepromptOpen"]

MOST_LABELS = 5000
MOST_CLASSES = 200


class RepromptOpen(foo.Operator):
    """Called by the panel until the picture is ready."""

    @property
    def config(self) -> Any:
        """Unlisted."""
        return unlisted("reprompt_open", "Open a sample for re-prompting")

    def execute(self, ctx: Any) -> dict[str, Any]:
        """`state`, `size`, and what the sample and its dataset have to choose from."""
        return answered(lambda: self._opened(ctx))

    def _opened(self, ctx: Any) -> dict[str, Any]:
        sample = open_sample(ctx)
        _, opened = prepared(ctx, sample)
        fields = detections_fields(ctx.dataset)
        likely = likely_masks(ctx.dataset, fields)
        fields.sort(key=lambda name: name != likely)  # the panel adds to the first
        document = read_document(ctx, str(sample.id))
        labels = [
            {
                "field": field,
                "id": str(label["_id"]),
                "label": label.get("label") or "",
                "box": label.get("bounding_box"),
                "has_mask": bool(label.get("mask") or label.get("mask_path")),
                "mark": mark_of(label),
            }
            for field in fields
            for label in (document.get(field) or {}).get("detections") or ()
        ]
        return {
            **opened_json(opened),
            "fields": fields,
            "labels": labels[:MOST_LABELS],
            "classes": sorted(
                {one["label"] for one in labels if one["label"]}
                | set(ctx.dataset.default_classes)
                | {name for names in ctx.dataset.classes.values() for name in names}
            )[:MOST_CLASSES],
            "undo": Corrections(ctx.dataset, str(sample.id)).count,
        }


OPERATORS = (RepromptOpen,)
