"""Commands and the options they share. A command is one line of `COMMANDS`.

A command's module is imported when the command runs, so that help is quick and a command that
cannot be loaded breaks nothing but itself. Other packages add commands through the entry-point
group ``sam_plugins.commands``: a function with Typer's annotations, or a `typer.Typer`.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sam_plugins.cli.common import Common
from sam_plugins.cli.guard import GuardedGroup
from sam_plugins.errors import SamPluginsError

__all__ = ["COMMANDS", "GROUP", "app"]

GROUP = "sam_plugins.commands"

COMMANDS: dict[str, tuple[str, str]] = {
    "predict": ("sam_plugins.cli.predict:predict", "Segment one object from clicks or a box."),
    "segment": ("sam_plugins.cli.segment:segment", "Segment everything in a picture or a folder."),
    "train": ("sam_plugins.cli.train:train", "Fine-tune a model on your own pictures."),
    "models": ("sam_plugins.cli.models:models", "List known models and which are on this machine."),
    "download": ("sam_plugins.cli.models:download", "Fetch the weights of a known model."),
    "cache": ("sam_plugins.cli.cache:cache", "List, clear or fill the embeddings on the disk."),
    "info": ("sam_plugins.cli.info:info", "Show versions, device, threads, model and folders."),
    "demo": ("sam_plugins.cli.demo:demo", "Segment sample pictures and show the results."),
}
"""Name -> where it lives, and its help: the first line of its docstring."""

_COMMON_HELP = (
    "Options of every command: --model, --device, --engine, --precision, --json, --debug."
)


class CommandGroup(GuardedGroup):
    """Our commands and those of other packages, loaded when they are run."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))
        self._foreign: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            if entry.name not in self.commands:
                self._foreign[entry.name] = entry
                source = entry.dist.name if entry.dist else entry.module
                self.add_command(TyperCommand(entry.name, help=f"From {source}."))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command as usual, then load what stands behind its name."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._foreign:
            command = _command(name, self._load_foreign(name))
        elif name is not None:
            module, _, attribute = COMMANDS[name][0].partition(":")
            command = _command(name, getattr(import_module(module), attribute))
        return name, command, rest

    def _load_foreign(self, name: str) -> Any:
        entry = self._foreign[name]
        try:
            return entry.load()
        except Exception as error:
            raise SamPluginsError(
                f"The command {name!r} comes from {entry.value} and cannot be loaded "
                f"({type(error).__name__}: {error}): install that package again or remove it."
            ) from error


def _command(name: str, target: Any) -> Any:
    """A Typer function or app as one command."""
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False, rich_markup_mode="markdown")
        target.command(name=name, epilog=_COMMON_HELP)(function)
    return typer.main.get_command(target)


app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sam-plugins {version('sam-plugins')}")
        raise typer.Exit


@app.callback()
def sam_plugins(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Name of a model, 'best' or a weights file; else SAM_PLUGINS_MODEL, else nano.",
            metavar="NAME|FILE",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu, cuda, cuda:1, mps or auto.", metavar="DEVICE"),
    ] = None,
    engine: Annotated[
        str,
        typer.Option("--engine", help="openvino, torch, plain or auto.", metavar="ENGINE"),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option("--precision", help="fp32, or bf16: faster, less exact.", metavar="PRECISION"),
    ] = "fp32",
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON document to standard output.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Segment anything: from a click, from a box, or everything at once.

    --model, --device, --engine, --precision, --json and --debug may stand before or after the
    command.
    """
    ctx.obj = Common(
        model=model,
        device=device,
        engine=engine,
        precision=precision,
        as_json=as_json,
        debug=debug,
    )
