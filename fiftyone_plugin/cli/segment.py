"""`sam-plugins fiftyone segment`: a run with a progress bar, and a table of what became of it."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from fiftyone_plugin.cli.console import as_json, notes, print_json, progress_bar, table
from fiftyone_plugin.cli.datasets import open_dataset, open_view
from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.values import Mode
from sam_plugins.ports import Segmenter

__all__ = ["ctrl_c", "model_of", "open_model", "run"]

_STOPPED = 130
_WORDS = {
    "samples": "samples to work on",
    "without": "samples that ask for nothing",
    "unanswered": "objects that cannot be asked for",
    "unmeasured": "samples of unknown size, not counted",
    "before": "samples done before",
    "done": "samples with masks",
    "nothing": "samples with nothing to ask or to find",
    "partial": "samples with some of their masks",
    "failed": "samples that failed",
    "skipped": "samples done before",
    "objects": "objects",
}


def run(
    ctx: typer.Context,
    name: str,
    view: str | None,
    *,
    everything: bool,
    follow: bool,
    params: Mapping[str, Any],
) -> None:
    """Segment, and tell.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        If it cannot begin or go on; what was done until then is written.
    typer.Exit
        With 1 if a sample failed, 130 after Ctrl-C.
    """
    from fiftyone_plugin.operators.choices import choices_of

    asks = [each for each in ("box_field", "point_field", "mask_field") if params[each]]
    if everything and (follow or set(asks) - {"box_field"}):
        raise FieldError(
            "Expected either fields that ask or --everything, found both: leave one out; --boxes "
            "alone says where to look for everything."
        )
    if not everything and not asks:
        raise FieldError(
            "Expected something to segment, found nothing: give --boxes, --points or --masks with "
            "a field, or --everything."
        )
    mode = Mode.EVERYTHING if everything else Mode.VIDEO if follow else Mode.PROMPTS
    choices = choices_of({**params, **model_of(ctx)}, mode)
    dataset = open_dataset(name)

    from fiftyone_plugin.labels import shown_by
    from fiftyone_plugin.operators.counting import count
    from fiftyone_plugin.operators.running import check, perform, report_of, sample_ids

    check(dataset, choices.config)
    seen = open_view(dataset, view)
    ids, shown = sample_ids(seen), shown_by(seen, choices.config)
    with ctrl_c() as over, progress_bar() as bar:
        line = bar.add_task("Opening the model", total=len(ids))

        def tell(made: Any) -> None:
            bar.update(
                line,
                completed=made.done + made.part,
                total=made.total,
                description=f"Segmenting, {made.objects} objects"
                + (f", {made.label}" if made.part else ""),
            )

        if choices.dry_run:
            result = count(
                dataset, ids, choices, shown=shown, progress=tell, stop=over.is_set
            ).to_json()
        else:
            segmenter = open_model(ctx, choices.config.model, choices.config.precision)
            made, report = perform(
                dataset,
                ids,
                choices,
                shown=shown,
                segmenter=segmenter,
                progress=tell,
                stop=over.is_set,
            )
            result = report_of(made, report)
    _show(ctx, result)
    if over.is_set():
        notes().print("Stopped. The same command goes on.")
        raise typer.Exit(_STOPPED)
    if result.get("failed") and not choices.dry_run:
        raise typer.Exit(1)


def model_of(ctx: typer.Context) -> dict[str, str | None]:
    """The model of the common options, or of the environment."""
    common = ctx.find_root().obj
    model = getattr(common, "model", None) or os.environ.get("SAM_PLUGINS_MODEL")
    return {"model": model, "precision": getattr(common, "precision", None)}


def open_model(ctx: typer.Context, model: str, precision: str) -> Segmenter:
    """The model, on the device and engine of the common options."""
    from sam_plugins import open_segmenter

    common = ctx.find_root().obj
    return open_segmenter(
        model,
        precision=precision,
        device=getattr(common, "device", None),
        engine=getattr(common, "engine", "auto"),
        store="default",
    )


def _show(ctx: typer.Context, result: Mapping[str, Any]) -> None:
    if as_json(ctx):
        print_json(result)
        return
    rows = [(words, str(result[key])) for key, words in _WORDS.items() if result.get(key)]
    head = "counted, nothing written" if result.get("dry_run") else f"run {result['run_id']}"
    table([(head, ""), *rows])
    for reason, number in (result.get("reasons") or {}).items():
        notes().print(f"{number} x {reason}", markup=False, soft_wrap=True)


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C, so that what is begun is finished; the second ends at once."""
    over = threading.Event()

    def stop(*_: object) -> None:
        if over.is_set():
            raise KeyboardInterrupt
        over.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield over
    finally:
        signal.signal(signal.SIGINT, before)
