"""The command line ``sam-plugins``. Importing it, and ``--help``, load neither torch nor NumPy."""

from sam_plugins.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line on the arguments of the process."""
    app(prog_name="sam-plugins")
