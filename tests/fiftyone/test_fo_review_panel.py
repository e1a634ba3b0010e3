"""The review panel's callbacks, and the operators of quality and review, as FiftyOne runs them."""

import base64
import io

import numpy as np
import operating
import pytest
from app_server import link_plugin
from opened_panel import Opened
from PIL import Image

from fiftyone_plugin.quality import list_removals, refs_of
from fiftyone_plugin.review import Verdict, decide
from fiftyone_plugin.review.picture import drawn_mask
from fiftyone_plugin.start.plugin_folder import PLUGIN


@pytest.fixture(autouse=True)
def plugin(fiftyone_here, fiftyone_folder):
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(make_dataset, fiftyone_here):
    """Two samples of two masks, the second inside the first and of less confidence."""
    fo = fiftyone_here
    made = make_dataset(2, boxes=1, size=(100, 100))
    boxes = ([0.1, 0.1, 0.4, 0.4], [0.2, 0.2, 0.1, 0.1])

    def labels(first):
        return [
            fo.Detection(
                label="a <b>disc</b>",
                bounding_box=box,
                mask=np.ones((round(box[3] * 100), round(box[2] * 100)), bool),
                confidence=first - 0.2 * number,
            )
            for number, box in enumerate(boxes)
        ]

    made.set_values("masks", [fo.Detections(detections=labels(c)) for c in (0.9, 0.8)])
    return made


def execute(name, dataset, **more):
    return operating.execute(f"{PLUGIN}/{name}", dataset, **more)


def form(name, dataset, **more):
    return operating.form(f"{PLUGIN}/{name}", dataset, **more)


@pytest.fixture
def refused(fiftyone_here):
    """What FiftyOne raises where a form is not right."""
    from fiftyone.operators.executor import ExecutionError

    return ExecutionError


def review(dataset):
    return [value for row in dataset.values("masks.detections.review") for value in row]


def test_it_shows_the_worst_mask_with_its_words_and_picture(dataset):
    execute("judge_masks", dataset, label_field="masks")
    panel = Opened(dataset)
    assert panel.shown["label_id"] == refs_of(dataset, "masks")[3].label_id
    assert "0** accepted" in panel.text("counts")
    assert "**4** open" in panel.text("counts")
    about = panel.text("about")
    assert "trust 0.30" in about
    assert "duplicates" in about
    assert "<b>" not in about
    start = "data:image/png;base64,"
    assert panel.state["picture"].startswith(start)
    data = base64.b64decode(panel.state["picture"].removeprefix(start))
    assert max(Image.open(io.BytesIO(data)).size) == 480


def test_accept_reject_skip_and_undo(dataset):
    panel = Opened(dataset)
    first = panel.shown
    panel("accept")
    assert review(dataset).count("accepted") == 1
    assert panel.shown != first
    assert "reload_samples" in [name for name, _ in panel.said]
    second = panel.shown
    panel("skip")
    third = panel.shown
    assert third not in (first, second)
    panel("reject")
    assert sorted(map(str, review(dataset))) == ["None", "None", "accepted", "rejected"]
    panel("undo")
    assert panel.shown["label_id"] == third["label_id"]
    panel("undo")
    assert panel.shown["label_id"] == first["label_id"]
    assert review(dataset) == [None] * 4
    panel("undo")
    assert "found none" in panel.state["message"]


def test_at_the_end_the_buttons_are_off_and_it_says_so(dataset):
    panel = Opened(dataset)
    for _ in range(4):
        panel("accept")
    assert panel.shown is None
    assert "All masks are decided" in panel.page["done"]["view"]["label"]
    assert panel.disabled("accept")
    assert panel.disabled("open")
    assert not panel.disabled("undo")
    panel("accept")
    assert panel("undo").shown is not None


def test_a_panel_that_is_opened_again_goes_on_with_the_next(dataset):
    panel = Opened(dataset)
    first = panel.shown
    panel("accept")
    again = Opened(dataset)
    assert again.shown == panel.shown != first


def test_another_curators_decision_stays_and_is_told(dataset):
    panel = Opened(dataset)
    shown = panel.shown
    (ref,) = [r for r in refs_of(dataset, "masks") if r.label_id == shown["label_id"]]
    decide(dataset, "masks", [ref], Verdict.REJECTED, reviewer="bob")
    panel("accept")
    assert panel.state["message"] == "It was rejected by bob. That stays."
    assert review(dataset).count("accepted") == 0
    assert panel.shown["label_id"] != shown["label_id"]


