"""`sam-plugins napari replay`: with a real model, from files to the same masks."""

import json
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import sam_plugins.cli.app as cli_app
from napari_plugin.export import (
    ExportRequest,
    ImageRecord,
    ModelRecord,
    Provenance,
    accept_operation,
    delete_operation,
    export,
    headless,
    paint_operation,
    replay,
)
from napari_plugin.layers import image_layers
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins import open_segmenter, open_source
from sam_plugins.errors import ImageError
from sam_plugins.formats import read_label_tiff, read_label_zarr

SHAPE = (2, 160, 200)
CENTRES = ((60, 50), (140, 100))
PLANE = Plane(1, 2, (0, 0, 0))


@pytest.fixture(autouse=True)
def command(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    entry = EntryPoint("napari", "napari_plugin.cli:app", cli_app.GROUP)
    monkeypatch.setattr(cli_app, "entry_points", lambda group: [entry])


def run(*arguments):
    return CliRunner().invoke(cli_app.app, ["napari", "replay", *map(str, arguments)])


@pytest.fixture(scope="module")
def picture():
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    image = np.full(SHAPE, 30, np.uint8)
    for number, (x, y) in enumerate(CENTRES):
        image[:, np.hypot(columns - x, rows - y) < 22 + number] = 200
    return image + np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint8)


class Planes:
    """A stack as an image whose planes can be shown to a model."""

    shape = SHAPE

    def __init__(self, image):
        self.image = image

    def source(self, plane):
        return open_source(self.image[plane.index[0]])


@pytest.fixture(scope="module")
def made(tmp_path_factory, picture):
    """A folder with an image, what was made of it, and how."""
    folder = tmp_path_factory.mktemp("made")
    tifffile.imwrite(folder / "cells.tif", picture)
    segmenter = open_segmenter("nano")
    clicks = [PromptSet(points=((x, y, 1),)) for x, y in CENTRES]
    corrected = PromptSet(points=((*CENTRES[1], 1), (10, 10, 0)), boxes=((110, 70, 170, 130),))
    erased = PlaneMask(PLANE, (55, 45, 60, 50), np.ones((5, 5), bool))
    operations = (
        accept_operation(1, [(PLANE.at(0, z), clicks[0]) for z in (0, 1)], SHAPE),
        accept_operation(2, [(PLANE, corrected)], SHAPE),
        accept_operation(3, [(PLANE.at(0, 1), clicks[1])], SHAPE, policy="overwrite"),
        paint_operation([(0, erased)], SHAPE),
        accept_operation(9, [(PLANE, clicks[0])], SHAPE, policy="overwrite"),
        delete_operation([3]),
    )
    info = segmenter.info
    document = Provenance(
        model=ModelRecord(name="nano", model_id=info.model_id, encoder_id=info.encoder_id),
        image=ImageRecord(
            name="cells",
            paths=(str(folder / "cells.tif"),),
            fingerprint="f",
            shape=SHAPE,
            dtype="uint8",
        ),
        labels_shape=SHAPE,
        axes="ZYX",
        scale=(2, 0.5, 0.5),
        operations=operations,
        tiles={"tile": 512, "threshold": 768},
    )
    answer = headless.answers_of(segmenter, Planes(picture).source, document.tiles)
    *_, labels = replay(document, answer)
    request = ExportRequest(
        folder=folder,
        name="cells",
        kinds=("tiff", "provenance"),
        labels=labels,
        axes="ZYX",
        provenance=document,
    )
    list(export(request))
    return folder, labels


@pytest.fixture
def opened(monkeypatch, picture):
    """The image of every document is the picture."""

    def open_it(document, layers, *, any_image=False):
        return Planes(picture)

    monkeypatch.setattr(headless, "opened_image", open_it)


def test_masks_are_found_and_no_object_is_empty(made):
    _, labels = made
    assert set(np.unique(labels)) == {0, 1, 2, 9}
    assert all((labels == n).sum() > 800 for n in (1, 2, 9))


def test_one_command_makes_the_same_masks(made, opened, tmp_path):
    folder, labels = made
    out = tmp_path / "again.tif"
    checked = folder / "cells.labels.ome.tif"
    result = run(folder / "cells.sam.json", "--check", checked, "--out", out)
    assert result.exit_code == 0, result.output
    assert "object 1: IoU 1.0000" in result.output
    assert f"The masks are the same as in {checked}." in result.output
    back = read_label_tiff(out)
    np.testing.assert_array_equal(back.labels, labels)
    assert back.scale == (2, 0.5, 0.5)


