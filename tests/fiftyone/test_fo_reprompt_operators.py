"""The panel's operators, as the App calls them: JSON in, JSON out, errors as sentences."""

import base64
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import link_plugin
from operating import in_a_thread
from PIL import Image

import fiftyone_plugin.operators.reprompting
from fiftyone_plugin.review import Reprompter
from sam_plugins.testing import FakeSegmenter

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(fiftyone_here: Any, make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> Call:
    """``call(name, dataset, sample_id, ...)`` executes an operator; the model answers by rule."""
    import fiftyone.operators as foo

    link_plugin(Path(os.environ["FIFTYONE_PLUGINS_DIR"]))
    reprompter = Reprompter(lambda model: FakeSegmenter())
    for module in ("reprompting", "reprompt_click", "reprompt_accept"):
        monkeypatch.setattr(
            f"fiftyone_plugin.operators.{module}.shared_reprompter", lambda: reprompter
        )

    def execute(name: str, view: Any, sample_id: str, **params: Any) -> dict[str, Any]:
        context = {
            "view": view.view(),
            "params": {"sample_id": sample_id, "model": "fake", **params},
        }
        result = in_a_thread(foo.execute_operator)(f"@sam-plugins/sam/{name}", context).result
        return dict(json.loads(json.dumps(result)))  # what a browser is given

    return execute


def opened(call: Call, view: Any, sample_id: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while (said := call("reprompt_open", view, sample_id)).get("state") == "preparing":
        assert time.monotonic() < until
    return said


CLICK: dict[str, Any] = {"points": [[0.5, 0.5, 1]], "box": None, "answer": None}


def test_open_click_accept_and_take_back(call: Call, make_dataset: Any) -> None:
    dataset = make_dataset(1)
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    said = opened(call, dataset, sample.id)
    assert said["size"] == [96, 128]
    assert said["fields"] == ["boxes"]
    assert [one["id"] for one in said["labels"]] == [x.id for x in sample["boxes"].detections]
    assert said["classes"] == ["disc"]
    assert said["undo"] == 0

    answer = call("reprompt_click", dataset, sample.id, **CLICK)
    kind, _, content = answer["mask"].partition(",")
    assert kind == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))
    assert (shown[..., 3] > 0).sum() == answer["area"]
    x, y, width, height = answer["box"]
    assert shown.shape[:2] == (round(height * 96), round(width * 128))
    assert (answer["answer"], answer["answers"]) == (0, 3)

    where = {"field": "boxes", "label_id": label.id, "mark": said["labels"][0]["mark"]}
    done = call("reprompt_accept", dataset, sample.id, **CLICK, **where)
    assert (done["label_id"], done["undo"]) == (label.id, 1)
    assert done["sample"]["_id"] == sample.id
    assert isinstance(done["sample"]["boxes"]["detections"][0]["mask"], str)
    sample.reload()
    written = sample["boxes"].detections[0]
    assert np.array_equal(written.mask, shown[..., 3] > 0)
    assert written.bounding_box == pytest.approx([x, y, width, height])

    back = call("reprompt_undo", dataset, sample.id)
    assert (back["label_id"], back["undo"]) == (label.id, 0)
    sample.reload()
    assert sample["boxes"].detections[0].to_dict() == label.to_dict()


def test_a_label_is_corrected_from_its_own_mask(call: Call, make_dataset: Any) -> None:
    dataset = make_dataset(1)
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    label.bounding_box, label.mask = [0, 0, 0.25, 0.25], np.ones((24, 32), bool)
    sample.save()
    opened(call, dataset, sample.id)
    where = {"field": "boxes", "label_id": label.id}
    start = {"start": {**where, "mark": ""}, "points": [], "box": None, "answer": None}
    shown = call("reprompt_click", dataset, sample.id, **start)
    assert (shown["area"], shown["added"], shown["removed"]) == (24 * 32, 0, 0)
    assert shown["box"] == [0, 0, 0.25, 0.25]
    unchanged = call("reprompt_accept", dataset, sample.id, **start, **where)
    assert "The mask is as it was" in unchanged["error"]

    start["start"]["mark"] = shown["mark"]
    start["points"] = [[0.26, 0.1, 1]]
    more = call("reprompt_click", dataset, sample.id, **start)
    assert more["mark"] == shown["mark"]
    assert more["added"] > 0
    assert more["removed"] == 0
    assert more["area"] == 24 * 32 + more["added"]
    unseen = start | {"start": {**where, "mark": ""}}
    assert (
        "reload the page" in call("reprompt_accept", dataset, sample.id, **unseen, **where)["error"]
    )
    call("reprompt_accept", dataset, sample.id, **start, **where)
    again = call("reprompt_accept", dataset, sample.id, **start, **where)
    assert "Somebody has changed this mask" in again["error"]
    assert again["sample"]["_id"] == sample.id  # as it is now, to look at
    sample.reload()
    assert sample["boxes"].detections[0].area == more["area"]
    call("reprompt_undo", dataset, sample.id)
    sample.reload()
    assert sample["boxes"].detections[0].to_dict() == label.to_dict()