def test_the_sample_is_opened_with_the_mask_selected(dataset):
    panel = Opened(dataset)("open_in_modal")
    said = dict(panel.said)
    assert said["open_sample"]["id"] == panel.shown["sample_id"]
    (label,) = said["set_selected_labels"]["labels"]
    assert label["label_id"] == panel.shown["label_id"]
    assert label["field"] == "masks"
    panel.state["follow"] = True
    assert "open_sample" in dict(panel("skip").said)


def test_settings_choose_what_is_reviewed(dataset):
    execute("judge_masks", dataset, label_field="masks")
    panel = Opened(dataset)
    panel.state["settings"] = {"label_field": "masks", "finding": "tiny"}
    assert panel("change").shown is None
    assert "none of them is in this choice" in panel.page["done"]["view"]["label"]
    panel.state["settings"] = {"finding": "duplicate", "below": 0.32}
    assert panel("change").shown["trust"] == pytest.approx(0.3)
    panel("skip")
    assert panel.shown is None
    panel.state["settings"] = {"reviewer": "ann"}
    panel("change")("accept")
    assert "ann" in dataset.values("masks.detections.reviewed_by", unwind=True)
    panel.state["settings"] = {"label_field": "boxes"}
    panel("change")
    assert panel.shown["label_id"] == refs_of(dataset, "boxes")[0].label_id
    assert "only a box" in panel.page["no_picture"]["view"]["label"]


def test_only_what_the_view_shows(dataset):
    panel = Opened(dataset, dataset.skip(1))
    panel.state["settings"] = {"label_field": "masks", "only_view": True}
    panel("change")
    assert panel.shown["sample_id"] == dataset.last().id
    assert "**2** open" in panel.text("counts")


def test_a_picture_that_is_gone_costs_only_the_picture(dataset):
    for sample in dataset:
        sample.filepath = "/nowhere.png"
        sample.save()
    panel = Opened(dataset)
    assert "cannot be read" in panel.page["no_picture"]["view"]["label"]
    assert panel("accept").shown


def test_a_dataset_without_masks_says_so(fiftyone_here):
    empty = fiftyone_here.Dataset()
    panel = Opened(empty)
    assert "no field of masks" in panel.page["none"]["view"]["label"]
    panel("accept")("skip")("open_in_modal")("on_change_dataset")
    empty.delete()


