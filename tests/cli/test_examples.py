"""Every example runs as its first line says."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from sam_plugins.formats import read_coco, read_label_image
from sam_plugins.testing import sample_image

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(require, tmp_path):
    """Run one example in an empty folder with the bundled model."""
    require("nano", (resources.files("sam_plugins") / "assets" / "nano.safetensors").is_file())

    def run(name, *words):
        command = [sys.executable, str(EXAMPLES / name), *map(str, words)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def test_each_example_is_known_to_a_test():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    elsewhere = {"fiftyone_dataset.py"}  # tests/fiftyone/test_fo_example.py
    assert names - elsewhere == {"five_lines.py", "batch_folder.py", "one_liner.py"}


def test_five_lines_are_enough_for_a_mask(example):
    words = example("five_lines.py").split()
    assert int(words[0]) > 100
    assert 0 < float(words[-1]) <= 1.5


def test_the_one_liner_writes_an_overlay(example, tmp_path):
    assert "1 object" in example("one_liner.py")
    assert PillowImage.open(tmp_path / "one_liner.png").size == (600, 400)


def test_a_folder_is_segmented_and_a_bad_file_is_told(example, tmp_path):
    PillowImage.fromarray(sample_image(64, 80)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("not a picture")
    said = example("batch_folder.py", tmp_path, tmp_path / "out")
    assert "bad.png:" in said
    assert "good.png:" in said
    (picture,) = read_coco(tmp_path / "out" / "good.json")
    assert picture.size == (64, 80)
    assert read_label_image(tmp_path / "out" / "good.tif").shape == (64, 80)
    assert not (tmp_path / "out" / "bad.json").exists()
