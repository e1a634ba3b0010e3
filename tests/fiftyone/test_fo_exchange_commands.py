"""Export and import as operators, in forms and as commands."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from app_server import link_plugin
from exchange_labels import detection, donut, known, picture
from operating import execute, form, outputs
from typer.testing import CliRunner

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.choices import export_settings_of, import_settings_of
from fiftyone_plugin.start import PLUGIN
from sam_plugins.cli.app import app as cli
from sam_plugins.evaluation import read_folder

EXPORT, IMPORT = f"{PLUGIN}/export_masks", f"{PLUGIN}/import_masks"
SIZE = (40, 60)


@pytest.fixture
def plugin(fiftyone_here, fiftyone_folder):
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(fiftyone_here, tmp_path):
    fo = fiftyone_here
    found = fo.Dataset(persistent=True)
    for name in ("a.png", "b.png"):
        labels = [
            detection(fo, donut(), 3, 5, SIZE, label="cat", confidence=0.5, review="accepted"),
            detection(fo, donut(), 23, 5, SIZE, label="dog"),
        ]
        path = picture(tmp_path / "in" / name, SIZE)
        found.add_sample(fo.Sample(path, masks=fo.Detections(detections=labels)))
    yield found
    found.delete()


def same(dataset, one, other):
    dataset.reload()
    return all(known(each, one, SIZE) == known(each, other, SIZE) for each in dataset)


@pytest.mark.parametrize("format", ["coco", "sa1b"])
def test_operators_write_and_read(plugin, dataset, tmp_path, format):
    out = str(tmp_path / "out")
    wrote = execute(EXPORT, dataset, label_field="masks", folder=out, format=format)
    assert (wrote["pictures"], wrote["objects"], wrote["reasons"]) == (2, 4, {})
    read = execute(IMPORT, dataset, source=out, label_field="back", format=format)
    assert (read["pictures"], read["objects"]) == (2, 4)
    assert same(dataset, "masks", "back")
    shown = outputs(IMPORT, dataset, read)
    assert {"pictures", "objects", "label_field"} <= set(shown)
    assert "unknown" not in shown


def test_the_form_takes_a_view_and_which_masks_leave(plugin, dataset, tmp_path):
    result = execute(
        EXPORT,
        dataset,
        view=dataset.limit(1),
        label_field="masks",
        folder=str(tmp_path / "out"),
        format="coco",
        with_unsure=True,
    )
    assert (result["pictures"], result["objects"]) == (1, 1)
    document = json.loads((tmp_path / "out/annotations.json").read_text())
    names = {each["id"]: each["name"] for each in document["categories"]}
    (annotation,) = document["annotations"]
    assert names[annotation["category_id"]] == "dog"
    assert "predicted_iou" not in annotation, "nobody has said it"
    shown = outputs(EXPORT, dataset, result)
    assert "reason_0" in shown


def test_forms_ask_what_the_format_needs_and_say_what_is_wrong(plugin, dataset, tmp_path):
    assert "image_root" not in form(EXPORT, dataset, format="coco")
    assert "image_root" in form(EXPORT, dataset, format="label-studio")
    assert "tolerance" in form(EXPORT, dataset, format="yolo")
    wrong = form(EXPORT, dataset, folder="x", format="coco")
    assert any("the field to export" in each for each in wrong["_errors"])
    taken = form(IMPORT, dataset, source="x", label_field="masks")
    assert any("agree to replace" in each for each in taken["_errors"])
    fine = form(IMPORT, dataset, source="x", label_field="masks", overwrite=True)
    assert fine["_errors"] == []
    answers = form(IMPORT, dataset, source="x", format="label-studio")
    assert answers["_errors"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"format": "tiff"},
        {"label_field": 3},
        {"folder": ""},
        {"reviews": ["maybe"]},
        {"reviews": "accepted"},
        {"pictures": "burn"},
        {"tolerance": -1},
        {"tolerance": True},
    ],
)
def test_wrong_values_are_refused_with_a_sentence(params):
    with pytest.raises(ExchangeError, match="Expected"):
        export_settings_of({"label_field": "masks", "folder": "out", **params})


@pytest.mark.parametrize(
    "params",
    [{"format": "training"}, {"label_field": ""}, {"source": None}, {"max_inline_bytes": -1}],
)
def test_wrong_values_of_imports_too(params):
    with pytest.raises(ExchangeError, match="Expected"):
        import_settings_of({"label_field": "masks", "source": "in", **params})


def invoke(*words):
    return CliRunner().invoke(cli, ["fiftyone", *words])


def test_commands_write_and_read(dataset, tmp_path):
    out = tmp_path / "out"
    dataset.save_view("one", dataset.limit(1))
    wrote = invoke("export", dataset.name, str(out), "--format", "training", "--json")
    assert wrote.exit_code == 0, wrote.stderr
    assert json.loads(wrote.stdout)["objects"] == 2
    assert len(read_folder(out)) == 2
    some = invoke("export", dataset.name, str(tmp_path / "coco"), "--view", "one")
    assert some.exit_code == 0, some.stderr
    assert "Masks" in some.stdout
    read = invoke("import", dataset.name, str(tmp_path / "coco"), "--out", "back", "--json")
    assert read.exit_code == 0, read.stderr
    assert json.loads(read.stdout)["objects"] == 2
    name = f"{dataset.name}-new"
    words = ("import", name, str(tmp_path / "coco"), "--out", "back")
    made = invoke(*words, "--new-from", str(tmp_path / "in"), "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["pictures"] == 1


def test_a_picture_that_failed_gives_exit_code_1(dataset, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/bad.json").write_text("{}")
    words = ("import", dataset.name, str(tmp_path / "docs"), "--out", "back")
    failed = invoke(*words, "--format", "sa1b")
    assert failed.exit_code == 1
    assert "cannot be read" in failed.stderr


def test_an_export_killed_at_any_instant_is_completed_by_the_same_command(
    fiftyone_environment, dataset, tmp_path
):
    fo_words = ["fiftyone", "export", dataset.name]
    code = "from sam_plugins.cli import main; main()"
    whole, out = tmp_path / "whole", tmp_path / "out"
    for _ in range(60):
        sample = dataset.first().copy()
        sample.filepath = picture(tmp_path / f"more/{time.time_ns()}.png", SIZE)
        dataset.add_sample(sample)
    result = invoke("export", dataset.name, str(whole), "--format", "training")
    assert result.exit_code == 0, result.stderr
    for wanted in (1, 25):
        program = subprocess.Popen(
            [sys.executable, "-c", code, *fo_words, str(out), "--format", "training"],
            env=fiftyone_environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(list(out.glob("masks/*.png"))) < wanted and program.poll() is None:
            time.sleep(0.002)
        if program.poll() is None:
            os.kill(program.pid, signal.SIGKILL)
        program.wait(60)
    result = invoke("export", dataset.name, str(out), "--format", "training", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["unchanged"] > 0
    items = {each.id: each for each in read_folder(out)}
    expected = read_folder(whole)
    assert set(items) == {each.id for each in expected}
    for each in expected:
        assert items[each.id].mask_path.read_bytes() == each.mask_path.read_bytes()
        assert items[each.id].image_path.read_bytes() == each.image_path.read_bytes()
