"""The review panel in FiftyOne's real App, in a real browser."""

import re

import discs
import numpy as np
import pytest

from fiftyone_plugin.quality import Thresholds, judge_masks, save_views
from fiftyone_plugin.review import count_reviews


@pytest.fixture
def dataset(make_dataset, fiftyone_here):
    """Two samples with two masks of discs each."""
    fo = fiftyone_here
    made = make_dataset(2, boxes=2)
    for sample in made:
        labels = []
        for number, box in enumerate(sample.boxes.detections):
            side = round(box.bounding_box[2] * 128)
            rows, columns = np.mgrid[:side, :side] - side // 2
            mask = rows**2 + columns**2 <= (side // 2) ** 2
            confidence = 0.9 - 0.3 * number
            labels.append(
                fo.Detection(
                    label="disc", bounding_box=box.bounding_box, mask=mask, confidence=confidence
                )
            )
        sample["masks"] = fo.Detections(detections=labels)
        sample.save()
    judge_masks(made, "masks")
    return made


def open_panel(page, address):
    """Open the review panel beside the grid; the button that accepts, and errors as they come."""
    errors = []
    page.set_default_timeout(25_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector("[data-cy=looker]")
    page.get_by_role("button", name="Dismiss").click()  # FiftyOne's advertisement
    page.click("[data-cy=new-panel-btn]")
    page.click("[data-cy=new-panel-option-review_masks]")
    accept = page.get_by_role("button", name="Accept")
    accept.wait_for()
    return accept, errors


def test_a_curator_reviews_masks_in_the_panel(page, app, dataset, shots):
    accept, errors = open_panel(page, app.dataset_url(dataset))
    page.get_by_text("4 open").wait_for()
    picture = page.locator("img[src^='data:image/png']")
    picture.wait_for()
    first = picture.get_attribute("src")
    page.screenshot(path=shots / "review-panel.png")

    accept.click()
    page.get_by_text("3 open").wait_for()
    page.wait_for_function(
        "first => document.querySelector(\"img[src^='data:image/png']\")?.src !== first", arg=first
    )
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("2 open").wait_for()
    page.screenshot(path=shots / "review-panel-decided.png")
    counts = count_reviews(dataset, "masks")
    assert (counts.accepted, counts.rejected) == (1, 1)

    page.get_by_role("button", name="Undo").click()
    page.get_by_text("3 open").wait_for()
    page.get_by_role("button", name=re.compile("Open in modal")).click()
    page.wait_for_selector("[data-cy=modal-looker-container]")
    page.screenshot(path=shots / "review-panel-modal.png")
    assert count_reviews(dataset, "masks").rejected == 0
    assert errors == []


@pytest.fixture
def judged_film(masked_film, tmp_path):
    """A video that a browser can play, with masks on three of its frames."""
    path = discs.write_video(
        tmp_path / "discs.webm", map(discs.picture, range(discs.FRAMES)), "VP80"
    )
    made = masked_film((2, 5, 9), path)
    judge_masks(made, "frames.masks", Thresholds(max_shift=0.1))
    return made


def test_a_curator_reviews_masks_of_a_video(page, app, judged_film, shots):
    accept, errors = open_panel(page, app.dataset_url(judged_film))
    page.get_by_text("6 open").wait_for()
    page.get_by_text("frame 9 of its video").wait_for()
    page.locator("img[src^='data:image/png']").wait_for()
    accept.click()
    page.get_by_text("5 open").wait_for()
    page.get_by_role("button", name=re.compile("Open in modal")).click()
    page.wait_for_selector("[data-cy=modal-looker-container]")
    page.screenshot(path=shots / "review-panel-video.png")
    assert count_reviews(judged_film, "frames.masks").accepted == 1
    assert errors == []


def test_views_of_findings_ask_for_frames_on_the_server(page, app, judged_film):
    save_views(judged_film, "frames.masks")
    page.set_default_timeout(25_000)
    for name, found in (("duplicates", "0 samples"), ("jumps", "1 sample")):
        page.goto(f"{app.dataset_url(judged_film)}?view=frames-masks-{name}")
        page.get_by_text(found, exact=True).wait_for()
