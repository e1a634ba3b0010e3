"""Sixty files that must not be opened: one sentence each, nothing executed, memory bounded."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import hostile_checkpoints
import pytest
from hostile_checkpoints import FILES, PLACES, SPECS, build_tiny, tiny_state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from sam_plugins.errors import CheckpointError
from sam_plugins.weights import load_model, loading

MEMORY_RUN = """
import resource, sys, warnings
from pathlib import Path
import torch
import hostile_checkpoints
from sam_plugins.errors import CheckpointError
from sam_plugins.weights import load_model, loading

torch.set_num_threads(1)
loading.build_model = hostile_checkpoints.build_tiny
folder = Path(sys.argv[1])
good = folder / "good.pth"
torch.save(hostile_checkpoints.tiny_state(), good)
load_model(good, specs=hostile_checkpoints.SPECS)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 400 * 2**20,) * 2)
refused = 0
for path in sorted(folder.glob("*.pth")):
    if path != good:
        try:
            load_model(path, specs=hostile_checkpoints.SPECS)
        except CheckpointError:
            refused += 1
print(refused)
"""


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "build_model", build_tiny)


def refused(path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path, specs=SPECS)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    assert re.search(r"[.?]$", said)
    assert said.count(". ") <= 1


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_in_a_sentence_and_runs_nothing(
    tmp_path: Path, name: str
) -> None:
    make, message = FILES[name]
    canary, path = tmp_path / "canary", tmp_path / "weights.pth"
    path.write_bytes(make(canary))
    refused(path, message)
    assert not canary.exists()


GOOD = {"torch": hostile_checkpoints.torch_bytes(tiny_state()), "safetensors": save(tiny_state())}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(sorted(GOOD)),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=4)), max_size=4),
    end=st.integers(0, 200),
)
def test_damage_anywhere_is_a_checkpoint_error_or_still_a_model(
    kind: str, changes: list[tuple[int, bytes]], end: int
) -> None:
    data = bytearray(GOOD[kind])
    for place, replacement in changes:
        data[place : place + len(replacement)] = replacement
    del data[len(data) - (end if end < 100 else 0) :]
    with TemporaryDirectory() as folder, suppress(CheckpointError):
        path = Path(folder) / "weights.pth"
        path.write_bytes(data)
        assert load_model(path, specs=SPECS).variant == "tiny"


@pytest.mark.parametrize("name", PLACES)
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    place, message = PLACES[name]
    path = tmp_path / "weights.pth"
    place(path)
    refused(path, message)


def test_the_canary_would_have_sung(tmp_path: Path) -> None:
    """The attack is real: Python's own unpickler runs it."""
    canary = tmp_path / "canary"
    make, _ = FILES["bare pickle, protocol 2"]
    code = f"import pickle; pickle.loads({make(canary)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert canary.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_memory_stays_bounded_over_all_of_them(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    folder = tmp_path / "files"
    folder.mkdir()
    written = hostile_checkpoints.write_all(folder, canary)
    result = subprocess.run(
        [sys.executable, "-c", MEMORY_RUN, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(len(list(folder.glob("*.pth"))) - 1)]
    assert len(written) >= 60
    assert not canary.exists()


def test_the_tiny_model_itself_loads(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(hostile_checkpoints.torch_bytes(tiny_state()))
    assert load_model(path, specs=SPECS).variant == "tiny"
