"""A real Label Studio, the backend as a real process, and a real browser, for tests that ask."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_hands import BrowserHands
from real_programs import RealPrograms


@pytest.fixture
def model() -> Any:
    """A model that can be held, that dies and that counts; for tests of `answering`."""
    from answering_doubles import Model

    return Model()


@pytest.fixture
def meters() -> Any:
    """What was measured, to be looked at."""
    from answering_doubles import Remembered

    return Remembered()


@pytest.fixture
def made(tmp_path: Path, pictures: Any, model: Any, meters: Any) -> Iterator[Any]:
    """An `Annotator` over that model, and over the pictures of the test's module."""
    from answering_doubles import annotator

    made = annotator(tmp_path, pictures, model, meters=meters)
    yield made
    made.close(1)


@pytest.fixture(scope="session")
def real_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrograms]:
    """What is started when a test first asks for it, and ended after the last test."""
    with RealPrograms(tmp_path_factory.mktemp("label-studio")) as programs:
        yield programs


@pytest.fixture
def label_studio(real_programs: RealPrograms, require: Callable[..., Any]) -> Any:
    """A Label Studio that runs, from ``LABEL_STUDIO_PYTHON`` or ``.venv-label-studio``."""
    from labelstudio_backend.start import find_label_studio

    require("label_studio", find_label_studio() is not None)
    return real_programs.label_studio


@pytest.fixture
def backend(label_studio: Any, real_programs: RealPrograms, require: Callable[..., Any]) -> Any:
    """The backend in a process of its own, with the bundled model, for that Label Studio."""
    import sam_plugins

    weights = Path(sam_plugins.__file__).parent / "assets" / "nano.safetensors"
    require("nano", weights.exists())
    return real_programs.backend


@pytest.fixture
def annotator(
    request: pytest.FixtureRequest,
    real_programs: RealPrograms,
    label_studio: Any,
    chromium: Any,
    shots: Path,
) -> Iterator[BrowserHands]:
    """Somebody at Label Studio's window who has logged in."""
    hands = BrowserHands(
        chromium,
        label_studio.url,
        shots,
        request.node.name.removeprefix("test_"),
        real_programs.logged_in,
    )
    try:
        if real_programs.logged_in is None:
            hands.log_in(real_programs.access.email, real_programs.access.password)
            real_programs.logged_in = hands.context.storage_state()
        yield hands
        assert hands.elsewhere == [], "a page asked another host"
    finally:
        hands.shot("end")
        hands.close()
