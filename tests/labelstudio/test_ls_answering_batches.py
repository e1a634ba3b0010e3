"""Whole tasks and many of them: what is found, what is late, and what is done later."""

import itertools
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from answering_doubles import (
    Config,
    Model,
    Pictures,
    alone,
    annotator,
    ask,
    controls,
    question,
    wait_until,
    whole,
)

from labelstudio_backend.answering import StoppedError
from labelstudio_backend.errors import ConfigError
from sam_plugins import AutomaticSettings, MaskRecord, TiledImage, generate_masks
from sam_plugins.formats import rle_to_mask
from sam_plugins.testing import FakeSegmenter

SIZE = (90, 120)


@pytest.fixture(autouse=True)
def _controls(monkeypatch):
    monkeypatch.setitem(sys.modules, "labelstudio_backend.controls", controls())


@pytest.fixture
def pictures():
    return Pictures(**dict.fromkeys("abcdefgh", SIZE), large=(300, 3200))


def task(number, picture="a", points=((30, 30, "Cell", None),), **more):
    return {"id": number, "data": {"image": picture}, "points": points, "annotations": more}


def is_right(answers, pictures, picture="a"):
    rgb = pictures.arrays[picture]
    return bool(answers) and all(
        (whole(found, found.size) == alone(FakeSegmenter(), rgb, one)).all()
        for one, found in answers
    )


def test_prompts_of_a_task_become_masks(made, pictures):
    points = ((30, 30, "Cell", None), (80, 50, "Dog", None))
    answers = made.annotate(Config(), task(1, points=points))
    assert [one.label for one, _ in answers] == ["Cell", "Dog"]
    assert is_right(answers, pictures)
    assert answers.model_version == made.model_version
    assert made.annotate(Config(), task(1, points=())) == []
    assert made.annotate(Config("none"), task(1)) == []
    assert pictures.loads == {"a": 1}  # no picture is read of which nothing is asked


def test_each_page_is_annotated(made, pictures):
    points = ((30, 30, "Cell", 0), (80, 50, "Dog", 2))
    pages = {"id": 1, "data": {"images": ["a", "b", "c"]}, "points": points}
    answers = made.annotate(Config(pages=True), pages)
    assert [(one.label, one.item) for one, _ in answers] == [("Cell", 0), ("Dog", 2)]
    assert is_right(answers[:1], pictures, "a")
    assert is_right(answers[1:], pictures, "c")


def quick(monkeypatch, points=4):
    """Everything-mode on a few points, and whatever it finds."""
    import labelstudio_backend.answering.whole as where

    settings = AutomaticSettings(
        points_per_side=points, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=0.9
    )
    from sam_plugins.automatic import DEFAULT_SETTINGS

    monkeypatch.setattr(
        "sam_plugins.automatic.settings.DEFAULT_SETTINGS", {**DEFAULT_SETTINGS, "fake": settings}
    )
    return settings, where


def test_everything_on_a_picture_is_what_the_core_finds(made, pictures, monkeypatch):
    settings, _ = quick(monkeypatch)
    answers = made.annotate(Config("everything", "Thing"), task(1, points=()))
    rgb = pictures.arrays["a"]
    records = [
        event
        for event in generate_masks(FakeSegmenter(), rgb, settings)
        if isinstance(event, MaskRecord)
    ]
    assert len(answers) == len(records) > 5
    for (one, found), record in zip(answers, records, strict=True):
        assert (one.label, one.to_name, one.item) == ("Thing", "image", None)
        assert (whole(found, SIZE) == rle_to_mask(record.segmentation)).all()
        assert found.score == record.predicted_iou


def test_everything_on_a_large_picture_is_searched_in_tiles(tmp_path, pictures, model, monkeypatch):
    quick(monkeypatch)
    made = annotator(tmp_path, pictures, model)
    assert len(TiledImage(model, pictures.arrays["large"]).grid) > 3
    answers = made.annotate(Config("everything"), task(1, "large", points=()))
    seen = np.zeros((300, 3200), bool)
    for _, found in answers:
        seen |= whole(found, found.size)
    assert seen[:, :800].any()
    assert seen[:, 2400:].any()
    made.close(1)