def test_the_mask_is_outlined_and_what_is_outside_is_darker():
    picture = np.full((50, 60, 3), 200, np.uint8)
    drawn = drawn_mask(picture, np.ones((10, 10), bool), (20, 20, 30, 30))
    assert max(drawn.shape) == 480
    height, width = drawn.shape[:2]
    assert tuple(drawn[height // 2, width * 25 // 54]) == (200, 200, 200)
    assert tuple(drawn[2, 2]) == (110, 110, 110)
    assert (drawn == (255, 64, 0)).all(axis=2).any()


def test_judging_saves_views_and_counts(dataset, refused):
    result = execute("judge_masks", dataset, label_field="masks", other_field="boxes")
    assert result["findings"]["duplicate"] == 2
    assert dataset.load_saved_view("masks: duplicates").count("masks.detections") == 4
    assert "masks: fields disagree" in result["views"]
    again = execute("judge_masks", dataset, label_field="masks", tiny_area=200)
    assert again["findings"]["tiny"] == 2
    with pytest.raises(refused, match="label_field"):
        execute("judge_masks", dataset)


def test_the_judging_form_has_a_field_for_each_threshold(dataset):
    from fiftyone_plugin.quality import Thresholds

    assert "tiny_area" not in form("judge_masks", dataset, label_field="masks")
    properties = form("judge_masks", dataset, label_field="masks", more=True)
    assert set(Thresholds().to_json()) <= set(properties)
    wrong = form("judge_masks", dataset, label_field="masks", more=True, tiny_area=-1)
    assert "tiny_area" in wrong["problem"]["view"]["label"]


@pytest.mark.parametrize(("action", "left"), [("reject", 4), ("delete", 2), ("merge", 2)])
def test_duplicates_are_resolved_and_can_come_back(dataset, action, left):
    execute("judge_masks", dataset, label_field="masks")
    result = execute("resolve_duplicates", dataset, label_field="masks", action=action)
    assert len(refs_of(dataset, "masks")) == left
    if action == "reject":
        assert review(dataset) == [None, "rejected"] * 2
    else:
        removal = result["removal_id"]
        execute("removed_masks", dataset, removal_id=removal, action="restore")
        assert len(refs_of(dataset, "masks")) == 4


def selected(dataset, *numbers):
    refs = refs_of(dataset, "masks")
    return [
        {"sample_id": refs[n].sample_id, "label_id": refs[n].label_id, "field": "masks"}
        for n in numbers
    ]


def test_selected_masks_are_accepted_rejected_and_opened_again(dataset, refused):
    some = selected(dataset, 0, 3)
    assert execute("accept_selected", dataset, selected_labels=some, reviewer="ann")["changed"] == 2
    assert review(dataset) == ["accepted", None, None, "accepted"]
    bob = execute("reject_selected", dataset, selected_labels=some, reviewer="bob")
    assert (bob["changed"], bob["held"]) == (0, 2)
    bob = execute(
        "reject_selected", dataset, selected_labels=some, reviewer="bob", over_others=True
    )
    assert bob["changed"] == 2
    execute("undo_review", dataset, label_field="masks", reviewer="bob")
    assert review(dataset) == ["accepted", None, None, "accepted"]
    execute("reopen_selected", dataset, selected_labels=some[:1], reviewer="ann")
    assert review(dataset) == [None, None, None, "accepted"]
    with pytest.raises(refused, match="found none"):
        execute("accept_selected", dataset)
    assert "found none" in form("accept_selected", dataset)["problem"]["view"]["label"]
    notice = form("accept_selected", dataset, selected_labels=some)["count"]["view"]["label"]
    assert notice == "2 selected masks"


def test_selected_patches_are_decided(dataset):
    """The App tells a patch's own id as its sample's: that of its label, not of the picture."""
    view = dataset.to_patches("masks")
    some = [{"sample_id": p.id, "label_id": p.masks.id, "field": "masks"} for p in view]
    picked = {"view": view, "selected_labels": [some[0], some[3]]}
    notice = form("accept_selected", dataset, **picked)["count"]["view"]["label"]
    assert notice == "2 selected masks"
    done = execute("accept_selected", dataset, **picked, reviewer="ann")
    assert (done["changed"], done["gone"]) == (2, 0)
    assert review(dataset) == ["accepted", None, None, "accepted"]
    dataset.delete_labels(ids=[some[1]["label_id"]])
    again = execute("reject_selected", dataset, view=view, selected_labels=some[1:3])
    assert (again["changed"], again["gone"]) == (1, 1)


def test_rejected_masks_leave_with_consent_only(dataset, refused):
    execute("reject_selected", dataset, selected_labels=selected(dataset, 1), reviewer="ann")
    with pytest.raises(refused, match="consent"):
        execute("remove_rejected", dataset, label_field="masks")
    execute("remove_rejected", dataset, label_field="masks", agreed=True)
    assert len(refs_of(dataset, "masks")) == 3
    (removal,) = list_removals(dataset)
    choices = form("removed_masks", dataset)["removal_id"]["type"]["values"]
    assert choices == [removal.removal_id]
    with pytest.raises(refused, match="consent"):
        execute("removed_masks", dataset, removal_id=removal.removal_id, action="purge")
    execute("removed_masks", dataset, removal_id=removal.removal_id, action="purge", agreed=True)
    assert list_removals(dataset) == []
    with pytest.raises(refused, match="found none"):
        execute("removed_masks", dataset, removal_id=removal.removal_id, action="restore")


def test_the_app_gets_progress_and_a_result(dataset):
    from fiftyone.operators.executor import ExecutionContext, Executor

    from fiftyone_plugin.operators.judge_masks import JudgeMasks

    request = {"dataset_name": dataset.name, "params": {"label_field": "masks"}}
    request["selected_samples"] = []
    messages = list(JudgeMasks().execute(ExecutionContext(request, Executor())))
    shown = messages[-1].to_json()["body"]["params"]
    assert shown["results"]["findings"] == {"duplicate": 2}
    assert "said_0" in shown["outputs"]["type"]["properties"]
