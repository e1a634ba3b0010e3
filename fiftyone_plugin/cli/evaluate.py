"""`sam-plugins fiftyone evaluate`, `find-mistakes` and `compare-groups`."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from fiftyone_plugin.cli.console import notes, progress_bar, show_result
from fiftyone_plugin.cli.datasets import open_dataset, open_view
from fiftyone_plugin.cli.segment import ctrl_c, model_of, open_model
from fiftyone_plugin.errors import ExchangeError, FieldError
from sam_plugins.ports import Segmenter

__all__ = ["compare", "evaluate", "find"]

_STOPPED = 130
_SUFFIXES = {".md": "markdown", ".csv": "csv"}

Job = Callable[[Any, Callable[[Any], None], Callable[[], bool]], dict[str, Any]]
"""``job(view, progress, stop)`` gives the result."""


def evaluate(
    ctx: typer.Context,
    name: str,
    view: str | None,
    out: Path | None,
    params: Mapping[str, Any],
    *,
    prompts: bool,
) -> None:
    """Measure masks against known ones, or a model by clicks and boxes.

    Raises
    ------
    FieldError
        If neither or both are asked for.
    """
    if prompts == bool(params.get("prediction_field")):
        raise FieldError(
            "Expected either masks to evaluate or a model, found both or neither: give --masks "
            "with a field, or --prompts."
        )
    if not prompts:
        from fiftyone_plugin.operators.evaluate_masks import evaluated

        _run(ctx, name, view, out, lambda v, tell, stop: evaluated(v, params, tell, stop))
        return
    from fiftyone_plugin.operators.evaluate_prompts import asked

    segmenter = _model(ctx)
    _run(ctx, name, view, out, lambda v, tell, stop: asked(v, params, segmenter, tell, stop))


def find(
    ctx: typer.Context, name: str, view: str | None, out: Path | None, params: Mapping[str, Any]
) -> None:
    """Find labels that a model contradicts."""
    from fiftyone_plugin.operators.find_mistakes import searched

    _run(ctx, name, view, out, lambda v, tell, stop: searched(v, params, tell, stop))


def compare(
    ctx: typer.Context, name: str, view: str | None, out: Path | None, params: Mapping[str, Any]
) -> None:
    """Compare a number between groups."""
    from fiftyone_plugin.operators.compare_groups import compared

    def job(v: Any, tell: Callable[[Any], None], stop: Callable[[], bool]) -> dict[str, Any]:
        return compared(v, params, lambda: _model(ctx), tell, stop)

    _run(ctx, name, view, out, job)


def _model(ctx: typer.Context) -> Segmenter:
    """The model of the common options."""
    given = model_of(ctx)
    return open_model(ctx, given["model"] or "nano", given["precision"] or "fp32")


def _run(ctx: typer.Context, name: str, view: str | None, out: Path | None, job: Job) -> None:
    """Do it with a progress bar, say what came out, and write it into a file if asked to."""
    dataset = open_dataset(name)
    shown = open_view(dataset, view)
    with ctrl_c() as over, progress_bar() as bar:
        line = bar.add_task("Evaluating", total=None)

        def tell(made: Any) -> None:
            bar.update(line, completed=made.done, total=made.total, description=made.label)

        result = job(shown, tell, over.is_set)
    show_result(ctx, result)
    if out is not None:
        _write(out, result)
    _end(over)


def _end(over: threading.Event) -> None:
    if over.is_set():
        notes().print("Stopped.")
        raise typer.Exit(_STOPPED)


def _write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the result as the file's name says: .md, .csv or .json."""
    import json

    part = _SUFFIXES.get(path.suffix.lower())
    if part is not None and part not in result:
        raise ExchangeError(
            f"Expected a result that can be written as {path.suffix}, found one that has no such "
            "form: name a .json file."
        )
    if part is None and path.suffix.lower() != ".json":
        raise ExchangeError(
            f"Expected a file that ends in .md, .csv or .json, found {path.name!r}: rename it."
        )
    content = {key: value for key, value in result.items() if key not in _SUFFIXES.values()}
    text = str(result[part]) if part else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
