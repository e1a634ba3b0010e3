"""From an image file over napari's layers to masks, and back from the document alone."""

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
    axis_letters,
    export,
    headless,
    paint_operation,
    replay,
)
from napari_plugin.layers import ImageChoice, LayerImage, fingerprint, image_layers
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins import open_segmenter

CENTRES = ((60, 50), (140, 100))


@pytest.fixture(autouse=True)
def command(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    entry = EntryPoint("napari", "napari_plugin.cli:app", cli_app.GROUP)
    monkeypatch.setattr(cli_app, "entry_points", lambda group: [entry])


def run(*arguments):
    return CliRunner().invoke(cli_app.app, ["napari", "replay", *map(str, arguments)])


def disks(leading, dtype, colours=()):
    rows, columns = np.mgrid[:160, :200]
    image = np.full((*leading, 160, 200), 300.0)
    for x, y in CENTRES:
        image[..., np.hypot(columns - x, rows - y) < 22] = 2000
    image += np.random.default_rng(0).normal(0, 20, image.shape)
    if colours:
        image = np.stack([image * weight for weight in colours], axis=-1)
    return (image / 10 if dtype == np.uint8 else image).astype(dtype)


def annotated(folder, layers, choice, plane):
    """Keep two objects of the image, one with a correction and a stroke of the brush."""
    image = LayerImage(layers, choice)
    segmenter = open_segmenter("nano")
    tiles = {"tile": 768, "threshold": 1152}
    first = PromptSet(points=((*CENTRES[0], 1),))
    second = PromptSet(points=((*CENTRES[1], 1), (5, 5, 0)), boxes=((115, 75, 165, 125),))
    stroke = PlaneMask(plane, (0, 0, 9, 2), np.ones((2, 9), bool))
    operations = (
        accept_operation(1, [(plane, first)], image.shape),
        paint_operation([(1, stroke)], image.shape),
        accept_operation(2, [(plane, second)], image.shape),
    )
    info = segmenter.info
    letters = axis_letters(len(image.shape), channel_axis=choice.channel_axis)
    document = Provenance(
        model=ModelRecord(name="nano", model_id=info.model_id, encoder_id=info.encoder_id),
        image=ImageRecord(
            name="cells",
            paths=(str(folder / "cells.tif"),),
            fingerprint=fingerprint(image),
            shape=tuple(layers[0].data.shape),
            dtype=str(layers[0].data.dtype),
            choice=image.choice.to_json(),
        ),
        labels_shape=tuple(image.shape),
        axes=letters,
        operations=operations,
        tiles=tiles,
    )
    *_, labels = replay(document, headless.answers_of(segmenter, image.source, tiles))
    kinds = ("tiff", "provenance")
    list(
        export(
            ExportRequest(
                folder=folder,
                name="cells",
                kinds=kinds,
                labels=labels,
                axes=letters,
                provenance=document,
            )
        )
    )
    return labels


CASES = {
    "grey stack": ((3,), np.uint16, (), {}, Plane(1, 2, (1, 0, 0))),
    "colours": ((), np.uint8, (1, 0.5, 0.2), {}, Plane(0, 1, (0, 0))),
    "channels": (
        (2, 2),
        np.float32,
        (),
        {"channel_axis": 1, "channels": (1,)},
        Plane(2, 3, (1, 0, 0, 0)),
    ),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_one_command_makes_the_same_masks_from_the_file(tmp_path, require, case):
    require("napari")
    leading, dtype, colours, options, plane = CASES[case]
    image = disks(leading, dtype, colours)
    photometric = "rgb" if colours else "minisblack"
    tifffile.imwrite(tmp_path / "cells.tif", image, photometric=photometric)
    layers = image_layers([tmp_path / "cells.tif"])
    labels = annotated(tmp_path, layers, ImageChoice(("cells",), **options), plane)
    assert [int((labels == n).sum()) > 1000 for n in (1, 2)] == [True, True]
    checked = tmp_path / "cells.labels.ome.tif"
    result = run(tmp_path / "cells.sam.json", "--check", checked)
    assert result.exit_code == 0, result.output
    assert f"The masks are the same as in {checked}." in result.output


def test_another_image_is_refused_unless_asked_for(tmp_path, require):
    require("napari")
    image = disks((3,), np.uint16)
    tifffile.imwrite(tmp_path / "cells.tif", image)
    layers = image_layers([tmp_path / "cells.tif"])
    annotated(tmp_path, layers, ImageChoice(("cells",)), Plane(1, 2, (1, 0, 0)))
    (tmp_path / "cells.tif").rename(tmp_path / "moved.tif")
    document = tmp_path / "cells.sam.json"
    missing = run(document)
    assert (missing.exit_code, "--image" in missing.output) == (1, True)
    assert run(document, "--image", tmp_path / "moved.tif").exit_code == 0
    tifffile.imwrite(tmp_path / "other.tif", image[:, ::-1])
    other = run(document, "--image", tmp_path / "other.tif")
    assert (other.exit_code, "--any-image" in other.output) == (1, True)
    asked = run(document, "--image", tmp_path / "other.tif", "--any-image", "--json")
    assert json.loads(asked.stdout)["same"] is False
    tifffile.imwrite(tmp_path / "small.tif", image[:, 1:])
    small = run(document, "--image", tmp_path / "small.tif", "--any-image")
    assert (small.exit_code, "(3, 160, 200)" in small.output) == (1, True)
