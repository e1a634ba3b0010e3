"""Prompts to masks in FiftyOne's real App, in a browser: the form, its errors, its progress."""

from typing import Any

import pytest

from fiftyone_plugin.start.plugin_folder import PLUGIN

pytestmark = pytest.mark.slow


def test_four_buttons_lie_above_the_grid_and_one_opens_the_review(
    page: Any, app: Any, make_dataset: Any, shots: Any
) -> None:
    page.goto(app.dataset_url(make_dataset(2, 1)))
    buttons = page.locator(f"[data-item-id^='{PLUGIN}/']")
    buttons.first.wait_for()
    page.screenshot(path=shots / "operators-buttons.png")
    names = [each.get_attribute("data-item-id").rpartition("/")[2] for each in buttons.all()]
    assert names == ["segment_prompts", "segment_everything", "open_review", "manage_runs"]
    page.get_by_role("button", name="Dismiss").click()  # FiftyOne's advertisement
    buttons.nth(2).click()
    page.locator("[data-cy=panel-tab-review_masks]").wait_for()
    page.get_by_text("Accept", exact=True).wait_for(timeout=15_000)
    page.screenshot(path=shots / "operators-review-opened.png")


def test_a_form_is_filled_executed_and_answered(
    page: Any, app: Any, make_dataset: Any, shots: Any
) -> None:
    dataset = make_dataset(3, 2)
    page.goto(app.dataset_url(dataset))
    page.wait_for_selector("[data-cy=looker]")
    page.keyboard.press("`")
    page.get_by_placeholder("Search operations").fill("Prompts to masks")
    page.screenshot(path=shots / "operators-list.png")
    page.get_by_text("Prompts to masks (sam-plugins)").click()
    page.get_by_text("at least one field to ask with").first.wait_for()
    page.screenshot(path=shots / "operators-form-empty.png")
    execute = page.get_by_role("button", name="Execute")
    assert execute.is_disabled()

    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="boxes").click()
    page.get_by_text("What becomes of the boxes").wait_for()
    page.wait_for_function(
        "() => ![...document.querySelectorAll('button')]"
        ".find(each => each.textContent.trim() === 'Execute')?.disabled"
    )
    page.screenshot(path=shots / "operators-form-filled.png")
    execute.click()
    page.get_by_text("of 3 samples").wait_for()
    page.screenshot(path=shots / "operators-progress.png")
    done = page.get_by_role("button", name="Done")
    page.get_by_text("Samples with masks:", exact=True).wait_for(timeout=240_000)
    page.screenshot(path=shots / "operators-counts.png")
    (dialog,) = page.get_by_role("dialog").all()  # no other lies above it
    said = dialog.inner_text().split("\n\n")
    assert said[said.index("Samples with masks:") + 1] == "3"
    assert said[said.index("Masks:") + 1] == "6"
    done.click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.screenshot(path=shots / "operators-executed.png")
    dataset.reload()
    assert dataset.count("masks.detections") == 6
