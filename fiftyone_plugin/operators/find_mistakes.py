"""Find label mistakes: labels that a model contradicts, as attributes and saved views."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.evaluating import find_label_mistakes, mistake_settings
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.listing import button, listed
from fiftyone_plugin.operators.sentences import add_masks_field, sentences
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.errors import SamPluginsError
from sam_plugins.evaluation import MistakeSettings

__all__ = ["OPERATORS", "FindMistakes", "searched"]

TITLE = "Find label mistakes"

_LABELS = {
    "min_score": "A prediction speaks from confidence",
    "fit_iou": "Does not fit: IoU below",
    "label_iou": "Other label: IoU from",
    "elsewhere_iou": "Missing or spurious: IoU with every other below",
    "double_iou": "Double: IoU from",
    "double_containment": "Double: part of the smaller inside from",
}


class FindMistakes(foo.Operator):
    """Labels that do not fit, are missing, spurious, double, or named otherwise."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "find_mistakes",
            TITLE,
            "Labels that a model contradicts, worst first, with reasons.",
            risk=types.RiskLevel.LOW,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: the labels in question, the model's masks, and thresholds."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            inputs.view_target(ctx, action_description="Search", require_flat=True)
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
            mistake_settings(ctx.params)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, TITLE)

    def execute(self, ctx: Any) -> Any:
        """Search, and save the views."""

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            return searched(ctx.target_view(require_flat=True), ctx.params, progress, stop)

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """How many of each kind."""
        return parts.table_of(ctx, TITLE)

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return button(TITLE, "troubleshoot")


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
    return sentences(*report.sentences, **report.to_json())


OPERATORS = [FindMistakes]
