"""The command that the others hang on, and what they share."""

from typing import Annotated

import typer

__all__ = ["Dataset", "app"]

app = typer.Typer(
    help="Put the plugin into FiftyOne, and segment its datasets.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Dataset = Annotated[
    str, typer.Argument(help="Its name, as `fiftyone datasets list` shows it.", metavar="DATASET")
]


@app.callback()
def fiftyone() -> None:
    """Put the plugin into FiftyOne, and segment its datasets.

    FiftyOne's own settings say which database and folders: FIFTYONE_DATABASE_URI and others.
    """
