"""What stands between a command and the shell: one sentence for an error, and an exit code.

0 done, 1 failed, 2 used wrongly (Typer's own), 130 stopped by Ctrl-C.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from sam_plugins.cli.common import common_of, notes
from sam_plugins.errors import SamPluginsError

__all__ = ["GuardedGroup", "sentence"]

_FLAGS = ("--json", "--debug")
_VALUED = ("--model", "--device", "--engine", "--precision")


class GuardedGroup(TyperGroup):
    """A group whose common options may stand anywhere and whose errors are sentences."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse with the common options moved to the front, where the group takes them."""
        return super().parse_args(ctx, _common_first(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn what it raises into a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            notes().print("Stopped.")
            raise typer.Exit(130) from None
        except Exception as error:
            if _is_typers_own(error) or common_of(ctx).debug:
                raise
            text = f"Error: {sentence(error)}"
            notes().print(text, style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from error


def sentence(error: Exception) -> str:
    """What to tell a person about an error."""
    if isinstance(error, SamPluginsError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; try a smaller picture or model."
    return (
        f"unexpected {type(error).__name__}: {error}. This is a defect of sam-plugins; run again "
        "with --debug to see where."
    )


def _is_typers_own(error: Exception) -> bool:
    """Whether Typer shows it and ends the process itself: usage errors and `typer.Exit`."""
    return isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "format_message")


def _common_first(ctx: Any, args: list[str]) -> list[str]:
    front: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            rest.extend([word, *words])
        elif word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _VALUED)):
            front.append(word)
        elif word in _VALUED:
            front.append(word)
            try:
                front.append(next(words))
            except StopIteration:
                ctx.fail(f"Option '{word}' requires an argument.")
        else:
            rest.append(word)
    return front + rest
