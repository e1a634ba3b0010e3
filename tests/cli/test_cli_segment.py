"""`sam-plugins segment`: one picture, folders, failures, going on where it stopped."""

import json
import os

import numpy as np
import pytest
from PIL import Image as PillowImage

from sam_plugins.cli import common
from sam_plugins.formats import read_coco, read_label_image, rle_to_mask
from sam_plugins.testing import FakeSegmenter, sample_image

ALL = ("--pred-iou-thresh", "0", "--stability-score-thresh", "0", "--points-per-side", "3")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pictures"
    path.mkdir()
    for index, name in enumerate(("a.png", "b.tif", "c.JPG")):
        PillowImage.fromarray(sample_image(60, 80, index)).save(path / name)
    (path / "notes.txt").write_text("not a picture")
    return path


def names(path):
    return sorted(p.name for p in path.iterdir())


def test_one_picture_gets_overlay_labels_and_coco(run, picture, tmp_path):
    result = run("segment", picture, "--out", "out", *ALL)
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    assert names(out) == ["cells.json", "cells_labels.tif", "cells_overlay.png"]
    (document,) = read_coco(out / "cells.json")
    assert document.size == (120, 160)
    assert len(document.records) > 1
    labels = read_label_image(out / "cells_labels.tif")
    assert labels.shape == (120, 160)
    assert set(np.unique(labels)) <= set(range(len(document.records) + 1))
    assert f"{len(document.records)} objects" in result.stdout


def test_a_folder_gets_one_coco_of_all_as_well(run, folder, tmp_path):
    result = run("segment", folder, "--out", "out", "--json", *ALL)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert len(summary["objects"]) == 3
    assert summary["failures"] == {}
    merged = read_coco(tmp_path / "out" / "annotations.json")
    assert [picture.file_name for picture in merged] == ["a.png", "b.tif", "c.JPG"]
    assert [len(picture.records) for picture in merged] == list(summary["objects"].values())
    for files in summary["files"].values():
        assert all(os.path.isfile(file) for file in files)


def test_one_bad_picture_stops_nothing_and_is_told_at_the_end(run, folder, tmp_path):
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    result = run("segment", folder, "--out", "out", *ALL)
    assert result.exit_code == 1
    assert "a.png" in result.stderr
    assert "1 of 3" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(read_coco(tmp_path / "out" / "annotations.json")) == 2
    assert "a.json" not in names(tmp_path / "out")


def test_an_unexpected_failure_of_one_picture_stops_nothing_either(run, folder, monkeypatch):
    class Moody(FakeSegmenter):
        def encode(self, image, *, region=None):
            if image.mean() == sample_image(60, 80, 1).mean():
                raise ZeroDivisionError("moody")
            return super().encode(image, region=region)

    monkeypatch.setattr(common, "open_model", lambda options: Moody())
    result = run("segment", folder, "--json", *ALL)
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert len(summary["objects"]) == 2
    ((source, text),) = summary["failures"].items()
    assert source.endswith("b.tif")
    assert "moody" in text
    assert "Traceback" in run("segment", folder, "--debug", "--overwrite", *ALL).stderr


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["--crop-layers", "1"], {"crop_n_layers": 1}),
        (
            ["--crop-layers", "1", "--skip-whole-image", "--crop-points-downscale", "2"],
            {
                "crop_n_layers": 1,
                "skip_whole_image": True,
                "crop_n_points_downscale_factor": 2,
            },
        ),
        (["--min-area", "20", "--max-area", "900"], {"min_area": 20, "max_area": 900}),
        (["--min-region-area", "5"], {"min_mask_region_area": 5}),
        (["--exclude-border"], {"exclude_border": True}),
        (["--overlaps", "best_on_top"], {"overlaps": "best_on_top"}),
    ],
)
def test_options_become_the_settings_that_made_the_result(run, picture, tmp_path, words, changed):
    documents = []
    for more in ([], words):
        result = run("segment", picture, "--out", "out", *ALL, *more)
        assert result.exit_code == 0, result.output
        documents.append(json.loads((tmp_path / "out" / "cells.json").read_text("utf-8")))
    before, after = (document["info"]["settings"] for document in documents)
    assert {name: after[name] for name in after if after[name] != before[name]} == changed


