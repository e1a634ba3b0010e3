"""Masks of video frames reviewed: the queue, decisions, the panel, and the operators."""

import base64
import io
from pathlib import Path
from typing import Any

import discs
import numpy as np
import pytest
from app_server import link_plugin
from opened_panel import Opened
from operating import execute, form
from PIL import Image

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import REMOVED_STORE
from fiftyone_plugin.quality import LabelRef, list_removals, purge, refs_of, remove_labels, restore
from fiftyone_plugin.review import (
    Verdict,
    count_reviews,
    decide,
    find_rejected,
    next_open,
    remove_rejected,
    undo,
)
from fiftyone_plugin.runs import delete_run, open_run, work_on
from fiftyone_plugin.start.plugin_folder import PLUGIN
from fiftyone_plugin.values import Mode, RunConfig

FIELD = "frames.masks"


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(masked_film: Any) -> Any:
    """The later the frame, the less confident."""
    return masked_film((2, 5, 9))


def reviews(dataset: Any) -> list[Any]:
    return [
        each["review"] if each.has_field("review") else None
        for frame in dataset.first().frames.values()
        for each in frame.masks.detections
    ]


def test_the_queue_goes_through_the_frames_worst_first(dataset: Any) -> None:
    found = next_open(dataset, FIELD, limit=10)
    assert [(each.frame_number, round(each.trust, 2)) for each in found] == [
        (9, 0.09),
        (9, 0.1),
        (5, 0.49),
        (5, 0.5),
        (2, 0.79),
        (2, 0.8),
    ]
    assert {each.sample_id for each in found} == {dataset.first().id}
    assert found[0].ref.sample_id == dataset.first().frames[9].id
    from fiftyone import ViewField as F

    early = dataset.match_frames(F("frame_number") < 6)
    assert next_open(early, FIELD)[0].frame_number == 5
    assert count_reviews(early, FIELD).open == 4


def test_decisions_of_several_frames_are_one_step_that_can_be_taken_back(dataset: Any) -> None:
    in_memory = dataset.first().frames[5].masks
    refs = refs_of(dataset, FIELD)
    decided = decide(dataset, FIELD, refs[1:4], Verdict.REJECTED, reviewer="ann")
    assert (decided.changed, decided.gone) == (3, 0)
    assert reviews(dataset) == [None, "rejected", "rejected", "rejected", None, None]
    again = dataset.first().frames[5].masks.detections[0]
    assert again.tags == ["mine", "rejected"]
    assert in_memory.detections[0].id == again.id
    bob = decide(dataset, FIELD, refs[1:2], Verdict.ACCEPTED, reviewer="bob")
    assert (bob.changed, bob.held) == (0, ("It was rejected by ann.",))
    assert undo(dataset, FIELD, reviewer="ann").verdict == "rejected"
    assert reviews(dataset) == [None] * 6
    assert dataset.first().frames[5].masks.detections[0].tags == ["mine"]
    with pytest.raises(ReviewError, match="found none"):
        undo(dataset, FIELD, reviewer="ann")


def test_rejected_masks_of_frames_leave(dataset: Any) -> None:
    refs = refs_of(dataset, FIELD)
    assert find_rejected(dataset, FIELD) == []
    decide(dataset, FIELD, refs[:2], Verdict.REJECTED, reviewer="ann")
    assert remove_rejected(dataset, FIELD).removed == 2
    assert refs_of(dataset, FIELD) == refs[2:]
    assert list(dataset.first().frames) == [2, 5, 9]


