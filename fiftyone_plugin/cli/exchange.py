"""`sam-plugins fiftyone export` and `import`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from fiftyone_plugin.cli.console import as_json, notes, print_json, progress_bar, table
from fiftyone_plugin.cli.datasets import open_dataset, open_view
from fiftyone_plugin.cli.segment import ctrl_c

__all__ = ["export", "import_"]

_STOPPED = 130


def export(ctx: typer.Context, name: str, view: str | None, params: Mapping[str, Any]) -> None:
    """Write files, and tell.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        If it cannot begin or go on.
    typer.Exit
        With 1 if a sample failed, 130 after Ctrl-C.
    """
    from fiftyone_plugin.exchange.choices import export_settings_of

    settings = export_settings_of(params)
    chosen = open_view(open_dataset(name), view)

    from fiftyone_plugin.exchange import export_masks

    _run(ctx, lambda tell, stop: export_masks(chosen, settings, progress=tell, stop=stop))


def import_(
    ctx: typer.Context, name: str, pictures: Path | None, params: Mapping[str, Any]
) -> None:
    """Read files, and tell.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        If it cannot begin or go on.
    typer.Exit
        With 1 if a picture failed, 130 after Ctrl-C.
    """
    from fiftyone_plugin.errors import ExchangeError
    from fiftyone_plugin.exchange import Format
    from fiftyone_plugin.exchange.choices import import_settings_of

    settings = import_settings_of(params)
    answers = settings.format is Format.LABEL_STUDIO
    if answers and pictures is not None:
        raise ExchangeError(
            "Expected the dataset that the tasks were made of, found --new-from: leave it out."
        )
    if pictures is not None:
        from fiftyone_plugin.cli.datasets import fiftyone
        from fiftyone_plugin.exchange import import_as_dataset

        fiftyone()
        folder = pictures
        _run(
            ctx,
            lambda tell, stop: import_as_dataset(name, folder, settings, progress=tell, stop=stop),
        )
        return
    dataset = open_dataset(name)

    from fiftyone_plugin.exchange import import_answers, import_masks

    read = import_answers if answers else import_masks
    _run(ctx, lambda tell, stop: read(dataset, settings, progress=tell, stop=stop))


def _run(ctx: typer.Context, work: Callable[[Any, Any], Any]) -> None:
    with ctrl_c() as over, progress_bar() as bar:
        line = bar.add_task("Opening", total=None)

        def tell(made: Any) -> None:
            bar.update(
                line,
                completed=made.done,
                total=made.total,
                description=f"{made.objects} masks {made.label}",
            )

        result = work(tell, over.is_set).to_json()
    _show(ctx, result)
    if result["stopped"]:
        notes().print("Stopped.")
        raise typer.Exit(_STOPPED)
    if result["failed"]:
        raise typer.Exit(1)


def _show(ctx: typer.Context, result: Mapping[str, Any]) -> None:
    if as_json(ctx):
        print_json(result)
        return
    from fiftyone_plugin.operators.exchanging import WORDS

    where = result.get("folder") or f"field {result.get('label_field')}"
    rows = [(words, str(result[key])) for key, words in WORDS.items() if result.get(key)]
    table([(where, ""), *rows])
    for reason, number in result["reasons"].items():
        notes().print(f"{number} x {reason}", markup=False, soft_wrap=True)
