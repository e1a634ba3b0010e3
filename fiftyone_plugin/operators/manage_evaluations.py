"""Evaluations: what came out of each, and to delete one with what it wrote."""

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.evaluating import (
    Deleted,
    Record,
    delete_evaluation,
    list_evaluations,
    load_evaluation,
)
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import sentences
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "ManageEvaluations", "described", "told"]


class Action(StrEnum):
    """What is done with an evaluation."""

    SHOW = "show"
    DELETE = "delete"


_ACTIONS = {
    Action.SHOW: ("Look at it", "Its numbers and its table."),
    Action.DELETE: (
        "Delete",
        "Its record, its saved views and the attributes that it wrote go; masks and labels stay.",
    ),
}
_KINDS = {
    "masks": "{prediction_field} against {truth_field}",
    "prompts": "{model} by clicks and boxes on {truth_field}",
    "mistakes": "mistakes of {truth_field}, by {prediction_field}",
    "groups": "{measure} of {label_field} by {by}",
}


def described(record: Record) -> str:
    """An evaluation in a line: what was measured, and how much of it is in the labels."""
    words = defaultdict(lambda: "?", {**record.settings, **record.fields})
    what = _KINDS.get(record.kind, record.kind).format_map(words)
    number = sum(map(len, record.writes.values()))
    return f"{what}, {number} attributes in the labels" if number else what


def told(deleted: Deleted) -> list[str]:
    """What a deletion took away and what it left, in words."""
    said = ["The evaluation is gone."]
    for what, names in (
        ("Attributes that are gone", deleted.attributes),
        ("Saved views that are gone", deleted.views),
        ("Attributes that others made or use, and that stay", deleted.kept),
    ):
        said += [f"{what}: {', '.join(names)}."] if names else []
    return said


class ManageEvaluations(FormOperator):
    """List the dataset's evaluations; look at or delete one."""

    operator = "manage_evaluations"
    title = "Evaluations"
    description = "See what came out of each evaluation; delete one with what it wrote."

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which evaluation, and what to do with it."""
        known = {each.key: (each.key, described(each)) for each in list_evaluations(dataset)}
        if not known:
            raise FieldError(
                "Expected an evaluation on this dataset, found none: 'Evaluate masks' and 'Compare "
                "groups' make one. Those of FiftyOne itself are in its panel Model Evaluation."
            )
        usual = list(known)[-1]
        form.add_radio(inputs, "key", known, usual, label="Evaluation", required=True)
        words = {"label": "What to do", "required": True}
        form.add_radio(inputs, "action", _ACTIONS, Action.SHOW, **words)
        if ctx.params.get("action") == Action.DELETE:
            form.add_consent(
                inputs,
                ctx.params,
                "Delete this evaluation; this cannot be undone",
                "Expected your consent, found none: tick the box to delete.",
                name="agreed",
            )

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Load it, or delete it."""
        key, action = parts.text_of(ctx.params, "key"), ctx.params.get("action")
        if action == Action.SHOW:
            return load_evaluation(dataset, key)
        if action == Action.DELETE:
            if ctx.params.get("agreed") is not True:
                raise FieldError("Expected your consent to delete, found none: give agreed=True.")
            return sentences(*told(delete_evaluation(dataset, key)), key=key, deleted=True)
        raise FieldError(f"Expected {' or '.join(Action)} for action, found {action!r}.")

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """Its sentences and its table."""
        parts.add_table(outputs, result)


OPERATORS = [ManageEvaluations]
