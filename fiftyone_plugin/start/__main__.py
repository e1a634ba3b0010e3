"""`python -m fiftyone_plugin.start`: what `make fiftyone` runs."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_data_path

from fiftyone_plugin.start.session import run, work
from sam_plugins.errors import SamPluginsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it until Ctrl-C; 1 if something does not work."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.worker:
            work(asked.folder)
            return 0
        over = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: over.set())
        run(asked.folder, asked.port, over, browser=not asked.no_browser)
    except SamPluginsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fiftyone_plugin.start",
        description="Open FiftyOne's App on this machine, with a sample dataset and the plugin.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=user_data_path("sam-plugins") / "fiftyone",
        help="database, pictures and plugins; what is there stays (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=5151, help="of the App (default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="only say where the App is")
    parser.add_argument(
        "--worker", action="store_true", help="run what is scheduled in the App, until Ctrl-C"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
