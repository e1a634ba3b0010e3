"""The output form of exports and imports: counts, and what was left out."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.operators.streaming import PROBLEM

__all__ = ["WORDS", "exchanged"]

WORDS: Mapping[str, str] = {
    "pictures": "Pictures",
    "objects": "Masks",
    "unchanged": "Files that were there already",
    "removed": "Files of samples that are gone, removed",
    "accepted": "Masks accepted as they were",
    "corrected": "Masks corrected",
    "rejected": "Masks rejected",
    "added": "Masks added",
    "unanswered": "Tasks that nobody has submitted",
    "unknown": "Pictures that no sample has",
    "ambiguous": "Pictures that several samples could be",
    "failed": "Pictures that failed",
}


def exchanged(ctx: Any, title: str) -> Any:
    """The output form, or the sentence that says what is wrong."""
    results = ctx.results or {}
    outputs = types.Object()
    if results.get(PROBLEM):
        outputs.view(PROBLEM, types.Error(label=str(results[PROBLEM])))
        return types.Property(outputs, view=types.View(label=title))
    if results.get("stopped"):
        outputs.view("again", types.Warning(label="Stopped. The same form again goes on."))
    for name, label in WORDS.items():
        if name in ("pictures", "objects") or results.get(name):
            outputs.int(name, label=label, view=types.LabelValueView(read_only=True))
    for name, label in (("folder", "Folder"), ("label_field", "Field")):
        if results.get(name):
            outputs.str(name, label=label, view=types.LabelValueView(read_only=True))
    for number, (reason, times) in enumerate((results.get("reasons") or {}).items()):
        outputs.view(f"reason_{number}", types.Notice(label=f"{times} x {reason}"))
    return types.Property(outputs, view=types.View(label=title))
