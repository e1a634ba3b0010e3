"""`sam-plugins labelstudio ...`: the backend, and what it does without Label Studio's window."""

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Serve Label Studio, and annotate its projects.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def labelstudio() -> None:
    """Serve Label Studio, and annotate its projects."""