@pytest.mark.parametrize("made_again", [False, True])
def test_a_mask_comes_back_into_its_frame_that_was_deleted_with_its_run(
    make_video: Any, segmenter: Any, fiftyone_here: Any, made_again: bool
) -> None:
    dataset = make_video({2: [(0, {"index": 1}), (1, {"index": 2})]})
    config = RunConfig(mode=Mode.VIDEO, label_field=FIELD, box_field="frames.boxes")
    run = open_run(dataset, config, segmenter.info.model_id)
    work_on(dataset, run, dataset.values("id"), segmenter)
    label = dataset.first().frames[5].masks.detections[0]
    before, frame_id = label.to_dict(), dataset.first().frames[5].id
    removal = remove_labels(dataset, FIELD, [LabelRef(frame_id, label.id)], reason="")
    delete_run(dataset, run.run_id)
    dataset.reload()
    assert list(dataset.first().frames) == [2]
    if made_again:
        sample = dataset.first()
        sample.frames[5] = fiftyone_here.Frame(seen=True)
        sample.save()
        frame_id = sample.frames[5].id
    restored = restore(dataset, removal.removal_id)
    assert (restored.labels, restored.kept, restored.missing) == (1, 0, 0)
    assert list(dataset.first().frames) == [2, 5]
    frame = dataset.first().frames[5]
    assert [each.to_dict() for each in frame.masks.detections] == [before]
    assert frame.id == frame_id
    assert list_removals(dataset) == []


def test_what_has_no_video_any_more_stays_among_the_removed(dataset: Any) -> None:
    other = dataset.first().copy()
    dataset.add_sample(other)
    refs = refs_of(dataset, FIELD)
    removal = remove_labels(dataset, FIELD, [refs[0], *refs[-2:]], reason="")
    dataset.delete_samples([other.id])
    name = f"{PLUGIN}/removed_masks"
    said = execute(name, dataset, removal_id=removal.removal_id, action="restore")["sentences"]
    assert said[0] == "1 masks are as they were."
    assert said[1].startswith("2 have no sample or frame any more")
    (left,) = list_removals(dataset)
    assert (left.removal_id, left.removed, left.changed) == (removal.removal_id, 2, 0)
    assert set(refs_of(dataset, FIELD)) == set(refs[:6])
    again = restore(dataset, removal.removal_id)
    assert (again.labels, again.kept, again.missing) == (0, 0, 2)
    assert purge(dataset, removal.removal_id).removed == 2
    assert list_removals(dataset) == []


def test_a_record_of_before_frames_were_noted_comes_back_where_its_frame_is(dataset: Any) -> None:
    from fiftyone.operators.store import ExecutionStore

    refs = refs_of(dataset, FIELD)
    removal = remove_labels(dataset, FIELD, [refs[0], refs[2]], reason="")
    store = ExecutionStore.create(REMOVED_STORE, dataset._doc.id)
    for key in (each for each in store.list_keys() if "/" in each):
        part = store.get(key)
        store.set(key, {name: part[name] for name in ("sample_id", "removed", "changed")})
    sample = dataset.first()
    del sample.frames[2]
    sample.save()
    restored = restore(dataset, removal.removal_id)
    assert (restored.labels, restored.kept, restored.missing) == (1, 0, 1)
    assert set(refs_of(dataset, FIELD)) == set(refs[2:])
    assert [each.removed for each in list_removals(dataset)] == [1]


def test_the_panel_shows_the_mask_in_its_frame(dataset: Any) -> None:
    panel = Opened(dataset)
    assert (panel.shown["frame_number"], panel.shown["label"]) == (9, "disc")
    assert "frame 9 of its video" in panel.text("about")
    assert "**6** open" in panel.text("counts")
    data = base64.b64decode(panel.state["picture"].partition(",")[2])
    middle = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[240, 240]
    assert np.abs(middle - np.array(discs.COLOURS[1], float)).max() < 40
    panel("accept")
    assert panel.shown["frame_number"] == 9
    panel("reject")
    assert reviews(dataset) == [None] * 4 + ["rejected", "accepted"]
    panel("skip")
    assert panel.shown["frame_number"] == 5
    panel("undo")
    assert panel.shown["frame_number"] == 9
    assert reviews(dataset) == [None] * 5 + ["accepted"]
    assert Opened(dataset).shown["label_id"] == panel.shown["label_id"]


