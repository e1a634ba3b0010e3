"""The browser in which the tests look at the hosts' own pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
]
"""For a browser that runs without a screen and calls nobody."""


def chromium_program() -> str | None:
    """The path in ``CHROMIUM``, else the program of that name, else None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def running_chromium() -> Iterator[Any]:
    """A headless browser of playwright's, until the end of the block.

    A process can hold one of them: playwright keeps an event loop running in the thread that
    started it, and refuses to start where one runs.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_program(), headless=True, args=FLAGS
        )
        try:
            yield browser
        finally:
            browser.close()