def test_objects_share_no_pixel_if_asked(run, picture, tmp_path):
    for overlaps, most in (("keep", 2), ("small_on_top", 1)):
        result = run("segment", picture, "--out", "out", "--overlaps", overlaps, *ALL)
        assert result.exit_code == 0, result.output
        (document,) = read_coco(tmp_path / "out" / "cells.json")
        counts = sum(rle_to_mask(r.segmentation).astype(int) for r in document.records)
        assert min(counts.max(), 2) == most


class Counting(FakeSegmenter):
    def __init__(self, encoded):
        super().__init__()
        self.encoded = encoded

    def encode(self, image, *, region=None):
        self.encoded.append(image.shape)
        return super().encode(image, region=region)


@pytest.fixture
def encoded(monkeypatch, run):
    seen = []
    monkeypatch.setattr(common, "open_model", lambda options: Counting(seen))
    return seen


def test_finished_pictures_are_skipped(run, folder, tmp_path, encoded):
    words = ["segment", folder, "--out", "out", *ALL]
    first = run(*words, "--json").stdout
    assert len(encoded) == 3
    assert run(*words, "--json").stdout == first
    assert len(encoded) == 3
    run(*words, "--overwrite")
    assert len(encoded) == 6
    (tmp_path / "out" / "b_labels.tif").unlink()
    run(*words)
    assert len(encoded) == 7
    (tmp_path / "out" / "a.json").write_text('{"half')
    run(*words)
    assert len(encoded) == 8


def test_other_settings_or_a_changed_picture_are_not_taken_for_finished(run, folder, encoded):
    words = ["segment", folder, "--out", "out", *ALL]
    run(*words)
    run(*words, "--max-masks", "1")
    assert len(encoded) == 6
    PillowImage.fromarray(sample_image(50, 50, 9)).save(folder / "a.png")
    run(*words, "--max-masks", "1")
    assert encoded[6:] == [(50, 50, 3)]


def test_a_stopped_run_leaves_no_half_files_and_goes_on(run, folder, tmp_path, monkeypatch):
    class Stopped(FakeSegmenter):
        count = 0

        def decode_many(self, embedding, prompts, *, multimask_output=None, pred_iou_thresh=None):
            Stopped.count += 1
            if Stopped.count == 2:
                raise KeyboardInterrupt
            return super().decode_many(
                embedding,
                prompts,
                multimask_output=multimask_output,
                pred_iou_thresh=pred_iou_thresh,
            )

    monkeypatch.setattr(common, "open_model", lambda options: Stopped())
    words = ["segment", folder, "--out", "out", *ALL]
    assert run(*words).exit_code == 130
    assert names(tmp_path / "out") == ["a.json", "a_labels.tif", "a_overlay.png"]
    assert run(*words).exit_code == 0
    assert Stopped.count == 4


def test_pictures_of_one_stem_do_not_meet(run, folder, tmp_path):
    PillowImage.fromarray(sample_image(60, 80, 5)).save(folder / "a.bmp")
    PillowImage.fromarray(sample_image(60, 80, 6)).save(folder / "annotations.png")
    result = run("segment", folder, "--out", "out", *ALL)
    assert result.exit_code == 0, result.output
    found = names(tmp_path / "out")
    assert {"a_png.json", "a_bmp.json", "annotations_png.json", "annotations.json"} <= set(found)
    assert len(read_coco(tmp_path / "out" / "annotations.json")) == 5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 1, "nowhere"),
        (["empty"], 1, ".png"),
        (["pictures", "--out", "pictures"], 2, "--out"),
        (["pictures", "--points-per-side", "0"], 2, "--points-per-side"),
        (["pictures", "--pred-iou-thresh", "88"], 2, "--pred-iou-thresh"),
        (["pictures", "--overlaps", "none"], 2, "--overlaps"),
        (["pictures", "--skip-whole-image"], 1, "crop_n_layers"),
        (["pictures/notes.txt"], 1, "notes.txt"),
    ],
)
def test_what_cannot_be_segmented_is_said(run, folder, tmp_path, words, code, said):
    (tmp_path / "empty").mkdir()
    result = run("segment", *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_where_nothing_is_found_it_says_what_to_try(run, picture):
    found = run("segment", picture, "--points-per-side", 2, "--pred-iou-thresh", 0.5)
    assert "--pred-iou-thresh" not in found.stderr
    nothing = run("segment", picture, "--points-per-side", 2, "--max-area", 1, "--overwrite")
    assert nothing.exit_code == 0
    assert "0 objects" in nothing.stdout
    assert "--pred-iou-thresh 0.4" in nothing.stderr
