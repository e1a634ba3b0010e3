"""`sam-plugins demo`."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from sam_plugins.formats import read_coco, read_label_image
from sam_plugins.samples import SAMPLES, load_sample


@pytest.fixture
def few(monkeypatch):
    chosen = {name: SAMPLES[name] for name in ("coins", "document")}
    monkeypatch.setattr("sam_plugins.samples.SAMPLES", chosen)
    return chosen


def test_the_demonstration_writes_everything_it_promises(run, few, tmp_path):
    result = run("demo", "--out", "shown")
    assert result.exit_code == 0, result.output
    out = tmp_path / "shown"
    for name in few:
        sample = load_sample(name)
        for kind in ("", "_click", "_box", "_everything"):
            pixels = np.array(PillowImage.open(out / f"{name}{kind}.png"))
            assert pixels.shape == sample.image.shape
        assert read_label_image(out / f"{name}_labels.tif").shape == sample.image.shape[:2]
        (picture,) = read_coco(out / f"{name}.json")
        assert picture.file_name == f"{name}.png"
        assert sample.licence.split()[0] in result.stdout
        assert json.loads((out / f"{name}.json").read_text())["info"]["licence"] == sample.licence
    sheet = PillowImage.open(out / "contact_sheet.png")
    assert sheet.width > 1000
    assert "contact_sheet.png" in result.stdout


def test_the_true_iou_is_told_where_the_truth_is_known(run, few):
    document = json.loads(run("demo", "--json").stdout)
    rows = {row["name"]: row for row in document["samples"]}
    assert rows["coins"]["box_iou"] is None
    assert rows["document"]["box_iou"] > 0.8, "the fake fills the box, which holds the chart"
    assert 0 < rows["document"]["click_iou"] < 1
    assert document["model"] == "fake"
