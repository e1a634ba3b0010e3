"""Windows and viewers for the tests of the napari plugin, and a place for their pictures."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from display_of_tests import has_display


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, caches and journals of a test are its own."""
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SAM_PLUGINS_JOURNALS", str(tmp_path / "journals"))
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari.yaml"))


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """``wait_until(condition, timeout=60)`` handles Qt's events until a condition holds."""

    def wait(condition: Callable[[], Any], timeout: float = 60.0, what: str = "") -> None:
        from qtpy.QtCore import QEventLoop
        from qtpy.QtWidgets import QApplication

        deadline = time.monotonic() + timeout
        while not condition():
            application = QApplication.instance()
            if application is not None:
                application.processEvents(QEventLoop.AllEvents, 20)
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout} s in vain for {what or condition}")
            time.sleep(0.002)

    return wait


@pytest.fixture(scope="session", autouse=True)
def qt_where_required() -> None:
    """Where windows are required, files that need Qt must not skip for want of it."""
    if "display" in os.environ.get("SAM_PLUGINS_REQUIRE", "").split(","):
        import qtpy.QtWidgets  # noqa: F401


@pytest.fixture
def window(require: Callable[..., Any]) -> Iterator[Any]:
    """A real napari window, shown; closed afterwards."""
    require("display", has_display())
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 950)
    yield viewer
    viewer.close()
