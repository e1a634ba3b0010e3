"""`sam-plugins fiftyone evaluate`, `find-mistakes` and `compare-groups`."""

import csv
import json

import pytest
from rectangles import random_rows
from typer.testing import CliRunner

from fiftyone_plugin.cli import app
from fiftyone_plugin.evaluating import evaluate_masks, load_evaluation


@pytest.fixture
def command(known):
    dataset = known(*random_rows(6))
    dataset.set_values("place", ["in", "out"] * 3)

    def run(name, *words):
        result = CliRunner().invoke(app, [name, dataset.name, *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        dataset.reload()
        return result.output

    return dataset, run


def test_masks_are_evaluated_kept_and_written_into_files(command, tmp_path):
    dataset, run = command
    table, document = tmp_path / "t.md", tmp_path / "t.json"
    words = ("--truth", "truth", "--masks", "sam", "--key", "mine", "--attributes", "mine")
    said = run("evaluate", *words, "--save-views", "--out", str(table))
    assert "Mask AP" in said
    assert "| class |" in table.read_text()
    run("evaluate", "--truth", "truth", "--masks", "sam", "--out", str(document))
    expected = evaluate_masks(dataset, "sam", "truth").overall.to_json()
    assert json.loads(document.read_text())["overall"] == json.loads(json.dumps(expected))
    assert load_evaluation(dataset, "mine")["overall"]["found"] == expected["found"]
    assert "mine: missed" in dataset.list_saved_views()


def test_a_model_is_asked(command):
    _, run = command
    said = run("evaluate", "--truth", "truth", "--prompts", "--max-objects", "1")
    assert "nano asked with one click on each of 6 known objects" in said


def test_mistakes_and_groups(command, tmp_path):
    dataset, run = command
    assert "reasons to look" in run("find-mistakes", "--truth", "truth", "--masks", "sam")
    assert "truth: mistakes" in dataset.list_saved_views()
    path = tmp_path / "groups.csv"
    words = ("--objects", "truth", "--by", "place", "--masks", "sam", "--min-images", "3")
    said = run("compare-groups", *words, "--out", str(path))
    assert "in: " in said
    assert [row["group"] for row in csv.DictReader(path.open())] == ["in", "out"]
