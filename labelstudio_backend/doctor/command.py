"""`sam-plugins labelstudio doctor`: the table, and 1 where something does not work."""

from collections.abc import Sequence

import typer

from labelstudio_backend.console import as_json, notes, print_json, results, settings_of
from labelstudio_backend.doctor.finding import Check, Finding
from labelstudio_backend.doctor.running import CHECKS, examine
from labelstudio_backend.doctor.visit import Visit
from labelstudio_backend.errors import ConfigError

__all__ = ["run"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}

Findings = Sequence[tuple[Check, Finding]]


def run(ctx: typer.Context, project: int | None, backend: str | None) -> None:
    """Look at everything and tell.

    Raises
    ------
    typer.Exit
        With 1 if a check failed.
    """
    findings = _findings(ctx, project, backend)
    if as_json(ctx):
        print_json(
            [
                {
                    "check": check.name,
                    "grade": finding.grade,
                    "found": finding.found,
                    "change": finding.change,
                    "paste": finding.paste,
                }
                for check, finding in findings
            ]
        )
    else:
        _show(findings)
    if any(finding.grade == "fail" for _, finding in findings):
        raise typer.Exit(1)


def _findings(ctx: typer.Context, project: int | None, backend: str | None) -> Findings:
    try:
        visit = Visit(settings_of(ctx), project, backend)
    except ConfigError as error:
        change = "Correct that environment variable; nothing else was looked at."
        return [(CHECKS[0], Finding("fail", str(error), change))]
    console = notes()
    with console.status("Looking") as status:
        found = []
        for check, finding in examine(visit):
            status.update(f"Looked at {check.name}")
            found.append((check, finding))
    return found


def _show(findings: Findings) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check, finding in findings:
        said = Text(finding.found)
        if finding.change:
            said.append(f"\n{finding.change}", style="bold" if finding.grade == "fail" else "")
        table.add_row(Text(finding.grade, style=_COLOURS[finding.grade]), check.name, said)
    results().print(table)
    for check, finding in findings:
        if finding.paste:
            results().print(f"\nFor '{check.name}':")
            results().print(finding.paste, markup=False, soft_wrap=True)
    failed = sum(finding.grade == "fail" for _, finding in findings)
    results().print("Nothing stands in the way." if not failed else f"{failed} to change.")
