"""The output form of exports and imports: counts, and what was left out."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

__all__ = ["WORDS", "add_exchanged"]

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


def add_exchanged(outputs: Any, result: Mapping[str, Any]) -> None:
    """Counts, where it is, and reasons."""
    if result.get("stopped"):
        outputs.view("again", types.Warning(label="Stopped. The same form again goes on."))
    for name, label in WORDS.items():
        if name in ("pictures", "objects") or result.get(name):
            outputs.int(name, label=label, view=types.LabelValueView(read_only=True))
    for name, label in (("folder", "Folder"), ("label_field", "Field")):
        if result.get(name):
            outputs.str(name, label=label, view=types.LabelValueView(read_only=True))
    for number, (reason, times) in enumerate((result.get("reasons") or {}).items()):
        outputs.view(f"reason_{number}", types.Notice(label=f"{times} x {reason}"))
