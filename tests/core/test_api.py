"""The one-liner, on a segmenter without a model."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from sam_plugins import api
from sam_plugins.api import SAM
from sam_plugins.automatic import AutomaticSettings
from sam_plugins.errors import ImageError, PromptError
from sam_plugins.formats import read_coco, read_label_image
from sam_plugins.testing import FakeSegmenter, sample_image


@pytest.fixture
def sam():
    return SAM(FakeSegmenter())


@pytest.fixture
def image():
    return sample_image(120, 160)


def test_one_point_is_one_object_under_it(sam, image):
    results = sam.predict(image, points=[80, 60])
    assert len(results) == 1
    assert results.masks.shape == (1, 120, 160)
    assert results.masks[0, 60, 80]
    assert results.records[0].point_coords == (80.0, 60.0)
    x0, y0, x1, y1 = results.boxes[0]
    assert results.masks[0, y0:y1, x0:x1].sum() == results.masks.sum() == results.records[0].area


def test_the_answer_with_the_highest_predicted_iou_is_taken(sam, image):
    results = sam.predict(image, points=[80, 60])
    segmenter = FakeSegmenter()
    (prompt,) = results.prompts
    masks = segmenter.decode(segmenter.encode(image), prompt)
    assert results.scores[0] == masks.iou_predictions.max()
    np.testing.assert_array_equal(results.masks[0], masks.best())


def test_points_in_a_list_are_an_object_each(sam, image):
    results = sam.predict(image, points=[[30, 30], [120, 90]])
    assert len(results) == 2
    assert results.masks[0, 30, 30]
    assert not results.masks[0, 90, 120]
    assert results.masks[1, 90, 120]


def test_points_nested_once_more_belong_to_one_object(sam, image):
    results = sam.predict(image, points=[[[30, 30], [120, 90]]], labels=[[1, 1]])
    assert len(results) == 1
    assert results.masks[0, 30, 30]
    assert results.masks[0, 90, 120]
    (prompt,) = sam.predict(image, points=[[[30, 30], [31, 30]]], labels=[[0, 1]]).prompts
    assert prompt.point_labels.tolist() == [0, 1]


def test_boxes_are_an_object_each_and_join_points(sam, image):
    one = sam.predict(image, bboxes=[10, 20, 60, 70])
    assert len(one) == 1
    assert np.abs(one.boxes[0] - (10, 20, 60, 70)).max() <= 3
    two = sam.predict(image, bboxes=np.array([[10, 20, 60, 70], [80, 20, 120, 60]]))
    assert len(two) == 2
    (prompt,) = sam.predict(image, points=[30, 30], labels=[1], bboxes=[10, 20, 60, 70]).prompts
    assert prompt.box is not None
    assert prompt.point_coords is not None


def test_without_prompts_everything_is_segmented(sam, image):
    settings = AutomaticSettings(points_per_side=3, pred_iou_thresh=0, stability_score_thresh=0)
    results = sam.predict(image, settings=settings)
    assert len(results) > 1
    assert results.prompts == ()
    assert results.scores.tolist() == sorted(results.scores.tolist(), reverse=True)


def test_the_same_picture_is_encoded_once(image):
    segmenter = FakeSegmenter()
    calls = []
    encode = segmenter.encode
    segmenter.encode = lambda *args, **kwargs: calls.append(1) or encode(*args, **kwargs)
    sam = SAM(segmenter)
    sam.predict(image, points=[80, 60])
    sam.predict(image.copy(), points=[20, 60])
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"labels": [1]}, "without points"),
        ({"points": [5, 5], "labels": [0]}, "background"),
        ({"points": [[5, 5], [9, 9]], "labels": [1, 0]}, "nested once more"),
        ({"points": [[5, 5], [9, 9]], "labels": [1]}, "2 objects and labels 1"),
        ({"points": [[5, 5], [9, 9]], "bboxes": [1, 1, 9, 9]}, "2 objects came with 1 boxes"),
        ({"points": [[[[5, 5]]]]}, "depth 4"),
        ({"points": [5]}, "point_coords"),
        ({"points": ["a", "b"]}, "point_coords"),
        ({"points": [500, 5]}, "outside"),
        ({"bboxes": [1, 1, 9]}, "box"),
        ({"bboxes": [[1, 1, 1, 9]]}, "area"),
        ({"bboxes": "box"}, "box"),
    ],
)
def test_prompts_that_do_not_fit_say_why(sam, image, question, words):
    with pytest.raises(PromptError, match=words):
        sam.predict(image, **question)


def test_results_are_saved_by_ending(sam, image, tmp_path):
    source = tmp_path / "cells.png"
    PillowImage.fromarray(image).save(source)
    results = sam.predict(source, points=[[30, 30], [120, 90]])
    overlay = np.array(PillowImage.open(results.save(tmp_path / "o.png")))
    np.testing.assert_array_equal(overlay, results.plot())
    assert (overlay != image).any()
    labels = read_label_image(results.save(tmp_path / "l.tif"))
    assert set(np.unique(labels)) == {0, 1, 2}
    (document,) = read_coco(results.save(tmp_path / "c.json"))
    assert document.file_name == "cells.png"
    assert document.size == (120, 160)
    assert [r.segmentation for r in document.records] == [r.segmentation for r in results.records]
    assert json.loads((tmp_path / "c.json").read_text())["annotations"][1]["image_id"] == 1
    with pytest.raises(ImageError, match=r"found 'x\.xyz'"):
        results.save(tmp_path / "x.xyz")


def test_names_and_paths_are_opened_with_their_options(monkeypatch):
    asked = []
    monkeypatch.setattr(
        api,
        "open_segmenter",
        lambda *args, **kwargs: asked.append((args, kwargs)) or FakeSegmenter(),
    )
    SAM("sam_b.pt", device="cpu", precision="bf16", engine="torch")
    SAM()
    assert asked == [
        (("sam_b.pt",), {"device": "cpu", "precision": "bf16", "engine": "torch"}),
        ((None,), {"device": None, "precision": "fp32", "engine": "auto"}),
    ]


def test_info_is_the_segmenters(sam):
    assert sam.info() == FakeSegmenter().info


def test_val_measures_a_folder_of_pictures_and_masks(sam, image, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    PillowImage.fromarray(image).save(tmp_path / "images" / "a.png")
    truth = np.zeros((120, 160), np.uint16)
    truth[20:70, 10:60] = 1
    PillowImage.fromarray(truth).save(tmp_path / "masks" / "a.png")
    report = sam.val(tmp_path)
    by_prompt = {score.prompt: score.iou for score in report.scores}
    assert by_prompt["box"] > 0.85
    assert 0 < by_prompt["click"] < by_prompt["box"]


def test_train_starts_from_the_weights_that_were_opened(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(api, "open_segmenter", lambda *args, **kwargs: FakeSegmenter())
    monkeypatch.setattr("sam_plugins.training.train", lambda **o: asked.append(o), raising=False)
    SAM("mine.safetensors").train(tmp_path, steps=3)
    SAM().train(str(tmp_path))
    assert asked == [
        {"data": tmp_path, "model": "mine.safetensors", "steps": 3},
        {"data": tmp_path, "model": "fake"},
    ]
