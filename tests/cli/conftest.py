"""A command line that answers without a model."""

import pytest
from PIL import Image as PillowImage
from typer.testing import CliRunner

from sam_plugins.cli import common
from sam_plugins.cli.app import app
from sam_plugins.testing import FakeSegmenter, sample_image


@pytest.fixture
def opened(monkeypatch):
    """What was asked of the model; the fake one answers."""
    asked = []

    def open_fake(options):
        asked.append(options)
        return FakeSegmenter()

    monkeypatch.setattr(common, "open_model", open_fake)
    return asked


@pytest.fixture
def run(opened, tmp_path, monkeypatch):
    """Run the command line in an empty folder; ``run("models", "--json")``."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cells.png"
    PillowImage.fromarray(sample_image(120, 160)).save(path)
    return path
