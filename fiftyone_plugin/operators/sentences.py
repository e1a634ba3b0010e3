"""Results that are sentences: for operators that decide, judge and tidy up."""

from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import RAGGEDNESS
from fiftyone_plugin.labels import FRAMES
from fiftyone_plugin.operators import form
from fiftyone_plugin.quality import this_user

__all__ = [
    "add_masks_field",
    "add_reviewer",
    "add_sentences",
    "field_of",
    "likely_masks",
    "masks_fields",
    "reviewer_of",
    "sentences",
]

_SENTENCES = "sentences"


def sentences(*said: str, **more: Any) -> dict[str, Any]:
    """A result that says something, with whatever else a script may want to know."""
    return {_SENTENCES: [each for each in said if each], **more}


def add_sentences(outputs: Any, result: Mapping[str, Any]) -> None:
    """What a result of `sentences` says."""
    for number, said in enumerate(result.get(_SENTENCES) or ()):
        outputs.view(f"said_{number}", types.Notice(label=str(said)))


def add_masks_field(
    inputs: Any, dataset: Any, name: str = "label_field", *, frames: bool = False, **words: Any
) -> None:
    """A field of Detections to choose, also among those of videos' frames if `frames`.

    Raises
    ------
    FieldError
        If the dataset has none.
    """
    fields = masks_fields(dataset, frames=frames)
    if not fields:
        raise FieldError("Expected a field of Detections, found none: make masks first.")
    choices = types.Dropdown()
    for each in fields:
        choices.add_choice(each, label=each)
    usual = likely_masks(dataset, fields) if name == "label_field" else fields[0]
    words = {"label": "Masks", "required": True, "default": usual, **words}
    inputs.enum(name, choices.values(), view=choices, **words)


def add_reviewer(inputs: Any, ctx: Any) -> None:
    """Who decides."""
    inputs.str(
        "reviewer",
        label="Your name",
        description="Undo takes back the steps of one name. Several people: a name for each.",
        default=reviewer_of(ctx),
    )


def field_of(ctx: Any, name: str = "label_field") -> str:
    """A field that the form names.

    Raises
    ------
    FieldError
        If it names none.
    """
    value = ctx.params.get(name)
    if not isinstance(value, str) or not value:
        raise FieldError(f"Expected a field of masks for {name}, found none: choose one.")
    return value


def reviewer_of(ctx: Any) -> str:
    """Who the form, FiftyOne or this computer says that decides."""
    given = ctx.params.get("reviewer")
    return given if isinstance(given, str) and given.strip() else ctx.user_id or this_user()


def likely_masks(dataset: Any, fields: Sequence[str]) -> str:
    """The first field that was judged, or made by a run; else the first."""
    known = [
        name
        for name in fields
        if any(dataset.get_field(f"{name}.detections.{a}") for a in (RAGGEDNESS, "run_id"))
    ]
    return next(iter([*known, *fields]), "")


def masks_fields(dataset: Any, *, frames: bool) -> list[str]:
    """Names of the fields of Detections, also those of videos' frames if `frames`."""
    names = form.labels_fields(dataset, "Detections")
    return [name for name in names if frames or not name.startswith(FRAMES)]
