"""A session that is killed at any instant: all that it had done is there when it is restored."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("napari")

from killed_sessions import held, picture, undisturbed
from session_doubles import Session

SEEDS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty sessions that were killed, and what they had said."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    place = tmp_path_factory.mktemp("killed")
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, str(here / "killed_sessions.py"), str(place), "0", str(SEEDS)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    return place


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_everything_that_was_done_is_there_again(folder, seed, monkeypatch):
    # Of the test alone: a session of this seed changes it again.
    monkeypatch.setenv("SAM_PLUGINS_JOURNALS", str(folder / str(seed)))
    said = (folder / f"{seed}.said").read_text("utf-8").splitlines()
    session = Session()
    assert session.open(session.viewer.add_image(picture(), name="cells"))
    empty = held(session)
    offers = session.target.offers()
    if not offers:
        assert all(line == empty for line in said)
        return
    (offer,) = offers
    assert not offer.damage
    assert session.annotator.restore(offer)
    assert session.sentences("error") == []
    if held(session) != said[-1]:
        # What was being done when it died had reached the disk.
        other = folder / f"undisturbed {seed}"
        assert held(session) == undisturbed(other, seed, len(said) + 1)
