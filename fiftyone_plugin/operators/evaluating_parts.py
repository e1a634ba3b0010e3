"""What the operators that evaluate share: names, attributes and targets, and results as tables."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.sentences import add_sentences

__all__ = [
    "add_attributes",
    "add_key",
    "add_more",
    "add_other_masks",
    "add_table",
    "field_of",
    "text_of",
]

_MARKDOWN = "markdown"


def add_other_masks(
    inputs: Any, dataset: Any, params: Mapping[str, Any], name: str, label: str, description: str
) -> None:
    """A second field of Detections, which may be left empty."""
    others = [
        each
        for each in form.labels_fields(dataset, "Detections")
        if each != params.get("truth_field") and not each.startswith("frames.")
    ]
    form.add_field(inputs, name, others, label, description)


def add_key(inputs: Any, kind: str) -> None:
    """Under which name the result is kept."""
    inputs.str(
        "key",
        label="Keep the result as",
        description="A name for it among the dataset's runs; the same name again replaces it. "
        "Empty: it is only shown.",
        default=kind,
    )


def add_attributes(inputs: Any, params: Mapping[str, Any], description: str, usual: str) -> None:
    """Whether labels get attributes, how they begin, and consent."""
    inputs.bool(
        "write",
        label="Write attributes into the labels",
        description=description,
        default=False,
        view=types.SwitchView(),
    )
    if not params.get("write"):
        return
    inputs.str("attributes", label="Names of the attributes begin with", default=usual)
    inputs.bool(
        "overwrite",
        label="Attributes of others may be replaced",
        description="Only those of these names. Masks are never changed.",
        default=False,
    )


def add_more(inputs: Any, params: Mapping[str, Any], label: str) -> bool:
    """A switch that unfolds the numbers; whether it is on."""
    inputs.bool("more", label=label, default=False, view=types.SwitchView())
    return bool(params.get("more"))


def field_of(params: Mapping[str, Any], name: str) -> str:
    """A field that the form names.

    Raises
    ------
    FieldError
        If it names none.
    """
    value = text_of(params, name)
    if not value:
        raise FieldError(f"Expected a field of masks for {name}, found none: choose one.")
    return value


def text_of(params: Mapping[str, Any], name: str) -> str:
    """A text of the form; empty where it has none."""
    value = params.get(name)
    return value.strip() if isinstance(value, str) else ""


def add_table(outputs: Any, result: Mapping[str, Any]) -> None:
    """What a report as JSON says, and its table."""
    add_sentences(outputs, result)
    if result.get(_MARKDOWN):
        outputs.str(
            _MARKDOWN,
            label="Table",
            default=str(result[_MARKDOWN]),
            view=types.MarkdownView(read_only=True),
        )
