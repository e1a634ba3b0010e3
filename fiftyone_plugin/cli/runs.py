"""`sam-plugins fiftyone runs` and `delete-run`."""

import typer

from fiftyone_plugin.cli.console import as_json, print_json, say, table
from fiftyone_plugin.cli.datasets import open_dataset

__all__ = ["delete", "list_all"]


def list_all(ctx: typer.Context, name: str) -> None:
    """One line per run."""
    dataset = open_dataset(name)

    from fiftyone_plugin.operators.manage_runs import described
    from fiftyone_plugin.runs import list_runs, run_counts

    found = [(run, run_counts(dataset, run.run_id)) for run in list_runs(dataset)]
    if as_json(ctx):
        print_json(
            [
                {
                    "run_id": run.run_id,
                    "model_id": run.model_id,
                    "config": run.config.to_json(),
                    "samples": {(s.value if s else "left"): n for s, n in counts.items()},
                }
                for run, counts in found
            ]
        )
    elif found:
        table([(run.run_id, described(run, counts)) for run, counts in found])
    else:
        say(f"There are no runs on {name!r}.")


def delete(ctx: typer.Context, name: str, run_id: str, *, yes: bool) -> None:
    """Delete one run, once it is agreed to.

    Raises
    ------
    RunError
        If there is no such run.
    typer.Abort
        If it is not agreed to.
    """
    dataset = open_dataset(name)

    from fiftyone_plugin.operators.manage_runs import described
    from fiftyone_plugin.runs import delete_run, find_run, run_counts

    run = find_run(dataset, run_id)
    if not yes:
        typer.echo(described(run, run_counts(dataset, run_id)), err=True)
        typer.confirm("Delete its masks, files and record?", abort=True, err=True)
    delete_run(dataset, run_id)
    if as_json(ctx):
        print_json({"run_id": run_id, "deleted": True})
    else:
        say(f"{run_id} is gone.")
