"""The command line ``sam-plugins``. Neither importing it nor ``--help`` loads torch or NumPy."""

__all__ = ["main"]


def main() -> None:
    """Run the command line on the arguments of the process."""
    from sam_plugins.cli.app import app

    app(prog_name="sam-plugins")