def test_a_mask_made_anew_is_not_written_over_one_that_was_never_seen(
    call: Call, make_dataset: Any
) -> None:
    dataset = make_dataset(1)
    sample = dataset.first()
    ann, bob = (opened(call, dataset, sample.id)["labels"][0] for _ in range(2))

    def accept(seen: Any) -> dict[str, Any]:
        where = {"field": "boxes", "label_id": seen["id"], "mark": seen["mark"]}
        return call("reprompt_accept", dataset, sample.id, **CLICK, **where)

    assert "error" not in accept(ann)
    sample.reload()
    written = sample["boxes"].detections[0].to_dict()
    assert "Somebody has changed this mask" in accept(bob)["error"]
    assert "reload the page" in accept(bob | {"mark": ""})["error"]
    sample.reload()
    assert sample["boxes"].detections[0].to_dict() == written
    assert "error" not in accept(opened(call, dataset, sample.id)["labels"][0])


def test_clicks_that_correct_one_label_are_not_written_to_another(
    call: Call, make_dataset: Any
) -> None:
    dataset = make_dataset(1)
    sample = dataset.first()
    first = sample["boxes"].detections[0]
    first.bounding_box, first.mask = [0, 0, 0.25, 0.25], np.ones((24, 32), bool)
    sample.save()
    _, other = opened(call, dataset, sample.id)["labels"]
    start = {"start": {"field": "boxes", "label_id": first.id, "mark": ""}}
    clicks = {**start, "points": [[0.26, 0.1, 1]], "box": None, "answer": None}
    for label_id in (other["id"], ""):
        where = {"field": "boxes", "label_id": label_id, "mark": other["mark"], "label": "new"}
        refused = call("reprompt_accept", dataset, sample.id, **clicks, **where)
        assert "Expected the label that the clicks correct" in refused["error"]
    sample.reload()
    assert not sample["boxes"].detections[1].has_mask


def test_a_patch_is_its_sample(call: Call, make_dataset: Any) -> None:
    dataset = make_dataset(1)
    patches = dataset.to_patches("boxes")
    patch = patches.first()
    said = opened(call, patches, patch.id)
    assert said["state"] == "ready"
    (mark,) = (one["mark"] for one in said["labels"] if one["id"] == patch["boxes"].id)
    where = {"field": "boxes", "label_id": patch["boxes"].id, "mark": mark}
    call("reprompt_accept", patches, patch.id, **CLICK, **where)
    dataset.reload()
    assert dataset.first()["boxes"].detections[0].has_mask


def test_what_goes_wrong_is_a_sentence(
    call: Call, make_dataset: Any, fiftyone_here: Any, tmp_path: Path
) -> None:
    dataset = make_dataset(1)
    broken, video = tmp_path / "broken.png", tmp_path / "film.mp4"
    broken.write_bytes(b"\x89PNG nothing")
    video.write_bytes(b"")
    dataset.add_sample(fiftyone_here.Sample(filepath=str(broken)))
    films = fiftyone_here.Dataset(persistent=True)
    try:
        films.add_sample(fiftyone_here.Sample(filepath=str(video)))
        said = call("reprompt_open", films, films.first().id)["error"]
        assert "Only pictures can be asked again" in said
    finally:
        fiftyone_here.delete_dataset(films.name)
    failed = opened(call, dataset, dataset.last().id)
    assert failed["state"] == "failed"
    assert "cannot be read" in failed["error"]
    assert "Expected a sample" in call("reprompt_open", dataset, "0" * 24)["error"]
    first = dataset.first().id
    opened(call, dataset, first)
    assert "Expected a click or a box" in call("reprompt_click", dataset, first)["error"]
    assert "Nothing of this sample" in call("reprompt_undo", dataset, first)["error"]
    refused = call("reprompt_accept", dataset, first, **CLICK, field="boxes", label="")
    assert "Expected a class" in refused["error"]


def test_a_mask_as_a_picture_is_small_and_exact() -> None:
    crop = np.random.default_rng(0).random((33, 50)) < 0.5
    address = fiftyone_plugin.operators.reprompting.mask_png(crop)
    shown = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert np.array_equal(np.asarray(shown.convert("RGBA"))[..., 3] > 0, crop)
    large = fiftyone_plugin.operators.reprompting.mask_png(np.ones((3000, 4000), bool))
    assert len(large) < 20_000
