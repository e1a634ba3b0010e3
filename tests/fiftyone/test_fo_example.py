"""The example for FiftyOne runs as its first lines say, and again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sam_plugins.formats import read_coco
from sam_plugins.testing import sample_image

EXAMPLE = Path(__file__).parents[2] / "examples" / "fiftyone_dataset.py"
BOXES = [[10, 12, 30, 25], [50, 30, 20, 20]]


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with two pictures and a file that is none, and boxes for all three."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = ["a.png", "b.png", "broken.png"]
    for name in names[:2]:
        Image.fromarray(sample_image(80, 100)).save(folder / name)
    (folder / "broken.png").write_bytes(b"not a picture")
    document = {
        "images": [
            {"id": number, "file_name": name, "width": 100, "height": 80}
            for number, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": 10 * number + place, "image_id": number, "category_id": 1, "bbox": box}
            for number in range(3)
            for place, box in enumerate(BOXES)
        ],
    }
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps(document))
    return folder, boxes


@pytest.mark.slow
def test_boxes_of_a_folder_become_masks_in_a_file(
    pictures: tuple[Path, Path], fiftyone_environment: dict[str, str], tmp_path: Path, require: Any
) -> None:
    require("fiftyone")
    out = tmp_path / "out"
    command = [sys.executable, str(EXAMPLE), *map(str, pictures), str(out)]

    def run() -> str:
        done = subprocess.run(
            command, env=fiftyone_environment, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    said = run()
    assert "4 masks written, 0 pictures were done before" in said
    assert "broken.png: " in said
    assert "duplicates" in said
    assert "4 masks are in" in said
    found = {picture.file_name: picture for picture in read_coco(out / "annotations.json")}
    assert {"a.png", "b.png"} <= found.keys()
    for name in ("a.png", "b.png"):
        assert len(found[name].records) == 2
        assert set(found[name].categories) == {"thing"}
    assert "0 masks written, 3 pictures were done before" in run()
