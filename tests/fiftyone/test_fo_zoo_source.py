"""The folder of the plugin as a source of FiftyOne's zoo, without any network."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fiftyone_plugin
from fiftyone_plugin.errors import FieldError
from sam_plugins import known_models, open_segmenter
from sam_plugins.weights import CHECKPOINTS

FOLDER = Path(fiftyone_plugin.__file__).parent


@pytest.fixture
def zoo_folder(fiftyone_here, tmp_path, monkeypatch):
    monkeypatch.setattr(fiftyone_here.config, "model_zoo_dir", str(tmp_path / "zoo"))
    source = tmp_path / "zoo" / "sam-plugins"
    source.mkdir(parents=True)
    for name in ("manifest.json", "__init__.py"):
        (source / name).write_bytes((FOLDER / name).read_bytes())
    return source


def test_the_manifest_names_every_model_that_there_is():
    listed = json.loads((FOLDER / "manifest.json").read_text())["models"]
    assert [each["base_name"] for each in listed] == [
        f"sam-plugins/{model.name}" for model in known_models()
    ]
    for each, known in zip(listed, CHECKPOINTS.values(), strict=True):
        assert each["base_filename"] == known.filename
        assert each["license"] == known.licence
        assert each.get("size_bytes") == known.size_bytes


def test_a_local_source_is_found_loaded_and_applied(fiftyone_here, zoo_folder, make_dataset):
    import fiftyone.zoo as foz

    assert "sam-plugins/vit_b" in foz.list_zoo_models()
    model = foz.load_zoo_model("sam-plugins/nano", box_mode="keep")
    assert (zoo_folder / "nano.safetensors").is_file()
    assert model.config.box_mode == "keep"
    dataset = make_dataset(2, boxes=2)
    dataset.apply_model(model, label_field="m", prompt_field="boxes", skip_failures=False)
    expected = open_segmenter("nano").info.model_id
    for sample in dataset:
        for found, asked in zip(sample.m.detections, sample.boxes.detections, strict=True):
            assert found.model_id == expected
            assert found.mask.any()
            assert np.allclose(found.bounding_box, asked.bounding_box, atol=1e-9)
    foz.delete_zoo_model("sam-plugins/nano")
    assert open_segmenter("nano") is not None


def test_a_setting_that_is_not_known_is_refused(zoo_folder):
    import fiftyone.zoo as foz

    for wrong in ({"boxes": 1}, {"box_mode": "wrong"}, {"label_field": "m"}):
        with pytest.raises(FieldError):
            foz.load_zoo_model("sam-plugins/nano", **wrong)


def test_nothing_of_the_zoo_model_needs_torchvision(fiftyone_environment, tmp_path):
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "import fiftyone_plugin.zoo\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=fiftyone_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
