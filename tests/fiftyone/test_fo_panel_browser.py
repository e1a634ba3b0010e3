"""The re-prompting panel in FiftyOne's real App, in a real browser, with the bundled model.

Places are found by the colour of what is seen, not by what the App says of itself.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marked_picture import DISC, GREEN, MARKS, SIZE, disc, half_disc, picture
from panel_hands import PanelHands, held
from PIL import Image

from fiftyone_plugin.labels import mask_of

NOTHING: dict[str, Any] = {"fields": [], "labels": [], "classes": [], "undo": 0}
"""To choose from."""


@pytest.fixture
def dataset(fiftyone_here: Any, tmp_path: Path) -> Iterator[Any]:
    """One picture with marks and a disc, and a label that has a mask of nothing."""
    fo = fiftyone_here
    file = tmp_path / "marks.png"
    Image.fromarray(picture()).save(file)
    label = fo.Detection(
        label="disc",
        bounding_box=[0.02, 0.72, 0.1, 0.2],
        mask=np.ones((60, 40), bool),
        tags=["drawn"],
        prompt_id="asked-it",
        review="rejected",
    )
    dataset = fo.Dataset(persistent=True)
    dataset.add_sample(fo.Sample(filepath=str(file), masks=fo.Detections(detections=[label])))
    dataset.compute_metadata(progress=False)
    yield dataset
    fo.delete_dataset(dataset.name)


def test_clicks_are_right_at_any_zoom_and_pan(hands: PanelHands, dataset: Any) -> None:
    hands.open(dataset, dataset.first().id)
    steps: list[Callable[[], None]] = [
        lambda: None,
        lambda: hands.pan(40, -30),
        lambda: hands.zoom(hands.middle(), 4),
        lambda: hands.pan(-60, 35, space=True),
        lambda: hands.zoom(hands.middle(), -12),
        lambda: hands.zoom(hands.find((0, 255, 255)) or hands.middle(), 14),
    ]
    found = zoomed = 0
    for number, step in enumerate(steps):
        step()
        hands.shot(f"step-{number}")
        for colour, (x, y) in MARKS.items():
            patch = hands.patch(colour)
            if patch is None:
                continue
            scale = (patch[2] - patch[0]) / 6  # pixels of the window in one of the picture
            said = hands.click(((patch[0] + patch[2]) / 2, (patch[1] + patch[3]) / 2))
            assert said["answered"]["mask"]
            ((column, row, sign),) = said["asked"]["points"]
            error = max(abs(column * SIZE[1] - x - 3), abs(row * SIZE[0] - y - 3))
            # The patch in the window ends at whole pixels: its middle is half a one uncertain.
            assert error * scale <= 0.6, (number, colour)
            assert sign == 1
            assert scale < 2 or error < 0.5
            found, zoomed = found + 1, zoomed + (scale >= 2)
            hands.press("cancel")
            hands.settle()
    assert found >= 10
    assert zoomed >= 3


def test_signs_boxes_answers_and_taking_back(hands: PanelHands, dataset: Any) -> None:
    hands.open(dataset, dataset.first().id)
    hands.zoom(hands.find(GREEN) or hands.middle(), 2)
    x, y = hands.find(GREEN)
    first = hands.click((x, y))
    assert first["answered"]["answers"] == 3
    assert first["answered"]["answer"] == 0
    hands.shot("first")
    seen = {0: first["answered"]["mask"]}
    for key in range(2):
        said = hands.answer(
            (lambda: hands.press("next")) if key else (lambda: hands.page.keyboard.press("n"))
        )
        seen[said["answered"]["answer"]] = said["answered"]["mask"]
    assert sorted(seen) == [0, 1, 2]
    assert len(set(seen.values())) == 3
    again = hands.answer(lambda: hands.press("next"))["answered"]
    assert again["mask"] == first["answered"]["mask"]

    with held(hands.page, "Alt"):
        assert [one[2] for one in hands.click((x + 90, y))["asked"]["points"]] == [1, 0]
    right = hands.click((x, y + 90), button="right")["asked"]["points"]
    assert [one[2] for one in right] == [1, 0, 0]
    less = hands.answer(lambda: hands.page.keyboard.press("Backspace"))["asked"]
    assert less["points"] == right[:2]
    hands.press("cancel")
    hands.settle()
    left, top, end, bottom = hands.patch(GREEN) or (0, 0, 0, 0)
    said = hands.drag((left, top), (end, bottom))
    box = np.array(said["asked"]["box"]) * [SIZE[1], SIZE[0], SIZE[1], SIZE[0]]
    assert np.abs(box - [DISC[0] - 50, DISC[1] - 50, 101, 101]).max() < 1
    hands.shot("box")


def test_an_accepted_mask_is_a_new_label_and_can_be_taken_back(
    hands: PanelHands, dataset: Any
) -> None:
    sample = dataset.first()
    hands.open(dataset, sample.id)
    hands.click(hands.find(GREEN) or hands.middle())
    hands.page.fill("[data-cy=sam-reprompt-class]", "leaf")
    hands.accept()
    shown = hands.shot("accepted")
    assert shown.exists()
    sample.reload()
    former, added = sample["masks"].detections
    assert former.prompt_id == "asked-it"
    crop, (x0, y0, x1, y1) = mask_of(added, SIZE)
    found = np.zeros(SIZE, bool)
    found[y0:y1, x0:x1] = crop
    assert (found & disc()).sum() / (found | disc()).sum() > 0.8
    assert added.label == "leaf"
    assert added.confidence > 0.5
    assert added.area == crop.sum()
    assert added.components >= 1
    assert added.reprompted is True
    assert len(added.model_id) > 8
    # The App shows it without being told to reload: the disc is not its own colour any more.
    assert hands.find(GREEN) is None or np.ptp(hands.patch(GREEN)) < 20

    hands.take_back()
    sample.reload()
    assert [one.id for one in sample["masks"].detections] == [former.id]
    assert hands.patch(GREEN) is not None


def test_a_chosen_label_gets_another_mask_and_keeps_the_rest(
    hands: PanelHands, dataset: Any
) -> None:
    sample = dataset.first()
    before = sample["masks"].detections[0]
    hands.open(dataset, sample.id)
    hands.switch()
    x, y = hands.find((255, 0, 255)) or (0, 0)  # the label is below, and its middle at 0.07, 0.82
    scale = (hands.find((0, 255, 255)) or (0, 0))[0] - x
    scale /= 290  # pixels of the window in one of the picture
    hands.page.mouse.click(x + (28 - 43) * scale, y + (246 - 33) * scale)
    hands.switch()
    chosen = hands.page.locator("[data-cy=sam-reprompt-target]")
    hands.wait_for(lambda: chosen.input_value() == before.id)
    hands.press("anew")
    hands.click(hands.find(GREEN) or hands.middle())
    hands.answer(lambda: hands.page.keyboard.press("Enter"), "reprompt_accept")
    sample.reload()
    (after,) = sample["masks"].detections
    kept = [(one.id, one.label, one.tags, one.prompt_id, one.review) for one in (before, after)]
    assert kept[0] == kept[1]
    assert after.bounding_box[0] > 0.5
    assert after.mask.shape != before.mask.shape
    hands.take_back()
    sample.reload()
    assert sample["masks"].detections[0].to_dict() == before.to_dict()


def test_the_mask_of_a_label_is_corrected_where_it_is_clicked(
    hands: PanelHands, dataset: Any, fiftyone_here: Any
) -> None:
    sample = dataset.first()
    mask, box = half_disc()
    theirs = {"iscrowd": 0, "tags": ["theirs"], "index": 4, "mask": mask}
    half = fiftyone_here.Detection(label="cell", bounding_box=box, **theirs)
    sample["theirs"] = fiftyone_here.Detections(detections=[half])
    sample.save()
    hands.open(dataset, sample.id)
    left, top, right, bottom = hands.patch(GREEN) or (0, 0, 0, 0)  # the other half
    missing = ((left + right) / 2, (top + bottom) / 2)
    with held(hands.page, "Shift"):
        shown = hands.click((left - (right - left) / 2, missing[1]))
    assert hands.page.locator("[data-cy=sam-reprompt-target]").input_value() == half.id
    assert shown["asked"]["points"] == []
    assert shown["answered"]["area"] == mask.sum()
    assert hands.page.locator("[data-cy=sam-reprompt-accept]").is_disabled()
    hands.shot("chosen")

    said = hands.click(missing)
    assert said["asked"]["start"]["label_id"] == half.id
    assert said["answered"]["removed"] == 0
    with held(hands.page, "Alt"):
        hands.click((left + 2, missing[1] + (bottom - top) / 2 + 8))  # beside it: nothing to remove
    hands.shot("clicked")
    hands.answer(lambda: hands.page.keyboard.press("Enter"), "reprompt_accept")
    sample.reload()
    (after,) = sample["theirs"].detections
    crop, (x0, y0, x1, y1) = mask_of(after, SIZE)
    found = np.zeros(SIZE, bool)
    found[y0:y1, x0:x1] = crop
    former = disc() & (np.arange(SIZE[1]) < DISC[0])
    assert not (former & ~found).any()
    assert (found & disc()).sum() / (found | disc()).sum() > 0.9
    names = ("id", "label", "tags", "index", "iscrowd")
    assert [after[name] for name in names] == [half[name] for name in names]
    assert (after.area, after.reprompted) == (found.sum(), True)
    assert sample["masks"].detections[0].prompt_id == "asked-it"

    hands.take_back()
    sample.reload()
    assert sample["theirs"].detections[0].to_dict() == half.to_dict()


def test_a_mask_that_changed_meanwhile_is_not_written_over(hands: PanelHands, dataset: Any) -> None:
    sample = dataset.first()
    label_id = sample["masks"].detections[0].id
    hands.open(dataset, sample.id)
    hands.answer(lambda: hands.page.select_option("[data-cy=sam-reprompt-target]", label_id))
    assert hands.page.locator("[data-cy=sam-reprompt-correct]").is_checked()
    hands.click(hands.find(GREEN) or hands.middle())
    drawn = np.eye(9, dtype=bool)
    sample["masks"].detections[0].mask = drawn
    sample.save()
    hands.accept()
    problem = hands.page.locator("[data-cy=sam-reprompt-error]")
    hands.page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
    assert "Somebody has changed this mask" in problem.inner_text()
    sample.reload()
    assert np.array_equal(sample["masks"].detections[0].mask, drawn)
    # The clicks were asked again of the mask as it is now, and are accepted with it.
    hands.accept()
    assert not problem.count()
    sample.reload()
    corrected = sample["masks"].detections[0].mask
    assert corrected.size > drawn.size
    # Made anew, a mask that was never seen is not written over either.
    hands.click(hands.find((0, 255, 255)) or hands.middle())
    said = hands.answer(lambda: hands.press("anew"))
    assert said["asked"]["start"] is None
    assert len(said["asked"]["points"]) == 1
    sample["masks"].detections[0].mask = drawn
    sample.save()
    hands.accept()
    hands.page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
    assert "accept again" in problem.inner_text()
    sample.reload()
    assert np.array_equal(sample["masks"].detections[0].mask, drawn)
    hands.accept()
    sample.reload()
    assert not np.array_equal(sample["masks"].detections[0].mask, drawn)


def test_a_click_after_opening_failed_opens_the_sample(hands: PanelHands, dataset: Any) -> None:
    sample = dataset.first()
    end = hands.say("reprompt_open", {"state": "failed", "error": "The disk is away.", **NOTHING})
    hands.open(dataset, sample.id, wait="failed")
    end()
    assert "The disk is away" in hands.page.locator("[data-cy=sam-reprompt-error]").inner_text()
    hands.page.mouse.click(*(hands.find(GREEN) or hands.middle()))
    hands.page.wait_for_selector("[data-cy=sam-reprompt-status][data-state=ready]")
    hands.page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
    label_id = sample["masks"].detections[0].id
    hands.page.wait_for_selector(f"option[value='{label_id}']", state="attached")
    assert not hands.page.locator("[data-cy=sam-reprompt-error]").count()


def test_escape_loses_nothing(hands: PanelHands, dataset: Any) -> None:
    sample = dataset.first()
    before = sample["masks"].to_dict()
    hands.open(dataset, sample.id)
    hands.click(hands.find(GREEN) or hands.middle())
    hands.page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
    hands.page.keyboard.press("Escape")
    hands.page.wait_for_selector("[data-cy=sam-reprompt-accept]:disabled")
    assert hands.patch(GREEN) is not None
    assert hands.modal_is_open
    hands.page.keyboard.press("Escape")
    hands.page.wait_for_selector("[data-cy=sam-reprompt-overlay]", state="detached")
    assert hands.modal_is_open
    sample.reload()
    assert sample["masks"].to_dict() == before
    for _ in range(3):  # the App's own advertisement takes one as well
        if hands.modal_is_open:
            hands.page.keyboard.press("Escape")
            hands.page.wait_for_timeout(2000)
    assert not hands.modal_is_open


def test_clicks_belong_to_the_picture_that_is_shown(
    hands: PanelHands, dataset: Any, fiftyone_here: Any, tmp_path: Path
) -> None:
    file = tmp_path / "second.png"
    Image.fromarray(picture()[:, ::-1]).save(file)
    dataset.add_sample(fiftyone_here.Sample(filepath=str(file)))
    dataset.compute_metadata(progress=False)
    first, second = dataset.values("id")
    hands.open_from_grid(dataset)
    there = hands.find(GREEN) or hands.middle()
    said = hands.click(there)
    assert said["asked"]["sample_id"] == first
    hands.page.keyboard.press("ArrowRight")
    hands.page.wait_for_selector("[data-cy=sam-reprompt-unsay]:disabled")
    hands.wait_for(lambda: (hands.find(GREEN) or there)[0] < there[0] - 50)
    said = hands.click(hands.find(GREEN) or there)
    assert said["asked"]["sample_id"] == second
    assert said["asked"]["points"][0][0] < 0.5
    # What was said of the first is still there when it is shown again.
    back = hands.answer(lambda: hands.page.keyboard.press("ArrowLeft"))["asked"]
    assert back["sample_id"] == first
    assert back["points"][0][0] > 0.5


def test_what_is_accepted_while_another_sample_is_opened_is_no_draft(
    hands: PanelHands, dataset: Any, fiftyone_here: Any, tmp_path: Path
) -> None:
    file = tmp_path / "second.png"
    Image.fromarray(picture()[:, ::-1]).save(file)
    dataset.add_sample(fiftyone_here.Sample(filepath=str(file)))
    dataset.compute_metadata(progress=False)
    held_back: list[Any] = []
    hands.open_from_grid(dataset)
    there = hands.find(GREEN) or hands.middle()
    hands.click(there)
    hands.page.fill("[data-cy=sam-reprompt-class]", "leaf")
    hands.page.locator("[data-cy=sam-reprompt-class]").blur()
    hands.page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
    hands.intercept("reprompt_accept", held_back.append)
    hands.page.keyboard.press("Enter")
    hands.wait_for(lambda: bool(held_back))
    hands.page.keyboard.press("ArrowRight")
    hands.page.wait_for_selector("[data-cy=sam-reprompt-status]:has-text('Ready: click')")
    hands.wait_for(lambda: (hands.find(GREEN) or there)[0] < there[0] - 50)
    with hands.page.expect_response(
        lambda one: "sam/reprompt_accept" in (one.request.post_data or "")
    ):
        held_back[0].continue_()
    hands.page.keyboard.press("ArrowLeft")
    hands.wait_for(lambda: hands.page.locator("[data-cy=sam-reprompt-undo]").is_enabled())
    hands.settle()
    assert hands.page.locator("[data-cy=sam-reprompt-unsay]").is_disabled()
    hands.page.keyboard.press("Enter")
    hands.settle()
    sample = dataset.first()
    sample.reload()
    assert [one.label for one in sample["masks"].detections] == ["disc", "leaf"]
    assert len(held_back) == 1
