"""The benchmark of large pictures: its scene holds together, and it runs from end to end."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam_plugins.testing import SourceContract

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(),
    reason="the benchmarks are part of the repository, not of the package",
)


@pytest.fixture(scope="module")
def benchmark():
    if str(ROOT / "benchmarks") not in sys.path:
        sys.path.append(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("tiling", ROOT / "benchmarks" / "tiling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestScene(SourceContract):
    @pytest.fixture(autouse=True)
    def _benchmark(self, benchmark):
        self.scene = benchmark.Scene(230, 310, 60)

    def make_source(self):
        self.expected = self.scene.read(0)[None]
        return open_checked(self.scene)

    def test_the_truth_numbers_every_object_once(self):
        truth = self.scene.truth((0, 0, 310, 230))
        names, counts = np.unique(truth[truth > 0], return_counts=True)
        assert len(names) >= 3 * 5
        assert counts[:10].min() > 300
        np.testing.assert_array_equal(self.scene.truth((33, 50, 200, 222)), truth[50:222, 33:200])
        for name in names[:10].tolist():
            x, y, radius = self.scene.centre(name)
            rows, columns = np.nonzero(truth == name)
            assert np.hypot(columns - x, rows - y).max() <= radius + 1


def open_checked(scene):
    """The scene through dask, as the benchmark reads it, so that wrong regions are refused."""
    import dask.array as da

    from sam_plugins.sources import open_source

    return open_source(da.from_array(scene.read(0), chunks=(100, 70, 3)))


def test_it_runs_and_says_what_was_found(require, tmp_path):
    require("dask")
    require("zarr")
    require("nano", (ROOT / "src/sam_plugins/assets/nano.safetensors").exists())
    out = tmp_path / "figures.json"
    words = ["--size", "600", "700", "--tile", "512", "--points-per-side", "5", "--threads", "1"]
    # In a process of its own: what it says of memory is its process's.
    command = [sys.executable, str(ROOT / "benchmarks" / "tiling.py"), *words, "--out", str(out)]
    subprocess.run(command, check=True, timeout=300)
    figures = json.loads(out.read_text())
    assert figures["tiles"] == 4
    assert figures["objects_drawn"] == figures["inside_objects"] + figures["across_borders_objects"]
    assert 0.1 < figures["peak_gb"] < 4
    assert figures["objects_found"] > 0
    assert figures["inside_mean_iou"] > 0.3
