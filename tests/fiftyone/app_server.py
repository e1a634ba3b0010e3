"""FiftyOne's App, served by a process of its own above the tests' database, with the plugin."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from database import free_port

from fiftyone_plugin.start import PLUGIN, install_plugin

DEADLINE = 120.0
"""Seconds in which the App has to answer; it takes ten where nothing else runs."""

WINDOW = {"width": 1500, "height": 900}


@dataclass(frozen=True, slots=True)
class AppServer:
    """The App as long as the test run takes.

    Parameters
    ----------
    url
        Of the App, without a slash at the end.
    log
        What its process says.
    """

    url: str
    log: Path

    def dataset_url(self, dataset: Any, sample_id: str = "") -> str:
        """Address of a dataset's grid, or of one sample in the modal."""
        query = f"?id={sample_id}" if sample_id else ""
        return f"{self.url}/datasets/{dataset.name}{query}"


def link_plugin(folder: Path) -> None:
    """Install the plugin of this checkout in a folder of plugins, as developers do."""
    if not (folder / PLUGIN).exists():
        install_plugin(folder)


@contextmanager
def running_app(variables: Mapping[str, str], folder: Path) -> Iterator[AppServer]:
    """The App until the end of the block.

    Parameters
    ----------
    variables
        Environment, as `database.environment` makes it.
    folder
        Where its log goes.
    """
    link_plugin(Path(variables["FIFTYONE_PLUGINS_DIR"]))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = folder / "app.log"
    command = [sys.executable, "-m", "fiftyone.server.main"]
    command += ["--address", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=dict(variables), stdout=said, stderr=said)
    try:
        until = time.monotonic() + DEADLINE
        while not _answers(url):
            assert server.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < until, "the App did not answer in time"
            time.sleep(0.2)
        yield AppServer(url, log)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(20)


@contextmanager
def page_of(browser: Any, app: AppServer, **options: Any) -> Iterator[Any]:
    """A page of its own that may ask nobody but the App; closed at the end of the block."""
    context = browser.new_context(viewport=WINDOW, **options)
    context.set_default_timeout(60_000)
    here = (app.url, "data:", "blob:")
    context.route(
        "**/*",
        lambda route: route.continue_() if route.request.url.startswith(here) else route.abort(),
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/fiftyone", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
