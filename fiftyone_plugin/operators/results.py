"""The output form: what became of a run, or why there is nothing to say, in words and numbers."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.operators import form

__all__ = ["add_counts", "outputs_of"]

_DONE = {
    "done": "Samples with masks",
    "nothing": "Samples with nothing to ask or to find",
    "partial": "Samples with masks for some of their objects",
    "failed": "Samples that failed",
    "skipped": "Samples that were done before",
    "objects": "Masks",
    "queued": "Parts that wait for workers",
    "shown": "Samples that failed, in part or as a whole",
}
_WOULD = {
    "samples": "Samples to work on",
    "objects": "Objects to ask for",
    "without": "Samples that ask for nothing",
    "unanswered": "Objects that cannot be asked for",
    "unmeasured": "Samples of unknown size: their objects are counted when they are opened",
    "before": "Samples that were done before",
    "failed": "Samples that failed before",
}


def outputs_of(ctx: Any, title: str) -> Any:
    """The output form of counts, or the sentence that says what is wrong."""
    return form.answer(ctx, title, add_counts)


def add_counts(outputs: Any, results: Mapping[str, Any]) -> None:
    """One line per count, and why objects or samples have no masks."""
    dry = bool(results.get("dry_run"))
    if dry:
        outputs.view("dry", types.Notice(label="Only counted: nothing was written."))
    elif results.get("stopped"):
        outputs.view(
            "again", types.Warning(label="Stopped. The same form again continues where it was.")
        )
    if results.get("deleted"):
        outputs.view("deleted", types.Notice(label="Its masks, files and record are gone."))
    for name, label in (_WOULD if dry else _DONE).items():
        if name in results:
            outputs.int(name, label=label, view=types.LabelValueView(read_only=True))
    for number, (reason, times) in enumerate((results.get("reasons") or {}).items()):
        outputs.view(f"reason_{number}", types.Notice(label=f"{times} x {reason}"))
    if results.get("failed") or results.get("partial"):
        outputs.view(
            "failures",
            types.Notice(label="Runs (sam-plugins): look at the failures, or try them again."),
        )