def test_the_modal_is_opened_with_the_mask_of_the_frame_selected(dataset: Any) -> None:
    panel = Opened(dataset)("open_in_modal")
    said = dict(panel.said)
    sample_id = dataset.first().id
    assert said["open_sample"]["id"] == sample_id
    (label,) = said["set_selected_labels"]["labels"]
    assert (label["frame_number"], label["field"]) == (9, FIELD)
    assert label["sample_id"] == sample_id
    assert "frame 9 of its video (at 0.80 s)" in panel.text("about")


def test_selected_masks_of_frames_are_decided(dataset: Any) -> None:
    selected = [
        {
            "sample_id": dataset.first().id,
            "frame_number": number,
            "field": FIELD,
            "label_id": frame.masks.detections[0].id,
        }
        for number, frame in dataset.first().frames.items()
    ]
    name = f"{PLUGIN}/accept_selected"
    notice = form(name, dataset, selected_labels=selected)["count"]["view"]["label"]
    assert notice == "3 selected masks"
    assert execute(name, dataset, selected_labels=selected, reviewer="ann")["changed"] == 3
    assert reviews(dataset) == ["accepted", None] * 3
    fields = form(f"{PLUGIN}/undo_review", dataset)["label_field"]["type"]["values"]
    assert fields == [FIELD]
    execute(f"{PLUGIN}/undo_review", dataset, label_field=FIELD, reviewer="ann")
    assert reviews(dataset) == [None] * 6


def shown_in_frames(dataset: Any) -> Any:
    view = dataset.to_frames(sample_frames="dynamic")
    return view, [(each.id, each.masks.detections[0].id, {}) for each in view if each.masks]


def shown_in_patches_of_frames(dataset: Any) -> Any:
    from fiftyone import ViewField as F

    view = dataset.to_frames(sample_frames="dynamic").to_patches("masks")
    first = view.match(F("masks.index") == 0)
    return view, [(each.id, each.masks.id, {}) for each in first]


def shown_in_clips(dataset: Any) -> Any:
    view = dataset.to_clips([[(1, 5), (6, 9)]])
    return view, [
        (clip.id, frame.masks.detections[0].id, {"frame_number": number})
        for clip in view
        for number, frame in clip.frames.items()
    ]


@pytest.mark.parametrize(
    ("shown", "field"),
    [(shown_in_frames, "masks"), (shown_in_patches_of_frames, "masks"), (shown_in_clips, FIELD)],
)
def test_what_is_selected_in_views_cut_from_videos_is_decided(
    dataset: Any, shown: Any, field: str
) -> None:
    """The App tells the ids of frames, patches or clips, as the view has them."""
    view, found = shown(dataset)
    selected = [{"sample_id": s, "label_id": n, "field": field, **more} for s, n, more in found]
    name = f"{PLUGIN}/accept_selected"
    notice = form(name, dataset, view=view, selected_labels=selected)["count"]["view"]["label"]
    assert notice == "3 selected masks"
    done = execute(name, dataset, view=view, selected_labels=selected[1:], reviewer="ann")
    assert (done["changed"], done["gone"]) == (2, 0)
    assert reviews(dataset) == [None, None, "accepted", None, "accepted", None]


def test_the_judging_form_takes_fields_of_frames(dataset: Any) -> None:
    name = f"{PLUGIN}/judge_masks"
    assert form(name, dataset)["label_field"]["type"]["values"] == [FIELD]
    result = execute(name, dataset, label_field=FIELD, max_shift=0.1)
    assert result["sentences"][0] == "6 masks in 3 frames were judged."
    assert f"{FIELD}: jumps" in result["views"]
    panel = Opened(dataset)
    panel.state["settings"] = {"label_field": FIELD, "finding": "ragged"}
    assert panel("change").shown is None
