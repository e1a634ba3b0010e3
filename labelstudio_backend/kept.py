"""`sam-plugins labelstudio models` and `rollback`: former models, and the way back to one."""

from datetime import UTC, datetime

import typer

from labelstudio_backend.answering.kept_models import KeptModels, rollback
from labelstudio_backend.console import as_json, notes, print_json, results, settings_of, table

__all__ = ["go_back", "list_models"]


def list_models(ctx: typer.Context) -> None:
    """Write the kept versions, the one in use last at the end."""
    settings = settings_of(ctx)
    kept = KeptModels(settings.state_folder / "models").history()
    if as_json(ctx):
        print_json([{"version": each.version, "time": each.time} for each in kept])
        return
    if not kept:
        notes().print(
            "No model is kept: the backend keeps those that SAM_PLUGINS_MODEL names by a file.",
            soft_wrap=True,
        )
        return
    table(("version", "in use since"), [(each.version, _shown(each.time)) for each in kept])


def go_back(ctx: typer.Context, version: str) -> None:
    """Put a kept version in the place of the model file.

    Raises
    ------
    ConfigError
        If the model is not a file, or no such version is kept.
    """
    place = rollback(settings_of(ctx), version)
    if as_json(ctx):
        print_json({"version": version, "file": str(place)})
        return
    results().print(f"{place} is {version} again.", markup=False, soft_wrap=True)


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
