"""What annotators submitted goes through the command that trains."""

from pathlib import Path

import pytest
import webhook_doubles as ls
from export_doubles import Pictures
from region_doubles import brush, polygon, square
from typer.testing import CliRunner

from labelstudio_backend.learning import Intake, export_annotations
from sam_plugins.cli.app import app


@pytest.mark.slow
def test_an_exported_folder_is_trained_on(tmp_path: Path) -> None:
    size = (120, 160)
    intake = Intake(tmp_path / "state")
    for task in range(1, 4):
        ring = polygon([(90, 20), (150, 20), (150, 80), (90, 80)], size)
        regions = [brush(square(size, 10 * task, 20, 40)), ring]
        intake.accept(ls.submitted(task, task, regions, image=f"/{task}"))
    for _ in export_annotations(intake, Pictures(size), tmp_path / "data"):
        pass
    words = ["train", str(tmp_path / "data"), "--steps", "2", "--workers", "0"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "weights.safetensors").is_file()
