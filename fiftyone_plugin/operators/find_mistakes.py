"""Find label mistakes: labels that a model contradicts, as attributes and saved views."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.evaluating import find_label_mistakes, mistake_settings
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import add_masks_field
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.evaluation import MistakeSettings

__all__ = ["OPERATORS", "FindMistakes", "searched"]

_LABELS = {
    "min_score": "A prediction speaks from confidence",
    "fit_iou": "Does not fit: IoU below",
    "label_iou": "Other label: IoU from",
    "elsewhere_iou": "Missing or spurious: IoU with every other below",
    "double_iou": "Double: IoU from",
    "double_containment": "Double: part of the smaller inside from",
}


class FindMistakes(FormOperator):
    """Labels that do not fit, are missing, spurious, double, or named otherwise."""

    operator = "find_mistakes"
    title = "Find label mistakes"
    description = "Labels that a model contradicts, worst first, with reasons."
    target = "Search"
    risk = types.RiskLevel.LOW

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """The labels in question, the model's masks, and thresholds."""
        add_masks_field(inputs, dataset, "truth_field", label="Labels in question")
        parts.add_other_masks(
            inputs,
            dataset,
            ctx.params,
            "prediction_field",
            "Masks of a model",
            "Where they were asked for by these very labels, each is compared with its own.",
        )
        if parts.add_more(inputs, ctx.params, "Thresholds"):
            _add_thresholds(inputs)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Thresholds in their range."""
        mistake_settings(params)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Search, and save the views."""
        return searched(self.samples(ctx), ctx.params, progress, stop)

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """How many of each kind."""
        parts.add_table(outputs, result)


def _add_thresholds(inputs: Any) -> None:
    usual = MistakeSettings()
    for name, label in _LABELS.items():
        inputs.float(name, label=label, default=getattr(usual, name))
    inputs.bool(
        "overwrite",
        label="Attributes of others may be replaced",
        description="mistakes, mistake_reason, mistake_score and mistake_with, where somebody else "
        "made them.",
        default=False,
    )


def searched(
    view: Any, params: Mapping[str, Any], progress: Tell | None, stop: Stop | None
) -> dict[str, Any]:
    """The result of a filled form, for the App, scripts and commands."""
    report = find_label_mistakes(
        view,
        parts.field_of(params, "truth_field"),
        parts.field_of(params, "prediction_field"),
        mistake_settings(params),
        overwrite=bool(params.get("overwrite")),
        progress=progress,
        stop=stop,
    )
    return report.to_json()


OPERATORS = [FindMistakes]
