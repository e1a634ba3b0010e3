"""Operators: what the App's forms offer. One file each, with its classes in a list `OPERATORS`.

`form_operator` is the frame that they share; a subclass says only what is its own. A new file
becomes one line of `MODULES` here, and its operators lines of `fiftyone.yml`: FiftyOne passes over
what is not declared there.
"""

from importlib import import_module
from typing import Any

__all__ = ["MODULES", "register_all"]

MODULES = (
    "fiftyone_plugin.operators.segment_prompts",
    "fiftyone_plugin.operators.segment_everything",
    "fiftyone_plugin.operators.follow_video",
    "fiftyone_plugin.operators.open_review",
    "fiftyone_plugin.operators.manage_runs",
    "fiftyone_plugin.operators.reprompt_open",
    "fiftyone_plugin.operators.reprompt_click",
    "fiftyone_plugin.operators.reprompt_accept",
    "fiftyone_plugin.operators.work_on_shard",
    "fiftyone_plugin.operators.export_masks",
    "fiftyone_plugin.operators.import_masks",
    "fiftyone_plugin.operators.reprompt_undo",
    "fiftyone_plugin.operators.judge_masks",
    "fiftyone_plugin.operators.resolve_duplicates",
    "fiftyone_plugin.operators.review_panel",
    "fiftyone_plugin.operators.review_selected",
    "fiftyone_plugin.operators.removed_masks",
    "fiftyone_plugin.operators.evaluate_masks",
    "fiftyone_plugin.operators.evaluate_prompts",
    "fiftyone_plugin.operators.find_mistakes",
    "fiftyone_plugin.operators.compare_groups",
    "fiftyone_plugin.operators.manage_evaluations",
)
"""Each has a list `OPERATORS` of Operator and Panel classes."""


def register_all(plugin: Any) -> None:
    """Register every class of `MODULES` with FiftyOne's registration context."""
    for module in MODULES:
        for operator in import_module(module).OPERATORS:
            plugin.register(operator)
