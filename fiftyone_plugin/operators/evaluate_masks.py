"""Evaluate masks: how good the masks of a field are against known ones."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.evaluating import MaskSettings, evaluate_masks, read_settings
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import add_masks_field
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "EvaluateMasks", "evaluated"]


class EvaluateMasks(FormOperator):
    """Mask AP, Boundary AP and IoU of one field of masks against another."""

    operator = "evaluate_masks"
    title = "Evaluate masks"
    description = "How good the masks of a field are against known ones."
    target = "Evaluate"
    risk = types.RiskLevel.LOW

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Two fields, how they are matched, and what is written."""
        add_masks_field(inputs, dataset, "truth_field", label="Known masks")
        parts.add_other_masks(
            inputs,
            dataset,
            ctx.params,
            "prediction_field",
            "Masks to evaluate",
            "Their confidence says which are surest.",
        )
        _add_settings(inputs, ctx.params)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Numbers in their range."""
        _settings(params)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Evaluate, and keep the result."""
        return evaluated(self.samples(ctx), ctx.params, progress, stop)

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """The numbers, and the table of classes."""
        parts.add_table(outputs, result)


def _add_settings(inputs: Any, params: Mapping[str, Any]) -> None:
    inputs.bool(
        "by_class",
        label="By class",
        description="A mask finds only objects of its own class. Off: classes play no part.",
        default=True,
    )
    parts.add_key(inputs, "eval")
    parts.add_attributes(
        inputs,
        params,
        "Result (tp, fp, fn), IoU, boundary IoU and the id of the partner, to filter by.",
        "eval",
    )
    if params.get("write"):
        inputs.bool(
            "save_views",
            label="Save views of what is wrong",
            description="One of masks without a known object, one of known objects without a mask.",
            default=False,
        )
    if parts.add_more(inputs, params, "Numbers"):
        usual = MaskSettings()
        inputs.float("match_iou", label="A pair from IoU", default=usual.match_iou)
        inputs.int(
            "max_detections",
            label="Masks of a picture and class that take part in AP",
            description="COCO takes 100; raise it for crowded pictures.",
            default=usual.max_detections,
        )
        inputs.float(
            "dilation",
            label="Width of the border band, part of the diagonal",
            default=usual.dilation,
        )


def _settings(params: Mapping[str, Any]) -> MaskSettings:
    """The form as settings; what belongs to attributes counts only where they are written."""
    writes = bool(params.get("write") or params.get("attributes"))
    given = {"attributes": "eval", **{k: v for k, v in params.items() if v not in (None, "")}}
    if not writes:
        given |= {"attributes": "", "save_views": False}
    return read_settings(MaskSettings, given)


def evaluated(
    view: Any, params: Mapping[str, Any], progress: Tell | None, stop: Stop | None
) -> dict[str, Any]:
    """The result of a filled form, for the App, scripts and commands."""
    report = evaluate_masks(
        view,
        parts.field_of(params, "prediction_field"),
        parts.field_of(params, "truth_field"),
        _settings(params),
        key=parts.text_of(params, "key"),
        overwrite=bool(params.get("overwrite")),
        progress=progress,
        stop=stop,
    )
    return report.to_json()


OPERATORS = [EvaluateMasks]
