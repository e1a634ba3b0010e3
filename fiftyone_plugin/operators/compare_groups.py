"""Compare groups: for what it is worse, in numbers with intervals."""

from collections.abc import Callable, Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.evaluating import (
    OF_MODELS,
    OF_PAIRS,
    OF_PICTURES,
    WORDS,
    ClickSettings,
    GroupSettings,
    MaskSettings,
    compare_groups,
    read_settings,
)
from fiftyone_plugin.operators import evaluating_parts as parts
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.evaluate_prompts import segmenter_of
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import add_masks_field
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.ports import Segmenter

__all__ = ["OPERATORS", "CompareGroups", "compared"]

_NO_GROUPS = {"id", "filepath", "metadata", "created_at", "last_modified_at"}
_BOOKKEEPING = ("_match", "_id", "prompt_id", "mistake_reason")


class CompareGroups(FormOperator):
    """Any number by any field, with intervals: whether it is worse for some."""

    operator = "compare_groups"
    title = "Compare groups"
    description = (
        "IoU, AP or any number of labels by any field, with intervals: is it worse for some?"
    )
    target = "Compare"
    risk = types.RiskLevel.LOW

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Objects, a number of theirs, and what they are grouped by."""
        params = ctx.params
        add_masks_field(inputs, dataset, "label_field", label="Objects")
        default = inputs.properties["label_field"].type.values[0]
        field = parts.text_of(params, "label_field") or default
        _add_measure(inputs, dataset, field)
        measure = parts.text_of(params, "measure") or "iou"
        if measure in OF_PAIRS | OF_PICTURES:
            parts.add_other_masks(
                inputs,
                dataset,
                {"truth_field": field},
                "prediction_field",
                "Masks to evaluate",
                "The objects above are the known ones.",
            )
        if measure in OF_MODELS:
            form.add_model(inputs, params)
        _add_grouping(inputs, dataset, field)
        parts.add_key(inputs, "groups")
        if parts.add_more(inputs, params, "Numbers"):
            _add_numbers(inputs)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Numbers in their range."""
        read_settings(GroupSettings, params)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Measure, compare, and keep the result."""
        view = self.samples(ctx)
        return compared(view, ctx.params, lambda: segmenter_of(ctx.params), progress, stop)

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """What may be said of each group, and the table."""
        parts.add_table(outputs, result)


def _add_measure(inputs: Any, dataset: Any, label_field: str) -> None:
    import fiftyone as fo

    choices = types.AutocompleteView(allow_user_input=True)
    for name, words in WORDS.items():
        choices.add_choice(name, label=name, description=words)
    schema = _schema(dataset, label_field)
    for name, kind in schema.items():
        if isinstance(kind, fo.FloatField | fo.IntField | fo.BooleanField) and name != "index":
            label = "predicted_iou (confidence)" if name == "confidence" else name
            choices.add_choice(name, label=label)
    inputs.str(
        "measure",
        label="What is measured",
        description="A number that the labels have, or one of: "
        + "; ".join(f"{name}: {words}" for name, words in WORDS.items())
        + ".",
        default="iou",
        view=choices,
    )


def _add_grouping(inputs: Any, dataset: Any, label_field: str) -> None:
    import fiftyone as fo

    kinds = (fo.StringField, fo.BooleanField, fo.IntField, fo.FloatField)
    choices = types.AutocompleteView(allow_user_input=True)
    names = [f"{label_field}.label"]
    names += [
        f"{label_field}.detections.{name}"
        for name, kind in _schema(dataset, label_field).items()
        if name not in {"label", "mask_path", "id"}
        and not name.endswith(_BOOKKEEPING)
        and isinstance(kind, (*kinds, fo.ListField))
        and name != "bounding_box"
    ]
    for name, kind in dataset.get_field_schema().items():
        inner = kind.field if isinstance(kind, fo.ListField) else kind
        of_class = getattr(kind, "document_type", None) is fo.Classification
        if name not in _NO_GROUPS and (isinstance(inner, kinds) or of_class):
            names.append(name)
    names += ["metadata.width", "metadata.height"]
    for name in names:
        choices.add_choice(name, label=name)
    inputs.str(
        "by",
        label="Grouped by",
        description="A field of the samples or of the labels. Numbers are cut into groups of about "
        "equal size; of lists, as tags, each value is compared with the objects without it.",
        default=names[0],
        view=choices,
    )
    inputs.str(
        "reference",
        label="Compared with the group",
        description="Empty: each group is compared with all the others together.",
    )


def _add_numbers(inputs: Any) -> None:
    usual = GroupSettings()
    inputs.int("bins", min=1, max=50, label="Groups of a number", default=usual.bins)
    inputs.int(
        "min_images",
        min=2,
        label="Least pictures of a group",
        description="Nothing is said of a group from fewer.",
        default=usual.min_images,
    )
    inputs.float("confidence", label="Confidence of intervals", default=usual.confidence)
    inputs.float("match_iou", label="A pair from IoU (found)", default=MaskSettings().match_iou)
    inputs.bool("by_class", label="Pairs are of one class", default=True)


def _schema(dataset: Any, label_field: str) -> Mapping[str, Any]:
    known = dataset.get_field(f"{label_field}.detections")
    schema: Mapping[str, Any] = {} if known is None else known.field.get_field_schema()
    return schema


def compared(
    view: Any,
    params: Mapping[str, Any],
    open_model: Callable[[], Segmenter],
    progress: Tell | None,
    stop: Stop | None,
) -> dict[str, Any]:
    """The result of a filled form, for the App, scripts and commands."""
    measure = parts.text_of(params, "measure") or "iou"
    without = {"attributes": "", "save_views": False}
    field = parts.field_of(params, "label_field")
    report = compare_groups(
        view,
        field,
        parts.text_of(params, "by") or f"{field}.label",
        measure,
        read_settings(GroupSettings, params),
        prediction_field=parts.text_of(params, "prediction_field"),
        segmenter=open_model() if measure in OF_MODELS else None,
        matching=read_settings(MaskSettings, {**params, **without}),
        asking=read_settings(ClickSettings, {**params, **without}),
        key=parts.text_of(params, "key"),
        overwrite=bool(params.get("overwrite")),
        progress=progress,
        stop=stop,
    )
    return report.to_json()


OPERATORS = [CompareGroups]
