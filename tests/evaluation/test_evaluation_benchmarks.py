import hashlib
import importlib.util
import json
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import Report, tuning
from sam_plugins.testing import FakeSegmenter

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the package"
)


def script(name):
    if str(BENCHMARKS) not in sys.path:
        sys.path.append(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Discs of the fake's radius on noise, three to train and two to validate."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:96, :128]
    for name in ("images", "masks"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    for number in range(5):
        labels = np.zeros((96, 128), np.uint16)
        for label, x in ((1, 30), (2, 95)):
            labels[(rows - 40 - number) ** 2 + (columns - x) ** 2 <= 400] = label
        image = (
            rng.integers(0, 40, (96, 128, 3), np.uint8) + np.uint8(150) * (labels > 0)[..., None]
        )
        Image.fromarray(image).save(tmp_path / "cells" / "images" / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / "cells" / "masks" / f"{number}.png")
    split = {"version": 1, "sets": {"cells": {"train": ["0", "1", "2"], "val": ["3", "4"]}}}
    (tmp_path / "split.json").write_text(json.dumps({**split, "groups": {"nuclei": ["cells"]}}))
    monkeypatch.setattr(tuning, "BETAS", (500.0,))
    monkeypatch.setattr(tuning, "RADII", (2.0,))
    return tmp_path


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(module, "open_segmenter", lambda *_, **__: FakeSegmenter())
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *map(str, arguments)])
    return module.main()


def test_the_table_is_made_by_two_commands(pool, monkeypatch, capsys):
    accuracy = script("accuracy")
    where = ("--root", pool, "--split", pool / "split.json")
    known, out = pool / "known.json", pool / "runs" / "model.json"
    page = pool / "model.md"
    assert (
        run(accuracy, monkeypatch, *where, "--model=none", "--baselines=run", "--out", known) == 0
    )
    options = (*where, "--model", "fake", "--baselines", known, "--out", out, "--markdown", page)
    assert run(accuracy, monkeypatch, *options) == 0
    report = Report.from_json(out.read_text())
    assert {row.estimate.n_objects for row in report.rows()} == {4}
    means = {(row.method, row.prompt): row.estimate.mean for row in report.rows()}
    assert means["fake", "click"] > 0.9
    assert means["filled box", "box"] == pytest.approx(0.748, abs=0.001)
    assert report.settings["subset"] == "val"
    assert report.settings["model_id"].startswith("fake")
    assert set(report.settings["baselines"]) == {"nuclei"}
    text = page.read_text()
    assert "--root TRAIN_POOL" in text
    assert f"--root {pool}" not in text
    assert "| nuclei | click | fake | 4 | 2 |" in text
    assert "| nuclei | box | filled box | 4 | 2 | +" in text
    assert "fake minus each other answer" in capsys.readouterr().out


def test_baselines_of_other_objects_are_refused(pool, monkeypatch):
    accuracy = script("accuracy")
    where = ("--root", pool, "--split", pool / "split.json", "--model=fake")
    known = pool / "known.json"
    assert run(accuracy, monkeypatch, *where, "--baselines=none", "--out", known) == 0
    with pytest.raises(DatasetError, match="other max_objects_per_image, seed: use --baselines"):
        run(accuracy, monkeypatch, *where, "--baselines", known, "--seed=3", "--max-objects=1")
    with pytest.raises(DatasetError, match="cannot be read"):
        run(accuracy, monkeypatch, *where, "--baselines", pool / "none.json")
    with pytest.raises(DatasetError, match="Nothing is left to measure"):
        run(accuracy, monkeypatch, *where, "--model=none", "--baselines=none")


def test_speed_is_measured_step_by_step(monkeypatch, capsys):
    speed = script("nano_speed")
    monkeypatch.setattr(speed, "open_segmenter", lambda *_, **__: FakeSegmenter())
    monkeypatch.setattr(sys, "argv", ["nano_speed.py", "--rounds", "2", "--size", "60", "80"])
    assert speed.main() == 0
    shown = capsys.readouterr().out
    assert "under 150" in shown
    assert "under 30" in shown
    assert "fake, fp32 on cpu" in shown
    assert "load" in shown


def test_no_round_sees_the_picture_of_another():
    speed = script("nano_speed")
    first, second = (speed.picture(31, 47, seed) for seed in (0, 1))
    assert first.shape == second.shape == (31, 47, 3)
    assert (first != second).mean() > 0.5
    np.testing.assert_array_equal(first, speed.picture(31, 47, 0))


def test_the_committed_baselines_belong_to_the_committed_split():
    accuracy = script("accuracy")
    report = Report.from_json(accuracy.KNOWN_BASELINES.read_text(encoding="utf-8"))
    split = resources.files("sam_plugins.training").joinpath("split.json").read_bytes()
    assert report.settings["split_sha256"] == hashlib.sha256(split).hexdigest()
    assert report.settings["subset"] == "val"
    assert set(report.settings["baselines"]) >= {"nuclei", "photographs"}
    page = accuracy.KNOWN_BASELINES.with_suffix(".md").read_text(encoding="utf-8")
    for row in report.rows():
        start = f"| {row.group} | {row.prompt} | {row.method} | {row.estimate.n_objects} |"
        (line,) = [line for line in page.splitlines() if line.startswith(start)]
        assert float(line.split("|")[6]) == pytest.approx(row.estimate.mean, abs=0.0011)
