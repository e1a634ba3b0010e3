"""`sam-plugins fiftyone evaluations` and `delete-evaluation`."""

import typer

from fiftyone_plugin.cli.console import as_json, print_json, say, show_result, table
from fiftyone_plugin.cli.datasets import open_dataset

__all__ = ["delete", "list_all", "show"]


def list_all(ctx: typer.Context, name: str) -> None:
    """One line per evaluation."""
    dataset = open_dataset(name)

    from fiftyone_plugin.evaluating import list_evaluations
    from fiftyone_plugin.operators.manage_evaluations import described

    found = list_evaluations(dataset)
    if as_json(ctx):
        print_json(
            [
                {
                    "key": each.key,
                    "kind": each.kind,
                    "fields": dict(each.fields),
                    "settings": dict(each.settings),
                    "writes": dict(each.writes),
                    "views": list(each.views),
                }
                for each in found
            ]
        )
    elif found:
        table([(each.key, described(each)) for each in found])
    else:
        say(f"There are no evaluations of sam-plugins on {name!r}.")


def show(ctx: typer.Context, name: str, key: str) -> None:
    """What came out of one.

    Raises
    ------
    RunError
        If there is no such evaluation, or it did not come to its end.
    """
    dataset = open_dataset(name)

    from fiftyone_plugin.evaluating import load_evaluation

    show_result(ctx, load_evaluation(dataset, key))


def delete(ctx: typer.Context, name: str, key: str, *, yes: bool) -> None:
    """Delete one evaluation, once it is agreed to.

    Raises
    ------
    RunError
        If there is no such evaluation, or it is one of FiftyOne's own.
    typer.Abort
        If it is not agreed to.
    """
    dataset = open_dataset(name)

    from fiftyone_plugin.evaluating import delete_evaluation, find_evaluation
    from fiftyone_plugin.operators.manage_evaluations import described, told

    record = find_evaluation(dataset, key)
    if not yes:
        typer.echo(f"{key}: {described(record)}", err=True)
        typer.confirm("Delete its record, attributes and views?", abort=True, err=True)
    deleted = delete_evaluation(dataset, key)
    if as_json(ctx):
        print_json({"key": key, "deleted": True, "kept": deleted.kept})
        return
    for sentence in told(deleted):
        say(sentence)