def test_without_a_file_to_check_the_document_knows(made, opened, tmp_path, require):
    require("zarr")
    folder, labels = made
    result = run(folder / "cells.sam.json", "--out", tmp_path / "again.zarr", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "file": str(folder / "cells.sam.json"),
        "same": True,
        "objects": [],
    }
    np.testing.assert_array_equal(read_label_zarr(tmp_path / "again.zarr").labels[:], labels)


def test_other_masks_are_told(made, opened, tmp_path):
    folder, labels = made
    other = labels.copy()
    other[0][other[0] == 2] = 0
    tifffile.imwrite(tmp_path / "other.tif", other.astype(np.uint16))
    result = run(folder / "cells.sam.json", "--check", tmp_path / "other.tif")
    assert result.exit_code == 1
    assert "object 2: IoU 0.0000" in result.output
    assert "not the same" in result.output
    found = json.loads((folder / "cells.sam.json").read_text("utf-8"))
    found["operations"].pop(1)
    (tmp_path / "changed.json").write_text(json.dumps(found))
    result = run(tmp_path / "changed.json")
    assert result.exit_code == 1
    assert "not the same as when the document was written" in result.output


def test_other_weights_are_refused_unless_asked_for(made, opened, tmp_path):
    folder, _ = made
    found = json.loads((folder / "cells.sam.json").read_text("utf-8"))
    found["model"]["model_id"] = "0" * 64
    (tmp_path / "changed.json").write_text(json.dumps(found))
    result = run(tmp_path / "changed.json")
    assert result.exit_code == 1
    assert "--any-model" in result.output
    assert run(tmp_path / "changed.json", "--any-model").exit_code == 0


def test_nothing_is_opened_where_nothing_is_asked(made, tmp_path):
    folder, _ = made
    found = json.loads((folder / "cells.sam.json").read_text("utf-8"))
    found["operations"] = found["operations"][3:4]
    found["image"]["paths"], found["digest"], found["model"]["name"] = [], "", "no such model"
    (tmp_path / "brush.json").write_text(json.dumps(found))
    result = run(tmp_path / "brush.json", "--out", tmp_path / "a.tif")
    assert result.exit_code == 0, result.output
    assert "compare with --check" in result.output
    assert read_label_tiff(tmp_path / "a.tif").labels.max() == 0


def test_a_document_that_cannot_be_read_is_a_sentence(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    result = run(tmp_path / "a.json")
    assert result.exit_code == 1
    assert "cannot be replayed" in result.output
    assert "No such file" in run(tmp_path / "none.json").output


def test_the_image_is_found_beside_the_document(made, tmp_path, picture):
    document = _with_paths(made, ("/elsewhere/cells.tif",))
    with pytest.raises(ImageError, match="not there any more"):
        headless.found_paths(document, tmp_path)
    tifffile.imwrite(tmp_path / "cells.tif", picture)
    assert headless.found_paths(document, tmp_path) == [tmp_path / "cells.tif"]
    windows = _with_paths(made, ("C:\\data\\cells.tif",))
    assert headless.found_paths(windows, tmp_path) == [tmp_path / "cells.tif"]
    with pytest.raises(ImageError, match="not opened from a file"):
        headless.found_paths(_with_paths(made, ()), tmp_path)


def _with_paths(made, paths):
    folder, _ = made
    found = json.loads((folder / "cells.sam.json").read_text("utf-8"))
    found["image"]["paths"] = list(paths)
    path = folder / "paths.json"
    path.write_text(json.dumps(found))
    from napari_plugin.export import read_provenance

    return read_provenance(path)


def test_files_become_the_layers_that_napari_makes(tmp_path, picture, require):
    require("napari")
    tifffile.imwrite(tmp_path / "cells.tif", picture)
    (layer,) = image_layers([tmp_path / "cells.tif"])
    assert (layer.name, tuple(layer.data.shape)) == ("cells", SHAPE)
    (tmp_path / "notes.xyz").write_text("no image")
    with pytest.raises(ImageError, match=r"notes\.xyz"):
        image_layers([tmp_path / "notes.xyz"])
