"""Sixteen annotators at once, by the benchmark: every mask is the core's, and memory is bounded."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 40
GROWTH = 300e6
"""Bytes that may come after the first fifth: the caches may still fill."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "benchmarks").is_dir(),
        reason="the benchmarks are part of the repository, not of the package",
    ),
]


def test_sixteen_annotators_get_the_core_s_masks(tmp_path, monkeypatch, require):
    require("nano", (ROOT / "src" / "sam_plugins" / "assets" / "nano.safetensors").exists())
    require("psutil")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from label_studio_load import Load, expected_answers, run_load
    from label_studio_server import serving, write_pictures

    size = (600, 900)
    addresses = write_pictures(tmp_path / "files", 16, size)
    load = Load(addresses, size, annotators=16, seconds=SECONDS)
    expected = expected_answers(load, tmp_path / "files", "nano")
    with serving(tmp_path, "nano") as backend:
        outcome = run_load(load, backend, expected)
    assert (outcome.wrong, outcome.errors) == ([], [])
    assert len(outcome.seconds) > 16
    assert outcome.late_bytes < outcome.early_bytes + GROWTH
    for name in ("measure", "label_studio_load", "label_studio_server"):
        sys.modules.pop(name, None)
