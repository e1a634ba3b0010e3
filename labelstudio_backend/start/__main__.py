"""`python -m labelstudio_backend.start`: what `make labelstudio` runs."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_data_path

from sam_plugins.errors import SamPluginsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both until Ctrl-C; 1 if something does not work."""
    asked = _parser().parse_args(arguments)
    over = threading.Event()
    before = [
        signal.signal(number, lambda *_: over.set()) for number in (signal.SIGINT, signal.SIGTERM)
    ]
    from labelstudio_backend.start.sample_run import run

    try:
        run(asked.folder, asked.port, asked.backend_port, over)
    except SamPluginsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m labelstudio_backend.start",
        description="Start Label Studio and the backend on this machine, with sample projects.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=user_data_path("sam-plugins") / "label-studio",
        help="database, pictures and passwords; what is there stays (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=8080, help="of Label Studio, if it is free")
    parser.add_argument("--backend-port", type=int, default=9090, help="if it is free")
    return parser


if __name__ == "__main__":
    sys.exit(main())
