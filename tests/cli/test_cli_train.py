"""`sam-plugins train` passes on what it is told and tells what came out."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from sam_plugins import training
from sam_plugins.cli.app import app
from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import evaluate_segmenter, read_folder
from sam_plugins.testing import FakeSegmenter
from sam_plugins.training.finetune import TrainingResult
from sam_plugins.training.loop import Progress


@pytest.fixture
def report(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    labels = np.zeros((40, 50), np.uint16)
    labels[10:30, 10:30] = 1
    tifffile.imwrite(tmp_path / "data" / "masks" / "a.tif", labels)
    Image.new("RGB", (50, 40)).save(tmp_path / "data" / "images" / "a.png")
    return evaluate_segmenter(FakeSegmenter(), read_folder(tmp_path / "data"))


def run(monkeypatch, result, *words):
    asked = {}

    def train(**options):
        asked.update(options)
        options["progress"](Progress(1, 2, 1.0, 0.5, 0.5, 0.1))
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(training, "train", train, raising=False)
    return CliRunner().invoke(app, ["train", *words]), asked


def test_options_reach_the_training(monkeypatch, tmp_path, report):
    result = TrainingResult(tmp_path / "w.safetensors", report, report)
    words = ["data", "--steps", "7", "--train-encoder", "--learning-rate", "0.001", "--out", "o"]
    outcome, asked = run(monkeypatch, result, *words, "--model", "vit_b")
    assert outcome.exit_code == 0, outcome.output
    assert asked["data"] == Path("data")
    assert (asked["steps"], asked["freeze_encoder"], asked["model"]) == (7, False, "vit_b")
    assert (asked["learning_rate"], asked["out"]) == (0.001, Path("o"))
    assert "w.safetensors" in outcome.output
    assert outcome.output.count("click") == 2


def test_json_holds_both_tables(monkeypatch, tmp_path, report):
    result = TrainingResult(tmp_path / "w.safetensors", report, None)
    outcome, _ = run(monkeypatch, result, "data", "--json")
    document = json.loads(outcome.stdout)
    assert document["after"] is None
    assert {row["prompt"] for row in document["before"]} == {"click", "box"}


def test_bad_data_is_one_sentence(monkeypatch):
    outcome, _ = run(monkeypatch, DatasetError("no masks here"), "data")
    assert outcome.exit_code == 1
    assert "no masks here" in outcome.output
    assert "Traceback" not in outcome.output
