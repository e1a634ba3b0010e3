"""Prompts to masks in FiftyOne's real App, in a browser: the form, its errors, its progress."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow

ABOVE = """element => {
    const {left, top, width, height} = element.getBoundingClientRect();
    const seen = document.elementFromPoint(left + width / 2, top + height / 2);
    return element.contains(seen) || seen?.contains(element) ? "" : seen?.outerHTML.slice(0, 200);
}"""
"""What lies above the middle of an element, if anything does."""


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
    for label, number in (("Samples with masks", 3), ("Masks", 6)):
        count = page.get_by_text(label, exact=True).locator("..").filter(has_text=str(number))
        count.wait_for(timeout=240_000)
        covered = count.evaluate(ABOVE)
        assert not covered, (label, covered)
    page.screenshot(path=shots / "operators-counts.png")
    done.click()
    page.locator("[role=dialog]").wait_for(state="detached")
    page.screenshot(path=shots / "operators-executed.png")
    dataset.reload()
    assert dataset.count("masks.detections") == 6
