"""What every test may ask for."""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from headless_browser import chromium_program, running_chromium

Require = Callable[..., ModuleType | None]

REQUIRED = frozenset(os.environ.get("SAM_PLUGINS_REQUIRE", "").replace(" ", "").split(","))
"""What must be here on this machine: a test that would skip for lack of it fails instead."""


@pytest.fixture
def require() -> Require:
    """``require(name)`` imports a module, ``require(name, present)`` asks for anything else.

    If it is not here the test skips, or fails where ``SAM_PLUGINS_REQUIRE`` names it.
    """

    def ask(name: str, present: bool | None = None) -> ModuleType | None:
        if present:
            return None
        reason = f"{name} is not here"
        if present is None:
            try:
                return importlib.import_module(name)
            except ImportError as error:
                reason = f"{name} cannot be imported: {error}"
        if name in REQUIRED:
            pytest.fail(f"SAM_PLUGINS_REQUIRE names {name}, but {reason}")
        pytest.skip(reason)

    return ask


@pytest.fixture(autouse=True)
def _gpu_where_marked(request: pytest.FixtureRequest, require: Require) -> None:
    if request.node.get_closest_marker("gpu"):
        import torch

        require("gpu", torch.cuda.is_available())


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_works() -> None:
    """Also in a shell's background processes, which ignore it and with them all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """The same random numbers in every run, whichever tests ran before."""
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def started_chromium() -> Iterator[Any]:
    """A headless browser, started once for all hosts; tests ask for `chromium`."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def chromium(require: Require, request: pytest.FixtureRequest) -> Any:
    """A headless browser of this machine."""
    require("chromium", chromium_program() is not None)
    require("playwright")
    return request.getfixturevalue("started_chromium")


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots go: ``SAM_PLUGINS_SHOTS``, to be looked at, or the test's own folder."""
    folder = Path(os.environ.get("SAM_PLUGINS_SHOTS") or tmp_path / "shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
