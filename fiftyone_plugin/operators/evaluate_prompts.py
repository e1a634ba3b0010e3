"""Evaluate a model: one click and the box of each known object."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.evaluating import ClickSettings, evaluate_prompts, read_settings
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.choices import MODEL_FILE
from fiftyone_plugin.operators.listing import button, listed
from fiftyone_plugin.operators.sentences import add_masks_field
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.errors import SamPluginsError
from sam_plugins.ports import Segmenter

__all__ = ["OPERATORS", "EvaluatePrompts", "asked", "segmenter_of"]

TITLE = "Evaluate a model by clicks and boxes"


class EvaluatePrompts(foo.Operator):
    """IoU of one centre click and of the box, for every known object."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "evaluate_prompts",
            TITLE,
            "How well a model answers one click on, and the box of, each known object.",
            risk=types.RiskLevel.LOW,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: known masks, a model, and what is written."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            inputs.view_target(ctx, action_description="Evaluate", require_flat=True)
            add_masks_field(inputs, dataset, "truth_field", label="Known masks")
            form.add_model(inputs, ctx.params)
            inputs.int(
                "max_objects",
                min=0,
                label="Objects of a picture at most",
                description="Drawn at random, the same each time. 0 asks for all.",
                default=0,
            )
            inputs.int("min_area", min=0, label="Least area in pixels", default=1)
            parts.add_key(inputs, "clicks")
            parts.add_attributes(
                inputs,
                ctx.params,
                "IoU of the click and of the box, in each known label, to filter and group by.",
                "nano",
            )
            _settings(ctx.params)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, TITLE)

    def execute(self, ctx: Any) -> Any:
        """Ask the model, and keep the result."""

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            view = ctx.target_view(require_flat=True)
            return asked(view, ctx.params, segmenter_of(ctx.params), progress, stop)

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """The numbers, and the table of classes."""
        return parts.table_of(ctx, TITLE)

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return button(TITLE, "ads_click")


def _settings(params: Mapping[str, Any]) -> ClickSettings:
    """The form as settings; attributes without a name begin with "nano"."""
    writes = bool(params.get("write") or params.get("attributes"))
    given = {"attributes": "nano", **{k: v for k, v in params.items() if v not in (None, "")}}
    return read_settings(ClickSettings, given if writes else {**given, "attributes": ""})


def segmenter_of(params: Mapping[str, Any]) -> Segmenter:
    """The model of a filled form."""
    name = parts.text_of(params, "model") or "nano"
    if name == MODEL_FILE:
        name = parts.text_of(params, "model_path")
    return segmenter_for(name or "nano", parts.text_of(params, "precision") or "fp32")


def asked(
    view: Any,
    params: Mapping[str, Any],
    segmenter: Segmenter,
    progress: Tell | None,
    stop: Stop | None,
) -> dict[str, Any]:
    """The result of a filled form, for the App, scripts and commands."""
    report = evaluate_prompts(
        view,
        parts.field_of(params, "truth_field"),
        segmenter,
        _settings(params),
        key=parts.text_of(params, "key"),
        overwrite=bool(params.get("overwrite")),
        progress=progress,
        stop=stop,
    )
    return parts.with_table(report.sentences, report.to_json())


OPERATORS = [EvaluatePrompts]
