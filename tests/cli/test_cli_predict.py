"""`sam-plugins predict`."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from sam_plugins.formats import rle_to_mask
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.types import Prompt


def asked(*, points=None, labels=None, box=None):
    segmenter = FakeSegmenter()
    embedding = segmenter.encode(sample_image(120, 160))
    prompt = Prompt(point_coords=points, point_labels=labels, box=box)
    return segmenter.decode(embedding, prompt)


def test_a_click_gives_mask_overlay_and_json(run, picture, tmp_path):
    result = run("predict", picture, "--point", "80,60", "--out", "out/deep")
    assert result.exit_code == 0, result.output
    out = tmp_path / "out" / "deep"
    assert sorted(p.name for p in out.iterdir()) == [
        "cells.json",
        "cells_mask.png",
        "cells_overlay.png",
    ]
    mask = np.array(PillowImage.open(out / "cells_mask.png"))
    expected = asked(points=[(80, 60)], labels=[1])
    np.testing.assert_array_equal(mask, expected.best() * np.uint8(255))
    overlay = np.array(PillowImage.open(out / "cells_overlay.png"))
    assert overlay.shape == (120, 160, 3)
    assert (overlay != sample_image(120, 160)).any()
    document = json.loads((out / "cells.json").read_text())
    (answer,) = document["answers"]
    np.testing.assert_array_equal(rle_to_mask(answer["segmentation"]), expected.best())
    assert answer["area"] == expected.best().sum()
    assert answer["predicted_iou"] == pytest.approx(expected.iou_predictions.max())
    assert document["prompt"]["point_coords"] == [[80, 60]]
    assert "cells_mask.png" in result.stdout


def test_clicks_of_both_signs_and_a_box_make_one_prompt(run, picture):
    words = ["--point", "80,60", "--point", "90, 60", "--neg", "20,20", "--box", "50,30,120,100"]
    result = run("predict", picture, *words, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["prompt"] == {
        "point_coords": [[80, 60], [90, 60], [20, 20]],
        "point_labels": [1, 1, 0],
        "box": [50, 30, 120, 100],
    }
    assert len(document["answers"]) == 1


def test_three_answers_are_ranked(run, picture, tmp_path):
    result = run("predict", picture, "--point", "80,60", "--multimask", "--json")
    answers = json.loads(result.stdout)["answers"]
    scores = [answer["predicted_iou"] for answer in answers]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    for answer in answers:
        mask = np.array(PillowImage.open(tmp_path / "sam_output" / answer["mask"])) > 0
        np.testing.assert_array_equal(mask, rle_to_mask(answer["segmentation"]))


def test_a_box_gives_one_answer_unless_three_are_wanted(run, picture):
    box = ["predict", picture, "--box", "50,30,120,100", "--json"]
    assert len(json.loads(run(*box).stdout)["answers"]) == 1
    assert len(json.loads(run(*box, "--multimask").stdout)["answers"]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--point", "500,60"], "outside"),
        (["--box", "10,10,10,50"], "area"),
        (["--point", "nan,3"], "finite"),
        (["--point", "3,3", "--page", "7"], "page"),
        (["--point", "3,3", "--out", "cells.png"], "--out"),
    ],
)
def test_what_cannot_be_answered_is_said_and_leaves_nothing(run, picture, tmp_path, words, said):
    result = run("predict", picture, *words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [picture]


def test_a_missing_picture_is_named_before_a_model_is_opened(run, opened):
    result = run("predict", "nothing.png", "--point", "1,1")
    assert result.exit_code == 1
    assert "nothing.png" in result.stderr
    assert opened == []
