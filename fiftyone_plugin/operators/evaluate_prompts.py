"""Evaluate a model: one click and the box of each known object."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.evaluating import ClickSettings, evaluate_prompts, read_settings
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.choices import MODEL_FILE
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import add_masks_field
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.ports import Segmenter

__all__ = ["OPERATORS", "EvaluatePrompts", "asked", "segmenter_of"]


class EvaluatePrompts(FormOperator):
    """IoU of one centre click and of the box, for every known object."""

    operator = "evaluate_prompts"
    title = "Evaluate a model by clicks and boxes"
    description = "How well a model answers one click on, and the box of, each known object."
    target = "Evaluate"
    risk = types.RiskLevel.LOW

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Known masks, a model, and what is written."""
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

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Numbers in their range."""
        _settings(params)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Ask the model, and keep the result."""
        return asked(self.samples(ctx), ctx.params, segmenter_of(ctx.params), progress, stop)

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """The numbers, and the table of classes."""
        parts.add_table(outputs, result)


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
    return report.to_json()


OPERATORS = [EvaluatePrompts]