def test_the_mode_that_is_asked_for_counts(made, monkeypatch):
    quick(monkeypatch)
    assert len(made.annotate(Config("prompts"), task(1, points=()), mode="everything")) > 5
    assert len(made.annotate(Config("everything"), task(1), mode="prompts")) == 1
    with pytest.raises(ConfigError, match="nonsense"):
        made.annotate(Config(), task(1), mode="nonsense")


@pytest.mark.parametrize("mode", ["prompts", "everything"])
def test_a_task_that_is_stopped_is_no_answer(made, model, monkeypatch, mode):
    quick(monkeypatch)
    points = tuple((9 * n + 9, 30, "Cell", None) for n in range(10))
    asked = itertools.count()
    with pytest.raises(StoppedError):
        made.annotate(Config(mode), task(1, points=points), stop=lambda: next(asked) >= 5)
    assert 1 <= model.decodes < 10
    assert made.status()["running"] == 0


def test_clicks_go_between_the_steps_of_a_task(made, model, monkeypatch):
    points = tuple((9 * n + 9, 30, "Cell", None) for n in range(10))
    model.decode_gate.clear()
    found = []
    working = threading.Thread(
        target=lambda: found.extend(made.annotate(Config(), task(1, points=points))), daemon=True
    )
    working.start()
    assert model.decoding.wait(20)
    clicked = threading.Thread(
        target=made.click, args=(question("b", ask((30, 30, 1))),), daemon=True
    )
    clicked.start()
    wait_until(lambda: made._desk.room._running is not None or made._desk.room._steps)
    model.decode_gate.set()
    clicked.join(20)
    working.join(20)
    assert len(found) == 10


def test_a_batch_has_one_element_per_task_in_their_order(made, pictures):
    tasks = [task(number, name) for number, name in enumerate("abcdefgh")]
    found = made.batch(Config(), tasks, 60)
    assert len(found) == 8
    for name, answers in zip("abcdefgh", found, strict=True):
        assert is_right(answers, pictures, name)


def test_a_task_that_fails_is_none_and_the_others_are_not(made, pictures, meters, caplog):
    tasks = [task(1), task(2, "missing"), task(3, "b"), {"id": 4, "data": {"image": "c"}}]
    found = made.batch(Config(), tasks, 60)
    assert is_right(found[0], pictures)
    assert found[1] is None
    assert is_right(found[2], pictures, "b")
    assert found[3] == []  # it asks nothing
    wait_until(lambda: made._batches.later.idle)
    assert "Task 2 could not be annotated" in caplog.text
    assert pictures.loads["missing"] >= 2  # tried once more, and not for ever
    assert meters.counts["failed"] == 2


def test_what_is_late_is_done_later_and_there_at_the_next_request(made, model, pictures, meters):
    tasks = [task(number, name) for number, name in enumerate("abcd")]
    assert made.batch(Config(), tasks, 0) == [None] * 4
    wait_until(lambda: meters.counts["later_done"] == 4)
    before = model.decodes
    found = made.batch(Config(), tasks, 60)
    for name, answers in zip("abcd", found, strict=True):
        assert is_right(answers, pictures, name)
    assert model.decodes == before
    found = made.batch(Config(), tasks, 60)
    assert all(found)
    assert model.decodes > before  # an answer is given out once


def test_a_task_that_changed_is_not_answered_with_what_was_kept(made, pictures, meters):
    assert made.batch(Config(), [task(1), task(2)], 0) == [None, None]
    wait_until(lambda: meters.counts["later_done"] == 2)
    changed = task(1, points=((80, 50, "Dog", None),), result="new")
    ((one, _),) = made.batch(Config(), [changed, task(2)], 60)[0]
    assert one.label == "Dog"
    other = made.batch(Config(label="Other"), [task(2), task(3)], 0)
    assert other == [None, None]


