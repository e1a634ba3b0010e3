"""`segment` of what is too large to hold."""

import json

import numpy as np
import pytest
import tifffile

from sam_plugins.cli import large
from sam_plugins.cli.large import is_large
from sam_plugins.testing import sample_image

LOOSE = ("--pred-iou-thresh", 0.5, "--stability-score-thresh", 0.5)


@pytest.fixture
def tiff(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, sample_image(300, 340), photometric="rgb", tile=(64, 64))
    return path


def labels_of(path):
    import zarr

    return zarr.open(str(path), mode="r")[:]


def test_tiles_are_for_zarr_and_tiff_beyond_a_size_or_by_request(tiff, picture, monkeypatch):
    assert not is_large(tiff, None)
    assert is_large(tiff, 128)
    assert not is_large(picture, 128)
    assert not is_large(tiff.parent, 128)
    (tiff.parent / "zarr.json").touch()
    assert is_large(tiff.parent, None)
    monkeypatch.setattr(large, "_LARGE_PIXELS", 300 * 340 - 1)
    assert is_large(tiff, None)


def test_a_large_tiff_becomes_labels_in_zarr(require, run, tiff, tmp_path):
    require("zarr")
    words = ("--json", "segment", tiff, "--tile", 128, *LOOSE, "--points-per-side", 4)
    result = run(*words)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    path = tmp_path / "sam_output" / "slide_labels.zarr"
    assert document["files"] == {str(tiff): [str(path.relative_to(tmp_path))]}
    labels = labels_of(path)
    assert labels.shape == (300, 340)
    assert document["objects"] == {str(tiff): labels.max()}
    assert labels.max() > 10
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_finished_one_is_skipped_and_other_options_do_it_again(require, run, tiff, tmp_path):
    require("zarr")
    words = ("segment", tiff, "--tile", 128, *LOOSE, "--points-per-side")
    assert run(*words, 4).exit_code == 0
    path = tmp_path / "sam_output" / "slide_labels.zarr"
    before, made = labels_of(path), path.stat().st_ino
    assert run(*words, 4).exit_code == 0
    assert path.stat().st_ino == made
    assert run(*words, 4, "--overwrite").exit_code == 0
    np.testing.assert_array_equal(labels_of(path), before)
    assert path.stat().st_ino != made
    assert run(*words, 3).exit_code == 0
    assert labels_of(path).max() < before.max()


def test_a_zarr_folder_is_a_picture(require, run, tmp_path):
    require("zarr")
    import zarr

    source = zarr.create_array(
        tmp_path / "in.zarr", shape=(200, 210, 3), chunks=(64, 64, 3), dtype="u1"
    )
    source[:] = sample_image(200, 210)
    result = run("segment", tmp_path / "in.zarr", *LOOSE, "--points-per-side", 4)
    assert result.exit_code == 0, result.output
    assert "objects   in.zarr" in result.output
    assert labels_of(tmp_path / "sam_output" / "in_labels.zarr").any()


def test_a_page_that_is_not_there_is_named(run, tiff):
    result = run("segment", tiff, "--tile", 128, "--page", 3)
    assert result.exit_code == 1
    assert "frames 0 to 0" in result.output