def test_what_a_former_model_found_is_not_given_out(tmp_path, pictures, meters):
    weights = tmp_path / "weights.pt"
    weights.write_text("20")
    made = annotator(
        tmp_path,
        pictures,
        None,
        open_model=lambda path: Model(float(Path(path).read_text())),
        meters=meters,
        settings={"model": str(weights)},
    )
    made._desk.model._watcher._seconds = 0.02
    assert made.batch(Config(), [task(1), task(2)], 0) == [None, None]
    wait_until(lambda: meters.counts["later_done"] == 2)
    before = made.model_version
    (tmp_path / "new").write_text("30")
    (tmp_path / "new").replace(weights)
    wait_until(lambda: made.model_version != before)
    ((one, found),) = made.batch(Config(), [task(1), task(2)], 60)[0]
    expected = alone(FakeSegmenter(30), pictures.arrays["a"], one)
    assert (whole(found, SIZE) == expected).all()
    made.close(1)


def test_a_stop_in_the_middle_of_a_task_is_done_later_as_a_whole(
    made, model, meters, pictures, monkeypatch
):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("labelstudio_backend.answering.batch.time", clock)
    points = tuple((9 * n + 9, 30, "Cell", None) for n in range(6))
    model.decode_gate.clear()
    found = []
    tasks = [task(1, points=points), task(2, "b")]
    working = threading.Thread(
        target=lambda: found.extend(made.batch(Config(), tasks, 10)), daemon=True
    )
    working.start()
    assert model.decoding.wait(20)
    clock.now = 11.0
    model.decode_gate.set()
    working.join(20)
    assert found == [None, None]
    wait_until(lambda: meters.counts["later_done"] == 2)
    again = made.batch(Config(), tasks, 60)
    assert len(again[0]) == 6
    assert is_right(again[0], pictures)


def test_an_opened_task_without_prompts_is_prepared_and_answered_at_once(made, model, pictures):
    pictures.gate.clear()
    assert made.batch(Config(), [task(1, points=())], 60) == [None]
    assert made.status()["later_queue"] == 0
    pictures.gate.set()
    wait_until(lambda: model.encodes == 1)
    assert model.decodes == 0
    pages = {"id": 1, "data": {"images": ["b", "c"]}, "points": ()}
    assert made.batch(Config(pages=True), [pages], 60) == [None]
    wait_until(lambda: model.encodes == 3)
    assert made.batch(Config("none"), [task(1, "d")], 60) == [None]
    wait_until(lambda: model.encodes == 4)


def test_an_opened_task_with_prompts_is_answered(made, pictures):
    (answers,) = made.batch(Config(), [task(1)], 60)
    assert is_right(answers, pictures)


def test_a_batch_without_tasks_is_empty(made):
    assert made.batch(Config(), [], 60) == []


def test_tasks_that_wait_do_not_keep_the_masks_that_lie_on_them():
    from labelstudio_backend.answering.batch import _light

    box = {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 9, "height": 9}}
    mask = {"type": "brushlabels", "value": {"format": "rle", "rle": [0] * 100_000}}
    bitmap = {"type": "bitmasklabels", "value": {"imageDataURL": "data:image/png;base64,AA"}}
    odd = [None, 3, {"value": 4}]
    task = {
        "id": 7,
        "data": {"image": "a.png"},
        "annotations": [{"id": 1, "result": [mask, box, bitmap, *odd]}, "odd"],
        "drafts": None,
    }
    light = _light(task)
    assert light["annotations"] == [{"id": 1, "result": [box, *odd]}, "odd"]
    assert {name: light[name] for name in ("id", "data", "drafts")} == {
        name: task[name] for name in ("id", "data", "drafts")
    }
    assert task["annotations"][0]["result"][0] is mask
